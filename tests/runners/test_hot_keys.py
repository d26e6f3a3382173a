"""Keys that hold most of the pairs: found, and on request shared out, with the same answer."""

from pathlib import Path

import numpy as np
import pytest

import minimr as mr
from minimr.errors import UsageError
from minimr.observe.log import read_log


class Plain(mr.Job):
    """Word count without a combiner: every pair travels."""

    def map(self, offset, line):
        for word in line.split():
            yield word, 1

    reduce = mr.Sum()


def columns_of_words(self, block):
    words = block.text().split()
    yield mr.Pairs(words, np.ones(len(words), np.int64))


class PlainMean(Plain):
    """The mean length of the lines that each word is in: a state that differs from a value."""

    def map(self, offset, line):
        for word in line.split():
            yield word, len(line)

    reduce = mr.Mean()


class ByHand(Plain):
    def reduce(self, word, counts):
        yield word, sum(counts)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"the the the word-{n % 700} the\n" for n in range(4_000)))
    return str(path)


def attempts(result, stage):
    done = (each for each in read_log(result.log) if each["event"] == "attempt_done")
    return [each for each in done if each["stage"] == stage]


class PlainColumns(Plain):
    """The same by columns."""

    map_block = columns_of_words


@pytest.mark.parametrize("job", [Plain, PlainColumns])
@pytest.mark.parametrize("memory_bytes", [1_000_000, 64_000_000])
def test_a_hot_key_is_found_in_every_map_task(text, job, memory_bytes):
    result = mr.run(job, [text], runner="serial", memory_bytes=memory_bytes)
    hot = [each.get("hot") for each in attempts(result, "map")]
    assert [[each["key"] for each in found] for found in hot] == [["'the'"]] * len(hot)
    assert sum(found[0]["pairs"] for found in hot) == 16_000


def tenths_of_words(self, block):
    words = block.text().split()
    yield mr.Pairs(words, np.arange(len(words)) * 0.1)


class Floats(Plain):
    """Sums that are rounded, so that the order of adding shows."""

    def map(self, offset, line):
        for n, word in enumerate(line.split()):
            yield word, (offset + n) * 0.1


class FloatColumns(Floats):
    map_block = tenths_of_words


class Largest(Floats):
    """max(1.0, nan) is 1.0 and max(nan, 1.0) is nan."""

    def map(self, offset, line):
        for n, word in enumerate(line.split()):
            yield word, float("nan") if (offset + n) % 3 else float(offset + n)

    reduce = mr.Max()


@pytest.mark.parametrize("job", [Floats, FloatColumns, Largest])
@pytest.mark.parametrize("memory_bytes", [1_000_000, 64_000_000])
def test_split_hot_keys_leave_what_would_round_otherwise(text, tmp_path, job, memory_bytes):
    shifted = tmp_path / "shifted.txt"
    shifted.write_text("x\n" + Path(text).read_text())
    inputs = [text, str(shifted)]
    whole = mr.run(job, inputs, runner="serial", memory_bytes=64_000_000)
    split = mr.run(job, inputs, runner="serial", memory_bytes=memory_bytes, split_hot_keys=True)
    assert repr(list(split)) == repr(list(whole))


@pytest.mark.parametrize("job", [Plain, PlainMean])
@pytest.mark.parametrize("runner", ["serial", pytest.param("cluster", marks=pytest.mark.slow)])
def test_split_hot_keys_give_the_same_answer_and_few_pairs_travel(text, job, runner):
    whole = mr.run(job, [text], runner="serial")
    split = mr.run(job, [text], runner=runner, split_hot_keys=True)
    assert list(split) == list(whole)
    assert sum(each["records_out"] for each in attempts(whole, "map")) == 20_000
    assert sum(each["records_out"] for each in attempts(split, "map")) < 2_000


def test_a_job_that_combines_has_nothing_to_split(text):
    class Combined(Plain):
        combine = mr.Sum()

    result = mr.run(Combined, [text], runner="serial", split_hot_keys=True)
    assert list(result) == list(mr.run(Plain, [text], runner="serial"))
    assert not any("hot" in each for each in attempts(result, "map"))


def test_a_reduce_by_hand_must_see_all_values_together(text):
    with pytest.raises(UsageError, match="ByHand cannot be split"):
        mr.run(ByHand, [text], runner="serial", split_hot_keys=True)


class ByHandColumns(ByHand):
    map_block = columns_of_words


@pytest.mark.parametrize("job", [ByHand, ByHandColumns])
def test_balanced_keys_give_the_same_answer_and_a_hot_key_its_own_reducer(text, job):
    settings = {"runner": "serial", "reducers": 5}
    hashed = mr.run(job, [text], **settings)
    balanced = mr.run(job, [text], **settings, balance_keys=True)
    assert sorted(balanced) == sorted(hashed)
    pairs = sorted(each["records_in"] for each in attempts(balanced, "reduce"))
    assert sum(pairs) == 20_000
    assert pairs[-1] == 16_000
    assert pairs[-2] < 1_500
    assert sorted(each["records_in"] for each in attempts(hashed, "reduce"))[-1] > 16_000


def test_a_partition_of_ones_own_is_not_balanced(text):
    class Own(ByHand):
        def partition(self, key, partitions):
            return 0

    with pytest.raises(UsageError, match="partition of its own and balance_keys"):
        mr.run(Own, [text], runner="serial", balance_keys=True)
