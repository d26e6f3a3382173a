"""Rounds that their caller reduces, beside the same rounds with reduce tasks."""

import numpy as np
import pytest

import minimr as mr
from minimr.aggregates import Aggregate
from minimr.cluster.wire import Blob
from minimr.errors import JobFailed
from minimr.observe.log import read_log
from minimr.runners import gather
from minimr.shuffle.pairs import encode_pairs

ROWS = 12


class Own(mr.Job):
    """Yields what each partition has: a key of its own, one of all, an int, a float, a vector."""

    def map_block(self, block):
        labels = block["y"]
        yield "vector", np.array([labels.sum(), 0.1, 1e16])
        yield f"partition {self.partition_index}", self.state
        yield "rows", len(labels)
        yield "float", np.float64(0.1) * 10.0 ** (7 * self.partition_index)

    reduce = mr.Sum()


class Means(Own):
    combine = reduce = mr.Mean()


class Largest(Own):
    def map_block(self, block):
        yield "y", float(block["y"].max())
        yield "y", float(block["y"].min())

    reduce = mr.TopK(3)


class MeanOfOne(Means):
    """One key, and states from a combiner, which no one must lift again."""

    def map_block(self, block):
        yield from (("y", float(y)) for y in block["y"])


class CountOfOne(MeanOfOne):
    combine = reduce = mr.Count()


class SumOfOne(MeanOfOne):
    """A vector without dimensions, whose sum is a number."""

    combine = None

    def map_block(self, block):
        yield -0.0, np.array(1.5)
        yield 0.0, np.array(float(len(block)))

    reduce = mr.Sum()


class Nothing(Own):
    def map_block(self, block):
        yield from ()


class ByHand(Own):
    """The same sums by a method, which no caller runs."""

    def reduce(self, key, values):
        yield from mr.Sum()(key, values)


class Doubled(mr.Sum):
    """An aggregate of a user's."""

    def finish(self, key, states):
        yield key, 2 * states[0]


class OwnAggregate(Own):
    reduce = Doubled()


class Long(mr.Job):
    """As many numbers as the state says, from each partition."""

    def map_block(self, block):
        yield 0, np.full(self.state, float(block["y"].sum()))

    reduce = mr.Sum()


class Unequal(mr.Job):
    def map_block(self, block):
        yield 0, np.zeros(1 + self.partition_index)

    reduce = mr.Sum()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gather")
    path = folder / "numbers.libsvm"
    path.write_text("".join(f"{row} 1:{row}\n" for row in range(ROWS)))
    with mr.Cluster(2, log=folder / "rounds.log") as cluster, cluster.load(path, "libsvm", 3) as it:
        yield it, folder / "rounds.log"


@pytest.fixture
def data(place):
    return place[0]


def rounds(place):
    """(maps, reduces) of all rounds so far."""
    lines = read_log(place[1])
    return [(each["maps"], each["reduces"]) for each in lines if each["event"] == "round_done"]


def exactly(pairs):
    """All that one could tell apart, types and bits."""
    return sorted(
        (key, type(value), value.tobytes() if hasattr(value, "tobytes") else repr(value))
        for key, value in pairs
    )


@pytest.mark.parametrize("job", [Own, Largest, MeanOfOne, CountOfOne, SumOfOne, Nothing])
def test_the_answer_is_that_of_reduce_tasks(place, data, job):
    before = len(rounds(place))
    gathered = data.round(job, state=0.5)
    assert rounds(place)[before:] == [(3, 0)]
    assert exactly(gathered) == exactly(data.round(job, state=0.5, reducers=2))
    assert [key for key, _ in gathered] == sorted(key for key, _ in gathered)


def test_a_mean_is_finished_where_it_is_reduced(data):
    assert dict(data.round(Means, state=3))["rows"] == ROWS / 3


def test_no_reduce_task_runs_for_an_aggregate_of_ours(place, data):
    before = len(rounds(place))
    data.round(Own, state=1)
    data.round(Own, state=1, reducers=2)
    assert rounds(place)[before:] == [(3, 0), (3, 2)]


@pytest.mark.parametrize("job", [ByHand, OwnAggregate])
def test_code_of_users_runs_in_slots_alone(place, data, job):
    before, factor = len(rounds(place)), 2 if job is OwnAggregate else 1
    vector = dict(data.round(job, state=1))["vector"]
    assert vector.tolist() == [factor * 66.0, factor * (0.1 + 0.1 + 0.1), factor * 3e16]
    assert rounds(place)[before:] == [(3, 1)]


def test_large_outputs_go_to_a_reduce_task_and_that_is_remembered(place):
    data, _ = place
    count = gather.inline_bytes(3) // 8 + 1
    before = len(rounds(place))
    for _ in range(2):
        [(_, sums)] = data.round(Long, state=count)
        assert (len(sums), set(sums.tolist())) == (count, {66.0})
    assert rounds(place)[before:] == [(3, 0), (3, 1), (3, 1)]


class LongToo(Long):
    """What `Long` is, and not yet known to need a reduce task."""


def test_of_many_partitions_each_may_send_less(place, data, monkeypatch):
    monkeypatch.setattr(gather, "GATHERED_BYTES_MAX", 3000)
    before = len(rounds(place))
    for count in (100, 125):
        [(_, sums)] = data.round(LongToo, state=count)
        assert sums.tolist() == [66.0] * count
    assert rounds(place)[before:] == [(3, 0), (3, 0), (3, 1)], "125 numbers are 1000 bytes"


def test_an_error_is_told_by_a_reduce_task(place, data):
    with pytest.raises(JobFailed, match="reduce-0 failed twice at the same record"):
        data.round(Unequal)
    failed = [each for each in read_log(place[1]) if each["event"] == "attempt_failed"]
    assert {each["task"] for each in failed} == {"reduce-0"}


def test_only_few_outputs_are_gathered():
    job = Own()
    assert gather.suits(job, gather.PARTITIONS_MAX)
    assert not gather.suits(job, gather.PARTITIONS_MAX + 1)
    for partitions in (1, 8, gather.PARTITIONS_MAX):
        assert 0 < gather.inline_bytes(partitions) * partitions <= gather.GATHERED_BYTES_MAX


class Blocks(Own):
    def reduce_block(self, groups):
        yield mr.Pairs(groups.keys, [0] * len(groups))


def test_a_reduce_block_is_code_of_users(data):
    assert isinstance(Blocks.reduce, Aggregate)
    assert not gather.suits(Blocks(), 1)


def test_what_is_missing_or_damaged_is_left_to_a_reduce_task():
    whole = encode_pairs([0], [1])
    assert gather.reduced(Own(), [Blob(whole), Blob(b""), Blob(whole)], 3) == [(0, 2)]
    assert gather.reduced(Own(), [Blob(whole)] * 2, 3) is None
    assert gather.reduced(Own(), [Blob(whole), Blob(encode_pairs([False], [1]))], 2) is None
    assert gather.reduced(Own(), [Blob(whole), Blob(whole[:-1])], 2) is None
