import os
import re
import sys

import numpy as np
import pytest

import minimr as mr
from minimr.errors import CorruptData, MinimrError
from minimr.jobs.grep import Grep
from minimr.tasks.failure import InputLost, Position, Reporting, TaskFailed, describe
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.resident import store_block
from minimr.tasks.spec import ReduceTask

from .running import map_once, text_input


class Inverse(mr.Job):
    def map(self, _offset, line):
        yield "sum", helper(line)


def helper(line):
    return 1 / int(line)


def failure_of(job_class, text, folder, **fields):
    with pytest.raises(TaskFailed) as caught:
        map_once(job_class, text_input(folder, text), folder, **fields)
    return caught.value.failure


def test_the_text_has_the_place_the_record_and_the_users_frames_only(tmp_path):
    failure = failure_of(Inverse, "1\n2\n0\n3\n", tmp_path)
    assert failure.kind == "user"
    assert failure.message == "ZeroDivisionError: division by zero"
    assert failure.position == f"{tmp_path}/input.txt:4"
    head = f"Inverse failed in map task 0 at {tmp_path}/input.txt:4, on the record '0':"
    assert failure.text.splitlines()[0] == head
    frames = re.findall(r'File "(.*)", line \d+, in (\w+)', failure.text)
    assert frames == [(__file__, "map"), (__file__, "helper")]
    assert failure.text.splitlines()[-1] == failure.message


def test_the_same_record_fails_at_the_same_position(tmp_path):
    first = failure_of(Inverse, "1\n0\n", tmp_path)
    (tmp_path / "map-0").rmdir()
    assert failure_of(Inverse, "1\n0\n", tmp_path).position == first.position


def test_long_records_are_cut(tmp_path):
    failure = failure_of(Inverse, "7" * 5000 + "x\n", tmp_path)
    assert max(map(len, failure.text.splitlines())) < 6000
    assert "7" * 90 not in failure.text.splitlines()[0]


def test_causes_are_shown_without_our_frames(tmp_path):
    class Chained(mr.Job):
        def map(self, _offset, line):
            try:
                helper(line)
            except ZeroDivisionError as error:
                raise RuntimeError("as I feared") from error
            yield line, 1

    text = failure_of(Chained, "0\n", tmp_path).text
    assert "ZeroDivisionError: division by zero" in text
    assert "RuntimeError: as I feared" in text
    assert f"{os.sep}tasks{os.sep}source.py" not in text


def test_next_of_nothing_shows_no_frames_of_ours(tmp_path):
    class First(mr.Job):
        def map(self, _offset, line):
            yield next(word for word in line.split() if word.isupper()), 1

    text = failure_of(First, "one\n", tmp_path).text
    assert re.findall(r'File "(.*)", line', text) == [__file__]
    assert text.splitlines()[-1] == "RuntimeError: generator raised StopIteration"


@pytest.mark.parametrize("code", [0, 3, None, "bye"])
def test_sys_exit_is_a_failure_of_its_own_kind(tmp_path, code):
    class Leaving(mr.Job):
        def map(self, _offset, _line):
            sys.exit(code)
            yield

    failure = failure_of(Leaving, "a\n", tmp_path)
    assert failure.kind == "exit"
    assert f"sys.exit({code!r})" in failure.text


@pytest.mark.parametrize("error", [MemoryError, RecursionError, StopIteration, OSError, KeyError])
def test_any_exception_of_user_code_is_reported(tmp_path, error):
    class Raising(mr.Job):
        def map(self, _offset, _line):
            raise error("mine")

    failure = failure_of(Raising, "a\n", tmp_path)
    assert "mine" in failure.text
    assert failure.position == f"{tmp_path}/input.txt:0"


def test_user_code_that_fails_while_a_spill_is_written_is_still_user_code(tmp_path):
    class Raising(mr.Job):
        def map(self, offset, line):
            yield offset, line

        def partition(self, key, partitions):
            raise FileNotFoundError("mine")

    text = "some line\n" * 2000
    failure = failure_of(Raising, text, tmp_path, memory_bytes=1000)
    assert "FileNotFoundError: mine" in failure.text
    assert "in partition of the key 0" in failure.text
    assert list((tmp_path / "map-0").iterdir()) == []


def test_a_failed_attempt_leaves_no_spill(tmp_path):
    class LateFailure(mr.Job):
        def map(self, offset, line):
            yield offset, 1 / (19_000 - offset)

    failure_of(LateFailure, "some line\n" * 2000, tmp_path, memory_bytes=1000)
    assert list((tmp_path / "map-0").iterdir()) == []


def test_after_a_spill_an_error_is_placed_at_its_record_again(tmp_path):
    class LateFailure(mr.Job):
        def map(self, offset, line):
            yield line, 1 / (19_000 - offset)

        combine = reduce = mr.Sum()

    text = "".join(f"line {n % 50:04}\n" for n in range(2000))
    failure = failure_of(LateFailure, text, tmp_path, memory_bytes=20_000)
    assert failure.position == f"{tmp_path}/input.txt:19000"


def test_a_failing_combiner_names_its_key(tmp_path):
    class Bad(mr.Job):
        def map(self, _offset, line):
            yield line, 1

        def combine(self, key, values):
            raise ValueError("mine")

    failure = failure_of(Bad, "a\na\n", tmp_path)
    assert "in combine of the key 'a'" in failure.text
    assert failure.position == "combine of key 'a'"


def test_a_combiner_must_keep_the_key(tmp_path):
    class Renaming(mr.Job):
        def map(self, _offset, line):
            yield line, 1

        def combine(self, key, values):
            yield key.upper(), 1

    assert "it must keep the key" in failure_of(Renaming, "a\na\n", tmp_path).message


def test_our_own_errors_come_without_a_traceback(tmp_path):
    class Mixed(mr.Job):
        def map(self, _offset, line):
            yield (1 if line == "a" else line), 1

    failure = failure_of(Mixed, "a\nb\n", tmp_path)
    assert "Traceback" not in failure.text
    assert failure.text.splitlines() == [
        f"Mixed failed in map task 0 at {tmp_path}/input.txt:2, on the record 'b':",
        failure.message,
    ]


@pytest.mark.parametrize("returned", [None, 3])
def test_a_map_that_yields_nothing_it_can_walk_is_told_so(tmp_path, returned):
    class Returning(mr.Job):
        def map(self, _offset, _line):
            return returned

    message = failure_of(Returning, "a\n", tmp_path).message
    assert message.startswith(f"map returned {returned}; it must yield (key, value) pairs")


def test_a_bad_byte_is_placed_by_the_reader_not_at_the_record_before(tmp_path):
    failure = failure_of(mr.Job, b"good\nb\xffd\n", tmp_path, errors="strict")
    assert failure.position == failure.message
    assert "input.txt: byte 6 is not valid utf-8" in failure.message


def test_an_unencodable_value_names_its_key(tmp_path):
    class Sets(mr.Job):
        def map(self, _offset, line):
            yield line, {line}

    message = failure_of(Sets, "a\n", tmp_path).message
    assert message.startswith("The value of the key 'a' cannot travel: a value of type set")


def test_a_failing_block_is_described_not_printed(tmp_path):
    class Bad(mr.Job):
        def map_block(self, block):
            raise ValueError("mine")

    text = failure_of(Bad, "abc\n" * 1000, tmp_path).text.splitlines()[0]
    assert text.endswith("a block of 4000 bytes that begins " + repr(b"abc\n" * 20)[:77] + "...:")
    path = tmp_path / "partition"
    store_block(path, mr.Block({"a": np.zeros(7)}))
    with pytest.raises(TaskFailed) as caught:
        map_once(Bad, {"kind": "resident", "path": str(path)}, tmp_path, 1)
    assert "map task 1 at partition 1" in caught.value.failure.text
    assert "a block of 7 rows" in caught.value.failure.text


def test_frames_of_the_built_in_jobs_count_as_user_code(tmp_path):
    with pytest.raises(TypeError) as caught:
        list(Grep(pattern="x").map(0, 3))
    text = describe(caught.value, Grep(pattern="x"), Position("map task 0")).text
    assert f"jobs{os.sep}grep.py" in text


def test_a_bug_of_ours_keeps_its_traceback():
    try:
        Position("x").during(1, 2, 3)
    except TypeError as error:
        inside = error
    inside.__traceback__ = None
    assert "TypeError" in describe(inside, mr.Job(), Position("x")).text


@pytest.mark.parametrize(
    "error",
    [CorruptData("damaged"), InputLost("gone"), MinimrError("disk full"), KeyboardInterrupt()],
)
def test_what_is_no_fault_of_the_user_passes(error):
    with pytest.raises(type(error)) as caught, Reporting(mr.Job(), Position("x")):
        raise error
    assert caught.value is error


def test_a_failing_reduce_names_its_key():
    class Bad(mr.Job):
        def reduce(self, key, values):
            yield key, 1 / next(values)

    segments = [iter([(["a", "b"], [1, 0])])]
    with pytest.raises(TaskFailed) as caught:
        run_reduce(Bad(), ReduceTask(3), segments, in_memory=True)
    failure = caught.value.failure
    assert failure.position == "reduce-3:key 'b'"
    head = "Bad failed in reduce task 3, in reduce of the key 'b':"
    assert failure.text.splitlines()[0] == head


def test_keys_that_do_not_go_together_blame_no_key():
    class Mixed(mr.Job):
        pass

    segments = [iter([(["a"], [1])]), iter([([1], [1])])]
    with pytest.raises(TaskFailed) as caught:
        run_reduce(Mixed(), ReduceTask(0), segments, in_memory=True)
    assert caught.value.failure.text.startswith("Mixed failed in reduce task 0:\nKeys of two kinds")
