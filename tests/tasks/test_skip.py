"""Bad records: left out whole, as if the input had never held them."""

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.errors import CorruptData, MinimrError
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.failure import TaskFailed
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.resident import store_block
from minimr.tasks.spec import JobSpec

from .running import emitted, map_once, pairs_of, text_input

BOTH_WAYS = pytest.mark.parametrize("in_memory", [True, False])


class Fussy(mr.Job):
    """Word count that fails in the middle of every line with a "bad" in it."""

    def map(self, _offset, line):
        self.count("lines")
        for word in line.split():
            self.count("words")
            yield word, 1
            if word == "bad":
                raise ValueError(f"{line!r} is bad")

    combine = reduce = mr.Sum()


class Plain(Fussy):
    """The same without a combiner."""

    combine = None


class FussyBlocks(Fussy):
    """The same job with a vectorised twin, which fails with the whole block."""

    def map_block(self, block):
        self.count("lines", block.data.count(b"\n"))
        words = Counter(block.text().split())
        self.count("words", sum(words.values()))
        yield from words.items()
        if "bad" in words:
            raise ValueError("somewhere in here")


def without_bad(text):
    return "".join(line for line in text.splitlines(keepends=True) if "bad" not in line.split())


LINES = st.lists(st.sampled_from(["a", "b", "bad", "cc", "badly"]), max_size=4).map(" ".join)
TEXTS = st.lists(LINES, max_size=12).map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(max_examples=60, deadline=None)
@given(
    TEXTS,
    st.sampled_from([Fussy, Plain, FussyBlocks]),
    st.sampled_from([1, 2000, 1 << 30]),
    st.sampled_from([0, 1 << 20]),
)
def test_what_is_left_is_the_job_over_the_good_lines(
    tmp_path_factory, text, job_class, memory_bytes, inline_bytes
):
    folder = tmp_path_factory.mktemp("run")
    options = {"memory_bytes": memory_bytes, "inline_bytes": inline_bytes}
    found = map_once(job_class, text_input(folder, text, "all"), folder, 0, skip_max=99, **options)
    good = map_once(job_class, text_input(folder, without_bad(text), "good"), folder, 1, **options)
    assert emitted(found) == emitted(good)
    assert found.digest == good.digest
    assert +Counter(found.counters) == +Counter(good.counters)  # but for counts of 0
    assert found.records_in == len(text.splitlines())
    assert len(found.skipped) == found.records_in - good.records_in


def test_each_is_described_by_place_record_and_error(tmp_path):
    text = "good\nbad\n" + "bad " + "x" * 500 + "\ngood\n"
    result = map_once(Fussy, text_input(tmp_path, text), tmp_path, skip_max=2)
    first, second = result.skipped
    assert first == {
        "position": f"{tmp_path}/input.txt:5",
        "record": "'bad'",
        "error": "ValueError: 'bad' is bad",
    }
    assert second["position"] == f"{tmp_path}/input.txt:9"
    assert second["record"] == "'bad " + "x" * 72 + "..."
    assert len(second["error"]) == 300


def test_a_run_without_bad_records_leaves_nothing_out(tmp_path):
    assert map_once(Fussy, text_input(tmp_path, "a\n"), tmp_path, skip_max=1).skipped == []


def test_skipping_is_off_unless_asked_for(tmp_path):
    with pytest.raises(TaskFailed, match="is bad"):
        map_once(Fussy, text_input(tmp_path, "bad\n"), tmp_path)


def test_one_bad_record_more_than_allowed_fails_at_that_record(tmp_path):
    with pytest.raises(TaskFailed) as caught:
        map_once(Fussy, text_input(tmp_path, "bad\nbad\na\nbad 3\n"), tmp_path, skip_max=2)
    failure = caught.value.failure
    assert failure.position == f"{tmp_path}/input.txt:10"
    lines = failure.text.splitlines()
    assert lines[0].endswith("on the record 'bad 3':")
    assert lines[-2:] == [
        "ValueError: 'bad 3' is bad",
        "It is bad record 3 of this task, and --skip-bad-records (skip_bad_records) allows 2.",
    ]
    assert f'File "{__file__}"' in failure.text
    assert "skip.py" not in failure.text.replace("test_skip.py", "")


class Yielding(mr.Job):
    """Yields what the line says."""

    def map(self, _offset, line):
        yield eval(line, {"sys": sys})


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("'ab'", "which is no pair"),
        ("(1.0, 2)", "after keys of the kind int"),
        ("(float('nan'), 2)", "NaN"),
        ("([], 2)", "must be str, bytes, int"),
        ("sys.exit(3)", "sys.exit(3)"),
    ],
)
def test_records_that_yield_nonsense_are_bad(tmp_path, bad, error):
    source = text_input(tmp_path, f"(1, 2)\n{bad}\n(3, 4)\n")
    result = map_once(Yielding, source, tmp_path, partitions=1, skip_max=1)
    assert emitted(result) == [[(1, 2), (3, 4)]]
    assert error in result.skipped[0]["error"]


def test_a_bad_first_record_does_not_decide_the_kind_of_key(tmp_path):
    class Changing(mr.Job):
        def map(self, offset, line):
            if offset == 0:
                yield "text", 0
                raise ValueError
            yield len(line), 0

    result = map_once(Changing, text_input(tmp_path, "a\nb\n"), tmp_path, partitions=1, skip_max=1)
    assert emitted(result) == [[(1, 0)]]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MinimrError("disk full")])
def test_what_is_no_fault_of_the_record_is_not_skipped(tmp_path, error):
    class Interrupted(mr.Job):
        def map(self, _offset, _line):
            raise error

    class InterruptedBlock(mr.Job):
        def map(self, _offset, _line):
            return ()

        def map_block(self, _block):
            raise error

    for index, job_class in enumerate([Interrupted, InterruptedBlock]):
        with pytest.raises(type(error)):
            map_once(job_class, text_input(tmp_path, "a\n"), tmp_path, index, skip_max=9)


def test_a_failing_combiner_is_not_skipped(tmp_path):
    class Bad(mr.Job):
        def map(self, _offset, line):
            yield line, 1

        def combine(self, key, values):
            raise ValueError("mine")

    with pytest.raises(TaskFailed, match="mine"):
        map_once(Bad, text_input(tmp_path, "a\na\n"), tmp_path, skip_max=9)


# ---- blocks


def test_a_failing_block_is_taken_apart_if_there_is_a_map(tmp_path):
    result = map_once(FussyBlocks, text_input(tmp_path, "a\nbad b\nc\n"), tmp_path, skip_max=1)
    assert [each["position"] for each in result.skipped] == [f"{tmp_path}/input.txt:2"]
    assert result.counters == {"lines": 2, "words": 2}


class Once(FussyBlocks):
    def map(self, _offset, _line):
        raise AssertionError("not this way")


def test_good_blocks_stay_whole(tmp_path):
    result = map_once(Once, text_input(tmp_path, "a\nb\n"), tmp_path, skip_max=1)
    assert (result.skipped, result.records_in) == ([], 2)


class BlocksAlone(mr.Job):
    def map_block(self, block):
        raise ValueError("mine")


def test_a_failing_block_fails_the_task_if_there_is_no_map(tmp_path):
    with pytest.raises(TaskFailed, match="mine"):
        map_once(BlocksAlone, text_input(tmp_path, "a\n"), tmp_path, skip_max=9)


def test_columns_cannot_be_taken_apart(tmp_path):
    class Both(BlocksAlone):
        def map(self, key, value):
            yield key, value

    path = tmp_path / "partition"
    store_block(path, mr.Block({"a": np.zeros(7)}))
    source = {"kind": "resident", "path": str(path)}
    with pytest.raises(TaskFailed, match="mine"):
        map_once(Both, source, tmp_path, skip_max=9)


# ---- by order: what killed an earlier attempt


class Deadly(Fussy):
    """Nobody may call it for a bad line."""

    def map(self, offset, line):
        assert "bad" not in line, "this kills"
        return super().map(offset, line)


class DeadlyBlocks(Deadly):
    def map_block(self, block):
        assert b"bad" not in block.data, "this kills"
        yield from Counter(block.text().split()).items()


@pytest.mark.parametrize("job_class", [Deadly, DeadlyBlocks])
def test_records_that_killed_are_left_out_unseen(tmp_path, job_class):
    source = text_input(tmp_path, "a\nbad\nc\n")
    skip = [f"{source['path']}:2", "another file:0", f"{source['path']}:99", "combine of key 'a'"]
    result = map_once(job_class, source, tmp_path, partitions=1, skip_max=1, skip=skip)
    assert emitted(result) == [[("a", 1), ("c", 1)]]
    assert result.skipped == [
        {"position": skip[0], "record": "'bad'", "error": "killed its process"}
    ]


def test_the_first_line_of_a_block_can_be_left_out(tmp_path):
    source = text_input(tmp_path, "bad\nc\n")
    skip = [f"{source['path']}:0"]
    result = map_once(DeadlyBlocks, source, tmp_path, partitions=1, skip_max=1, skip=skip)
    assert emitted(result) == [[("c", 1)]]


def test_blocks_without_such_a_line_stay_whole(tmp_path):
    source = {**text_input(tmp_path, "a\nb\nbad\n"), "length": 4}
    skip = [f"{source['path']}:4", "another file:0", f"{source['path']}:x"]
    result = map_once(Once, source, tmp_path, skip_max=9, skip=skip)
    assert (result.skipped, result.records_in) == ([], 2)


def test_an_order_to_skip_more_than_allowed_fails_the_task_unseen(tmp_path):
    source = text_input(tmp_path, "bad\n")
    with pytest.raises(TaskFailed, match="It killed its process; it is bad record 1"):
        map_once(Deadly, source, tmp_path, skip=[f"{source['path']}:0"])


def test_they_count_like_the_others(tmp_path):
    source = text_input(tmp_path, "bad\nbad\n")
    with pytest.raises(TaskFailed, match="It killed its process; it is bad record 2 of this task"):
        map_once(Fussy, source, tmp_path, skip_max=1, skip=[f"{source['path']}:4"])


def test_a_block_that_killed_is_taken_apart_at_once(tmp_path):
    class Both(BlocksAlone):
        def map(self, _offset, line):
            yield line, 1

    source = text_input(tmp_path, "a\nb\n")
    where = f"{source['path']}:0+4"
    result = map_once(Both, source, tmp_path, 0, partitions=1, skip_max=1, skip=[where])
    assert emitted(result) == [[("a", 1), ("b", 1)]]
    assert result.skipped == []
    with pytest.raises(TaskFailed, match=r"0\+4 killed its process, and no single line can be"):
        map_once(BlocksAlone, source, tmp_path, 1, skip_max=1, skip=[where])


# ---- reduce


class FussyReduce(mr.Job):
    """Fails in the middle of the groups whose key says so."""

    def reduce(self, key, values):
        self.count("groups")
        yield key, next(values)
        if "bad" in key:
            raise ValueError("mine")
        yield key, sum(values)


def segments():
    return [
        iter([(["a", "bad", "bad"], [1, 2, 3]), (["bad", "c"], [4, 5])]),
        iter([(["bad", "bad 2", "d"], [6, 7, 8])]),
        iter([(["a", "d"], [9, 10])]),
    ]


def reduced(job, in_memory, source=None, **fields):
    more = {name: fields.pop(name) for name in ("skip",) if name in fields}
    task = JobSpec(2, **fields).reduce_task(3, **more)
    return run_reduce(job, task, source or segments(), in_memory)


GOOD_GROUPS = [("a", 1), ("a", 9), ("c", 5), ("c", 0), ("d", 8), ("d", 10)]


@BOTH_WAYS
def test_a_bad_group_is_left_out_whole(in_memory):
    result = reduced(FussyReduce(), in_memory, skip_max=2)
    assert pairs_of(read_segment_bytes(result.pairs)) == GOOD_GROUPS
    assert result.counters == {"groups": 3}
    assert (result.records_in, result.records_out) == (10, 6)
    assert result.skipped == [
        {"position": f"reduce-3:key '{key}'", "record": f"'{key}'", "error": "ValueError: mine"}
        for key in ("bad", "bad 2")
    ]


@BOTH_WAYS
def test_too_many_bad_groups_fail_the_task(in_memory):
    with pytest.raises(TaskFailed, match=r"is bad record 2 of this task") as caught:
        reduced(FussyReduce(), in_memory, skip_max=1)
    assert caught.value.failure.position == "reduce-3:key 'bad 2'"


@BOTH_WAYS
def test_groups_that_killed_are_left_out_unseen(in_memory):
    class DeadlyReduce(FussyReduce):
        def reduce(self, key, values):
            assert "bad" not in key
            return super().reduce(key, values)

    skip = ["reduce-3:key 'bad'", "reduce-3:key 'bad 2'"]
    result = reduced(DeadlyReduce(), in_memory, skip_max=2, skip=skip)
    assert pairs_of(read_segment_bytes(result.pairs)) == GOOD_GROUPS
    assert {each["error"] for each in result.skipped} == {"killed its process"}


def test_long_keys_that_look_alike_have_positions_of_their_own():
    keys = ["bad" + "x" * 100 + end for end in "ab"]
    found = reduced(FussyReduce(), True, [iter([(keys, [1, 2])])], skip_max=2)
    first, second = (each["position"] for each in found.skipped)
    assert first != second
    again = reduced(FussyReduce(), True, [iter([(keys, [1, 2])])], skip_max=2, skip=[first])
    assert [each["error"] for each in again.skipped] == ["killed its process", "ValueError: mine"]


def test_reduce_must_yield_pairs_of_one_kind_or_the_group_is_bad():
    class Yields(mr.Job):
        def reduce(self, key, values):
            return next(values)

    values = [[(1, 2)], ["ab"], [("text", 1)], None, [(3, 4)]]
    source = [iter([(list(range(5)), values)])]
    result = reduced(Yields(), True, source, skip_max=3)
    assert pairs_of(read_segment_bytes(result.pairs)) == [(1, 2), (3, 4)]
    assert [each["record"] for each in result.skipped] == ["1", "2", "3"]


class Wrapping(mr.Job):
    def reduce(self, key, values):
        try:
            yield key, list(values)
        except Exception as error:
            raise RuntimeError("what was that?") from error


class Swallowing(mr.Job):
    def reduce(self, key, values):
        found = []
        try:
            found.extend(values)
        except Exception:
            pass
        yield key, found


@pytest.mark.parametrize("job_class", [mr.Job, Wrapping, Swallowing])
def test_values_that_cannot_be_read_are_not_the_groups_fault(job_class):
    def broken():
        yield ["a"], [1]
        raise CorruptData("damaged")

    source = [broken(), iter([(["a"], [2])])]
    with pytest.raises(CorruptData):
        reduced(job_class(), False, source, skip_max=9)


@pytest.mark.parametrize("job_class", [mr.Job, Wrapping, Swallowing])
def test_nor_are_keys_of_two_kinds_that_show_up_while_a_group_is_read(job_class):
    mixed = iter([(["a"], [1]), ([1], [2])])
    with pytest.raises(TaskFailed, match="Keys of two kinds meet"):
        reduced(job_class(), False, [mixed, iter([(["a", "b"], [2, 3])])], skip_max=9)


def test_a_reduce_that_drops_its_values_unread_loses_no_group():
    class Unread(mr.Job):
        def reduce(self, key, values):
            if key == "bad":
                del values
                raise ValueError
            yield key, None

    result = reduced(Unread(), False, skip_max=1)
    assert [key for key, _ in pairs_of(read_segment_bytes(result.pairs))] == [
        "a",
        "bad 2",
        "c",
        "d",
    ]
