from sys import getrefcount

import pytest

import minimr as mr
from minimr.errors import CorruptData
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.failure import TaskFailed
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, ReduceTask, files_output

from .running import pairs_of

BOTH_WAYS = pytest.mark.parametrize("in_memory", [True, False])


class Join(mr.Job):
    """Yields a line for every value, so that their order shows."""

    def reduce(self, key, values):
        assert not isinstance(values, list)
        self.count("keys")
        yield key, "+".join(values)
        yield key, None


def segments():
    return [
        iter([(["a", "a"], ["1", "2"]), (["c"], ["3"])]),
        iter([]),
        iter([(["a", "b"], ["4", "5"])]),
    ]


EXPECTED = [("a", "1+2+4"), ("a", None), ("b", "5"), ("b", None), ("c", "3"), ("c", None)]


@BOTH_WAYS
def test_collected_pairs_come_back_encoded(in_memory):
    result = run_reduce(Join(), ReduceTask(0), segments(), in_memory)
    assert pairs_of(read_segment_bytes(result.pairs)) == EXPECTED
    assert result.part is None
    assert (result.records_in, result.records_out) == (5, 6)
    assert result.bytes_out == len(result.pairs)
    assert result.counters == {"keys": 3}


@BOTH_WAYS
def test_a_part_is_written_under_the_attempts_name(tmp_path, in_memory):
    task = JobSpec(2, output=files_output(tmp_path, "text")).reduce_task(1, attempt=3)
    result = run_reduce(Join(), task, segments(), in_memory)
    (written,) = tmp_path.iterdir()
    assert written.name == "part-00001.attempt-3"
    assert written.read_text() == "a\t1+2+4\na\nb\t5\nb\nc\t3\nc\n"
    assert result.pairs is None
    assert result.part.name == "part-00001"
    assert (result.part.records, result.part.bytes) == (6, written.stat().st_size)
    assert (result.records_out, result.bytes_out) == (6, result.part.bytes)


def test_no_pairs_make_an_empty_part(tmp_path):
    task = ReduceTask(0, files_output(tmp_path, "text"))
    assert run_reduce(Join(), task, [iter([])], True).part.bytes == 0
    assert run_reduce(Join(), ReduceTask(0), [], True).pairs == b""


@pytest.mark.parametrize("error", [ValueError("mine"), CorruptData("damaged")])
def test_a_failed_attempt_leaves_no_file(tmp_path, error):
    def broken():
        yield ["a"], [1]
        raise error

    task = ReduceTask(0, files_output(tmp_path, "text"))
    with pytest.raises((TaskFailed, CorruptData)):
        run_reduce(mr.Job(), task, [broken()], in_memory=False)
    assert list(tmp_path.iterdir()) == []


def test_the_job_knows_its_partition():
    class Telling(mr.Job):
        def reduce(self, key, values):
            yield key, self.partition_index

    result = run_reduce(Telling(), ReduceTask(7), [iter([(["a"], [0])])], True)
    assert pairs_of(read_segment_bytes(result.pairs)) == [("a", 7)]


def test_a_reduce_that_returns_nothing_is_told_so():
    class Returning(mr.Job):
        def reduce(self, key, values):
            pass

    with pytest.raises(TaskFailed, match="reduce returned None; it must yield"):
        run_reduce(Returning(), ReduceTask(0), segments(), True)


def test_the_streaming_way_does_not_hold_a_keys_values():
    read = []

    def endless():
        for number in range(100):
            read.append(number)
            yield ["k"] * 10, list(range(10))

    class First(mr.Job):
        def reduce(self, key, values):
            yield key, (next(values), len(read))

    result = run_reduce(First(), ReduceTask(0), [endless()], in_memory=False)
    ((_, (_, blocks_read)),) = pairs_of(read_segment_bytes(result.pairs))
    assert blocks_read <= 2


def test_what_was_written_is_not_held_while_the_next_group_is_reduced(tmp_path):
    held = []

    class Held(mr.Job):
        def reduce(self, key, values):
            value = "+".join(values)
            before = getrefcount(value)
            yield key, value
            held.append(getrefcount(value) - before)

    run_reduce(Held(), ReduceTask(0, files_output(tmp_path, "text")), segments(), in_memory=False)
    assert held == [0, 0, 0]
