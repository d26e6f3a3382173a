"""What a reducer yields obeys the limit that what a mapper yields obeys."""

import pytest

import minimr as mr
from minimr.errors import JobFailed
from minimr.runners.request import new_request
from minimr.runners.serial import run_request
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.failure import TaskFailed
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, files_output

MEMORY_BYTES = 1 << 20
VALUE = "x" * 100_000
REFUSED = (
    r"The pair of the key ('key'|'x+'?\.\.\.|None) takes 1,10\d,\d{3} bytes, and a task with a "
    r"memory of 1,048,576 bytes can take 1,048,576\. Allow it 2MB \(--memory\)"
)


class LargeValue(mr.Job):
    def reduce(self, key, values):
        yield key, "".join(values)


class LargeList(mr.Job):
    def reduce(self, key, values):
        yield key, list(values)


class LargeKey(mr.Job):
    def reduce(self, _key, values):
        yield "".join(values), 1


class Summed(mr.Job):
    reduce = mr.Sum()


class LongGroup(LargeValue):
    """A group that is larger than the memory goes to `reduce`."""

    def reduce_block(self, _groups):
        raise AssertionError("it should be larger than the memory")


class Block(mr.Job):
    """Its group fits into the memory, and one of the pairs that it makes of it may not."""

    def reduce_block(self, groups):
        (value,) = groups.values
        yield mr.Pairs(["other", "key"], ["small", value * self.state])


class BlockOfLists(mr.Job):
    """Lists have items of all sizes; the first tells nothing of the others."""

    def reduce_block(self, _groups):
        yield mr.Pairs(["other", "key"], [[VALUE, *["x"] * 99], ["x", *[VALUE] * self.state]])


BLOCK_JOBS = [Block, BlockOfLists]


class Third(mr.Job):
    def reduce(self, _key, values):
        yield from [("1", "small"), ("2", "small"), ("large", "".join(values)), ("4", "small")]


class OfOneKey(LargeValue):
    def map(self, _offset, line):
        yield None, line


@pytest.fixture(params=["collected", "text", "jsonl", "msgpack"])
def reduced(request, tmp_path):
    """Reduce `copies` of VALUE, or one; return the number of pairs in the output."""

    def reduce(job_class, copies, **settings):
        if request.param != "collected":
            settings["output"] = files_output(tmp_path, request.param)
        spec = JobSpec(1, memory_bytes=MEMORY_BYTES, **settings)
        values = [VALUE] * (1 if job_class in BLOCK_JOBS else copies)
        segment = read_segment_bytes(b"".join(encode_pairs(["key"], [each]) for each in values))
        job = spec.new_job(job_class, state=copies)
        return run_reduce(job, spec.reduce_task(0), [segment], in_memory=False).records_out

    return reduce


@pytest.mark.parametrize("job", [LargeValue, LargeList, LargeKey, Summed, LongGroup, *BLOCK_JOBS])
def test_what_is_too_large_is_refused_with_the_memory_that_would_do(job, reduced, tmp_path):
    with pytest.raises(TaskFailed, match=REFUSED) as failed:
        reduced(job, copies=11)
    assert failed.value.failure.text.startswith(f"{job.__name__} failed in reduce task 0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reduced", ["text"], indirect=True)
def test_the_group_is_told_where_pairs_are_written_one_by_one(reduced):
    with pytest.raises(TaskFailed) as failed:
        reduced(LargeKey, copies=11)
    told = "LargeKey failed in reduce task 0, in reduce of the key 'key':\nThe pair of the key 'xxx"
    assert failed.value.failure.text.startswith(told)


@pytest.mark.parametrize("job", [LargeValue, LargeList, LargeKey, Summed, *BLOCK_JOBS])
def test_what_is_a_little_smaller_is_not(job, reduced):
    assert reduced(job, copies=10) == (2 if job in BLOCK_JOBS else 1)


@pytest.mark.parametrize("reduced", ["collected"], indirect=True)
def test_of_pairs_that_are_collected_together_the_large_one_is_named(reduced):
    with pytest.raises(TaskFailed, match=r"The pair of the key 'large' takes") as failed:
        reduced(Third, copies=11)
    assert failed.value.failure.text.startswith("Third failed in reduce task 0:\n")


def test_it_is_no_bad_record_that_could_be_skipped(reduced):
    with pytest.raises(TaskFailed, match=REFUSED):
        reduced(LargeValue, copies=11, skip_max=1)


@pytest.mark.parametrize("to_files", [True, False])
def test_the_serial_runner_refuses_it_too(tmp_path, to_files):
    (tmp_path / "in").write_text(f"{VALUE}\n" * 11)
    output = tmp_path / "out" if to_files else None
    settings = {"reducers": 1, "memory_bytes": MEMORY_BYTES}
    with (
        new_request(OfOneKey, [tmp_path / "in"], output, **settings) as request,
        pytest.raises(JobFailed, match=rf"(?s)in reduce task 0.*{REFUSED}"),
    ):
        run_request(request, lambda _: None)
    assert not (tmp_path / "out").exists()
