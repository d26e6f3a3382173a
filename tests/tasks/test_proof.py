"""What code proves of its yields, and that jobs whose code proves it are held to the same rules."""

import numpy as np
import pytest

import minimr as mr
from minimr.errors import BadRecord
from minimr.tasks.proof import yields_constant_ints

from .test_held import collected, job_of


def job_with(function, block_function=None):
    class Counting(mr.Job):
        map = function
        map_block = block_function
        combine = reduce = mr.Sum()

    return Counting()


def words(self, _offset, line):
    for word in line.split():
        yield word, 1


def two_yields(self, offset, line):
    yield line, 1
    try:
        yield offset, 2
    finally:
        yield line[:1], -3


def bool_value(self, _offset, line):
    yield line, True


def float_value(self, _offset, line):
    yield line, 1.0


def variable_value(self, offset, line):
    yield line, offset


def computed_value(self, offset, line):
    yield line, offset + 1


def list_of_two(self, _offset, line):
    yield [line, 1]


def set_of_two(self, _offset, line):
    yield {line, 1}


def three(self, _offset, line):
    yield line, 0, 1


def either_last(self, offset, line):
    yield line if offset else (line, 1)


def either_first(self, offset, line):
    yield (line, 1) if offset else line


def either_value(self, offset, line):
    yield line, "x" if offset else 1


def one_of_two(self, offset, line):
    yield line, 1
    yield line


def delegates(self, _offset, line):
    yield from line


def returns_a_list(self, _offset, line):
    return [(line, 1)]


@pytest.mark.parametrize("function", [words, two_yields])
def test_constant_pairs_are_proven(function):
    assert yields_constant_ints(job_with(function))


@pytest.mark.parametrize(
    "function",
    [
        bool_value,
        float_value,
        variable_value,
        computed_value,
        list_of_two,
        set_of_two,
        three,
        either_last,
        either_first,
        either_value,
        one_of_two,
        delegates,
        returns_a_list,
    ],
)
def test_nothing_else_is(function):
    assert not yields_constant_ints(job_with(function))


def test_a_map_block_must_prove_it_too():
    assert not yields_constant_ints(job_with(words, lambda _self, _block: []))


def proven_job():
    job = job_with(words)
    assert yields_constant_ints(job)
    return job


@pytest.mark.parametrize("memory_bytes", [300, 1 << 24])
@pytest.mark.parametrize("keys", [["b", "a", "ä"], [b"y", b"x"], [1, 0, -1], [(1, "a"), (2, "b")]])
def test_proven_pairs_are_added_up_as_others_are(keys, memory_bytes, tmp_path):
    pairs = [(key, 1) for key in keys * 20]
    proven, _ = collected(proven_job(), pairs, tmp_path / "proven", memory_bytes)
    checked, _ = collected(job_of(mr.Sum()), pairs, tmp_path / "checked", memory_bytes)
    assert proven == checked == [(key, [20]) for key in sorted(keys)]


def test_numpy_texts_are_texts(tmp_path):
    pairs = [("a", 1)] * 20 + [(np.str_("b"), 1), (np.str_("a"), 1), ("b", 1)]
    found, _ = collected(proven_job(), pairs, tmp_path, 1 << 24)
    assert found == [("a", [21]), ("b", [2])]
    assert {type(key) for key, _ in found} == {str}


@pytest.mark.parametrize("at", [1, 40])
@pytest.mark.parametrize(
    ("key", "message"),
    [(1, r"the key 1 \(int\) after keys of the kind str"), ([], "is of type list")],
)
def test_a_wrong_key_is_refused_before_the_next_is_asked_for(key, message, at, tmp_path):
    asked = []

    def pairs():
        for number in range(80):
            asked.append(number)
            yield (key if number == at else f"k{number}"), 1

    with pytest.raises(BadRecord, match=message):
        collected(proven_job(), pairs(), tmp_path, 1 << 24)
    assert asked[-1] == at


def test_keys_that_are_equal_but_not_the_same_are_told_apart(tmp_path):
    with pytest.raises(BadRecord, match=r"the key True \(bool\) after keys of the kind int"):
        collected(proven_job(), [(1, 1)] * 20 + [(True, 1)], tmp_path, 1 << 24)
