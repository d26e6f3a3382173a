from collections import namedtuple
from sys import getrefcount

import numpy as np
import pytest

import minimr as mr
from minimr.shuffle.pairs import block_records
from minimr.tasks.emitted import KeyGate, as_pair, checked_pairs, encoded
from minimr.tasks.failure import TaskFailed

from .running import emitted, map_once, text_input

NAN = float("nan")


def emitting(*items):
    class Emitting(mr.Job):
        def map(self, _offset, _line):
            yield from items

    return Emitting


def map_items(folder, *items):
    return emitted(map_once(emitting(*items), text_input(folder, "a\n"), folder, partitions=1))[0]


def reduce_items(_folder, *items):
    """The same checks, as a reduce task and a kept partition have them."""
    return list(checked_pairs(iter(items), "reduce"))


BOTH = pytest.mark.parametrize("check", [map_items, reduce_items])
ERRORS = (TaskFailed, mr.BadRecord)


@BOTH
@pytest.mark.parametrize(
    "item", ["ab", "a", 3, None, (1,), (1, 2, 3), [], {1: 2, 3: 4}, {1, 2}, b"ab"]
)
def test_what_is_no_pair_is_shown(tmp_path, check, item):
    with pytest.raises(ERRORS, match="which is no pair"):
        check(tmp_path, (1, 2), item)


@BOTH
def test_lists_and_named_tuples_of_two_are_pairs(tmp_path, check):
    pair = namedtuple("Pair", "key value")
    assert check(tmp_path, [1, "a"], pair(2, "b")) == [(1, "a"), (2, "b")]


@BOTH
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (1, True),
        (1.0, 1),
        (True, 1),
        ("a", b"a"),
        ("a", None),
        (None, "a"),
        ((1, "a"), (1.0, "a")),
        ((1, "a"), (True, "a")),
        ((1, "a"), (1, "a", 2)),
        ((1, (2,)), (1, (2.0,))),
        ((1.0,), (1,)),
        ((1,), 1),
        (1, (1,)),
        (1, np.float64(1.0)),
    ],
)
def test_keys_of_two_kinds_are_refused_even_where_python_calls_them_equal(
    tmp_path, check, first, second
):
    with pytest.raises(ERRORS, match="after keys of the kind"):
        check(tmp_path, (first, 0), (first, 0), (second, 0))


@BOTH
@pytest.mark.parametrize(
    "keys",
    [
        [NAN],
        [1.0, NAN],
        [1.0, np.float64("nan")],
        [(NAN,)],
        [(1.0,), (NAN,)],
        [(1, (2.0,)), (1, (NAN,))],
    ],
)
def test_nan_is_refused_first_or_later(tmp_path, check, keys):
    with pytest.raises(ERRORS, match="NaN"):
        check(tmp_path, *((key, 0) for key in keys))


@BOTH
@pytest.mark.parametrize("key", [[1], {"a": 1}, 1j, ("a", [1]), np.array([1, 2])])
def test_other_types_are_no_keys(tmp_path, check, key):
    with pytest.raises(ERRORS, match="must be str, bytes, int"):
        check(tmp_path, (key, 0))


@BOTH
def test_numpy_scalars_are_plain_keys(tmp_path, check):
    keys = [np.int64(1), 2, np.int8(3)]
    found = check(tmp_path, *((key, 0) for key in keys))
    assert [(key, type(key)) for key, _ in found] == [(1, int), (2, int), (3, int)]


def test_numpy_scalars_and_plain_keys_meet_in_one_group(tmp_path):
    assert map_items(tmp_path, (np.int64(1), "a"), (1, "b")) == [(1, "a"), (1, "b")]


def test_a_gate_learns_shapes_without_floats_only():
    gate = KeyGate("map")
    for key in [(1.0, "a"), (2.0, "b")]:
        assert gate.admit(key) is not None
    with pytest.raises(mr.BadRecord, match="NaN"):
        gate.admit((NAN, "c"))


def test_an_error_names_the_function():
    with pytest.raises(mr.BadRecord, match=r"^combine yielded 'x', which is no pair"):
        as_pair("x", "combine")


def test_blocks_hold_small_records_by_the_thousand_and_large_ones_alone():
    small = list(encoded((n, n) for n in range(20_000)))
    large = list(encoded((n, "x" * (1 << 20)) for n in range(20)))
    assert len(small) == 3
    assert [block_records(block) for block in large] == [16, 1, 1, 1, 1]


def test_a_pair_that_was_passed_on_is_not_held_while_the_next_one_is_made():
    held = []

    def yielded():
        for number in range(3):
            value = [number]
            before = getrefcount(value)
            yield "key", value
            held.append(getrefcount(value) - before)

    for _, value in checked_pairs(yielded(), "reduce"):
        del value
    assert held == [0, 0, 0]


def counting(**counters):
    class Counting(mr.Job):
        def map(self, _offset, line):
            self.counters = {**self.counters, **counters}
            yield line, 1

    return Counting


def test_counters_that_no_message_can_carry_fail_the_task_in_words(tmp_path):
    with pytest.raises(TaskFailed, match="counter"):
        map_once(counting(n=0.5), text_input(tmp_path, "a\n"), tmp_path)


def test_a_failed_count_in_a_reduce_task_leaves_no_file(tmp_path):
    class Counting(mr.Job):
        def reduce(self, key, values):
            self.counters["n"] = "many"
            yield key, sum(1 for _ in values)

    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(mr.JobFailed, match=r"whole number of up to .* and 'n' is of type str"):
        mr.run(Counting, [tmp_path / "in.txt"], tmp_path / "out", runner="serial")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.txt", "out.log"]
