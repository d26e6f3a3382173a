from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from sys import getrefcount

import numpy as np
import pytest

import minimr as mr
from minimr.formats.splits import Split
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.partition import partition_of
from minimr.tasks import collector, map_task
from minimr.tasks.failure import TaskFailed
from minimr.tasks.resident import store_block, store_pairs

from .running import emitted, map_once, pairs_of, run_job, segment, text_input

TEXT = "b a b\nc a b\n"


class WordCount(mr.Job):
    def map(self, _offset, line):
        for word in line.split():
            yield word, 1

    combine = reduce = mr.Sum()


class Words(mr.Job):
    """Word count without a combiner."""

    def map(self, offset, line):
        for word in line.split():
            yield word, offset


def test_pairs_are_sorted_within_their_partition_values_in_order(tmp_path):
    result = map_once(Words, text_input(tmp_path, TEXT), tmp_path)
    expected = [("a", 0), ("a", 6), ("b", 0), ("b", 0), ("b", 6), ("c", 6)]
    assert emitted(result) == [
        [pair for pair in expected if partition_of(pair[0], 2) == partition] for partition in (0, 1)
    ]
    assert (result.records_in, result.records_out) == (2, 6)


def test_a_combiner_leaves_one_value_a_key(tmp_path):
    result = map_once(WordCount, text_input(tmp_path, TEXT), tmp_path, partitions=1)
    assert emitted(result) == [[("a", 2), ("b", 3), ("c", 1)]]
    assert (result.records_in, result.records_out) == (2, 3)


def test_a_line_that_is_longer_than_the_memory_is_an_error_that_says_what_to_do(tmp_path):
    source = text_input(tmp_path, "a\n" + "b" * 2_100_000)
    with pytest.raises(TaskFailed, match=r"(?s):2 takes 2,100,000 bytes.* 3MB \(--memory\)"):
        map_once(WordCount, source, tmp_path, memory_bytes=2_000_000)
    map_once(WordCount, source, tmp_path, 1, memory_bytes=3_000_000)


def test_a_small_output_is_inline_and_touches_no_disk(tmp_path):
    result = map_once(WordCount, text_input(tmp_path, TEXT), tmp_path)
    assert result.path is None
    assert [len(each) for each in result.segments] == result.segment_bytes
    assert result.bytes_out == sum(result.segment_bytes)
    assert list((tmp_path / "map-0").iterdir()) == []


def test_a_large_output_is_one_file_with_the_same_pairs(tmp_path):
    source = text_input(tmp_path, " ".join(f"word-{n}" for n in range(999)))
    inline = map_once(WordCount, source, tmp_path, 0, inline_bytes=1 << 20)
    in_file = map_once(WordCount, source, tmp_path, 1, inline_bytes=1000)
    assert in_file.segments is None
    assert list((tmp_path / "map-1").iterdir()) == [Path(in_file.path)]
    assert emitted(in_file) == emitted(inline)
    assert in_file.segment_bytes == inline.segment_bytes
    assert (in_file.records_out, in_file.bytes_out) == (inline.records_out, inline.bytes_out)
    assert in_file.digest == inline.digest


def test_exactly_the_inline_limit_is_still_inline(tmp_path):
    source = text_input(tmp_path, TEXT)
    size_bytes = map_once(WordCount, source, tmp_path, 0).bytes_out
    assert map_once(WordCount, source, tmp_path, 1, inline_bytes=size_bytes).path is None
    assert map_once(WordCount, source, tmp_path, 2, inline_bytes=size_bytes - 1).path is not None
    assert map_once(WordCount, source, tmp_path, 3, inline_bytes=0).path is not None


def test_a_digest_tells_outputs_apart(tmp_path):
    texts = ["a b", "a c", "b a", "a b c", ""]
    digests = [
        map_once(WordCount, text_input(tmp_path, text), tmp_path, index).digest
        for index, text in enumerate(texts)
    ]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 4


def test_an_empty_input_makes_empty_segments(tmp_path):
    result = map_once(WordCount, text_input(tmp_path, ""), tmp_path)
    assert emitted(result) == [[], []]
    assert (result.records_in, result.records_out, result.bytes_out) == (0, 0, 0)


def long_text():
    rng = np.random.default_rng(5)
    return "\n".join(" ".join(f"w{n}" for n in row) for row in rng.zipf(1.3, (400, 20)) % 997)


@pytest.mark.parametrize("job_class", [WordCount, Words])
def test_spilling_changes_no_pair_and_leaves_no_spill(tmp_path, job_class):
    source = text_input(tmp_path, long_text())
    whole = map_once(job_class, source, tmp_path, 0)
    spilled = map_once(job_class, source, tmp_path, 1, memory_bytes=20_000)
    assert emitted(spilled) == emitted(whole)
    assert not list((tmp_path / "map-1").glob("spill*"))


def test_what_was_spilled_is_not_held_while_the_next_record_is_mapped(tmp_path):
    held = []

    class Held(mr.Job):
        def map(self, _offset, line):
            key = line * 2
            before = getrefcount(key)
            yield key, 1
            held.append(getrefcount(key) - before)

    source = text_input(tmp_path, "".join(f"{letter * 100_000}\n" for letter in "abc"))
    map_once(Held, source, tmp_path, memory_bytes=1000)
    assert held == [0, 0, 0]


class OneKey(mr.Job):
    """Many large values, one small key."""

    def map(self, offset, _line):
        yield "key", f"{offset:01000}"


@pytest.mark.parametrize(
    ("job_class", "expected"), [(mr.Job, (3, 4)), (OneKey, (12, 14)), (WordCount, (0, 0))]
)
def test_what_a_task_holds_decides_how_often_it_spills(tmp_path, monkeypatch, job_class, expected):
    """1000 records of some 300 or 1000 bytes; the combined words are a handful.

    The 11 spills of the large ones are too many for one merge, which makes one more of them.
    """
    spills = []
    original = collector.write_map_output
    monkeypatch.setattr(
        collector, "write_map_output", lambda *args: spills.append(args) or original(*args)
    )
    source = text_input(tmp_path, "a b c d e\n" * 1000)
    map_once(job_class, source, tmp_path, memory_bytes=100_000)
    assert expected[0] <= len(spills) <= expected[1]


def test_combining_often_changes_nothing(tmp_path, monkeypatch):
    source = text_input(tmp_path, long_text())
    once = map_once(WordCount, source, tmp_path, 0)
    monkeypatch.setattr(collector, "COMBINE_EVERY", 100)
    assert emitted(map_once(WordCount, source, tmp_path, 1)) == emitted(once)
    assert dict(chain(*emitted(once))) == Counter(long_text().split())


def test_a_hand_written_combiner_runs_per_key(tmp_path):
    class Longest(mr.Job):
        def map(self, _offset, line):
            yield line[0], line

        def combine(self, key, values):
            assert not isinstance(values, list)
            yield key, max(values, key=len)

    result = map_once(Longest, text_input(tmp_path, "ab\nabc\nb\n"), tmp_path, partitions=1)
    assert emitted(result) == [[("a", "abc"), ("b", "b")]]


def test_a_combiner_may_drop_a_key(tmp_path):
    class Dropping(mr.Job):
        def map(self, _offset, line):
            yield line, 1

        def combine(self, key, values):
            return [(key, 1)] if key == "keep" else []

    text = "drop\nkeep\ndrop\nkeep\n"
    result = map_once(Dropping, text_input(tmp_path, text), tmp_path, partitions=1)
    assert emitted(result) == [[("keep", 1)]]


@pytest.mark.parametrize("memory_bytes", [1 << 30, 5000])
def test_a_combiner_may_leave_values_unread(tmp_path, memory_bytes):
    class Distinct(mr.Job):
        def map(self, _offset, line):
            for word in line.split():
                yield word, len(line)

        def combine(self, word, _values):
            yield word, None

    source = text_input(tmp_path, long_text())
    result = map_once(Distinct, source, tmp_path, partitions=1, memory_bytes=memory_bytes)
    repeated = {word for word, count in Counter(long_text().split()).items() if count > 1}
    keys = [key for key, _ in emitted(result)[0]]
    assert keys == sorted(set(long_text().split()))
    assert {key for key, value in emitted(result)[0] if value is None} >= repeated


@pytest.mark.parametrize("aggregate", [mr.Count(), mr.Mean(), mr.TopK(2), mr.Min(), mr.Sum()])
@pytest.mark.parametrize("memory_bytes", [1 << 30, 10_000])
def test_an_aggregate_combines_to_what_it_reduces_to_alone(tmp_path, aggregate, memory_bytes):
    def map_lengths(self, _offset, line):
        for word in line.split():
            yield len(word), len(line)

    class Alone(mr.Job):
        map = map_lengths
        reduce = aggregate

    class Combined(Alone):
        combine = reduce = aggregate

    texts = [long_text(), "a bb ccc\n", "a"]
    alone = run_job(Alone, texts, tmp_path / "alone")
    combined = run_job(Combined, texts, tmp_path / "combined", memory_bytes=memory_bytes)
    assert combined == alone


def test_counts_that_a_combiner_left_may_be_summed(tmp_path):
    class Counting(mr.Job):
        def map(self, _offset, line):
            yield line, "anything"

        combine = mr.Count()
        reduce = mr.Sum()

    assert run_job(Counting, ["a\na\nb\n", "a\n"], tmp_path / "run", partitions=1) == [
        [("a", 3), ("b", 1)]
    ]


def test_a_job_may_choose_its_partitions(tmp_path):
    class ByLength(mr.Job):
        def map(self, _offset, line):
            yield line, 0

        def partition(self, key, partitions):
            return None if key == "none" else len(key) % partitions

    result = map_once(ByLength, text_input(tmp_path, "aa\na\nb\nnone\n"), tmp_path)
    found = emitted(result)
    assert ("none", 0) in found[partition_of("none", 2)]
    assert {key for key, _ in found[1] if key != "none"} == {"a", "b"}


def test_a_partition_that_does_not_exist_is_an_error_even_where_there_is_but_one(tmp_path):
    class Outside(mr.Job):
        def map(self, _offset, line):
            yield line, 0

        def partition(self, key, partitions):
            return partitions

    with pytest.raises(TaskFailed, match="partition"):
        map_once(Outside, text_input(tmp_path, "a\n"), tmp_path, partitions=1)


def test_runtime_attributes_are_set_before_the_first_call(tmp_path):
    class Telling(mr.Job):
        def map(self, _offset, _line):
            yield (self.input_path, self.partition_index, self.input_index, self.state), 0

    source = {**text_input(tmp_path, "a\n"), "input_index": 4}
    result = map_once(Telling, source, tmp_path, 3, state="here", partitions=1)
    assert emitted(result) == [[((source["path"], 3, 4, "here"), 0)]]


def test_counters_come_back(tmp_path):
    class Counting(mr.Job):
        def map(self, _offset, line):
            self.count("lines")
            self.count("bytes", len(line))
            return ()

    result = map_once(Counting, text_input(tmp_path, "ab\nc\n"), tmp_path)
    assert result.counters == {"lines": 2, "bytes": 3}


class BlockWords(mr.Job):
    def map_block(self, block):
        yield from Counter(block.text().split()).items()

    combine = reduce = mr.Sum()


def test_map_block_gets_text_blocks(tmp_path):
    result = map_once(BlockWords, text_input(tmp_path, "b a\n\na"), tmp_path, partitions=1)
    assert emitted(result) == [[("a", 2), ("b", 1)]]
    assert result.records_in == 3


@pytest.mark.parametrize("errors", ["surrogateescape", "replace"])
def test_the_encoding_and_its_errors_are_used_in_both_forms(tmp_path, errors):
    source = text_input(tmp_path, b"\xff\n")
    for index, job_class in enumerate([WordCount, BlockWords]):
        result = map_once(job_class, source, tmp_path, index, partitions=1, errors=errors)
        assert emitted(result) == [[(b"\xff".decode("utf-8", errors), 1)]]


class Columns(mr.Job):
    input_format = "libsvm"

    def map_block(self, block):
        yield "sum", block["X"].sum(axis=0)


def test_a_format_of_columns_gives_one_block(tmp_path):
    source = text_input(tmp_path, "1 1:2 2:3\n0 1:4\n")
    result = map_once(Columns, source, tmp_path, partitions=1)
    ((key, total),) = emitted(result)[0]
    assert (key, total.tolist(), result.records_in) == ("sum", [6.0, 3.0], 2)


def test_columns_need_map_block(tmp_path):
    class Records(mr.Job):
        input_format = "libsvm"

    with pytest.raises(TaskFailed, match=r"has columns, not records: give the job a map_block"):
        map_once(Records, text_input(tmp_path, "1 1:2\n"), tmp_path)


def test_a_bad_row_is_refused_although_map_block_never_looks_at_it(tmp_path):
    class Rows(mr.Job):
        input_format = "npy"

        def map_block(self, block):
            yield "rows", len(block)

    with (tmp_path / "rows.npy").open("wb") as file:
        np.save(file, np.array([[1.0, 2.0], [np.nan, 3.0]]))
    source = Split(str(tmp_path / "rows.npy"), 0, 1000, 0).to_dict()
    with pytest.raises(TaskFailed, match=r"rows\.npy, row 1 \(counted from 0\)"):
        map_once(Rows, source, tmp_path)


def test_map_block_must_yield_pairs_not_blocks(tmp_path):
    class Wrong(Columns):
        def map_block(self, block):
            return block

    with pytest.raises(TaskFailed, match="must yield pairs here"):
        map_once(Wrong, text_input(tmp_path, "1 1:2\n"), tmp_path)


def test_a_resident_block_is_mapped(tmp_path):
    path = tmp_path / "partition"
    store_block(path, mr.Block({"X": np.arange(6.0).reshape(3, 2)}))
    source = {"kind": "resident", "path": str(path)}
    result = map_once(Columns, source, tmp_path, partitions=1)
    assert pairs_of(segment(result, 0))[0][1].tolist() == [6.0, 9.0]
    assert result.records_in == 3


class SecondRecordIsFine(mr.Job):
    def map(self, offset, _):
        yield 3 if offset == 0 else (0, 1)


def test_nothing_is_read_ahead_of_a_bad_pair(tmp_path):
    with pytest.raises(TaskFailed) as caught:
        map_once(SecondRecordIsFine, text_input(tmp_path, "a\nb\n"), tmp_path, partitions=1)
    assert caught.value.failure.position.endswith(":0")
    store_pairs(tmp_path / "partition", [encode_pairs([0, 1], ["a", "b"])])
    source = {"kind": "resident", "path": str(tmp_path / "partition")}
    with pytest.raises(TaskFailed) as caught:
        map_once(SecondRecordIsFine, source, tmp_path, 1, partitions=1)
    assert "on the record 'a'" in caught.value.failure.text


class SecondBlockIsFine(mr.Job):
    def map_block(self, block):
        yield 3 if block.offset == 0 else (0, 1)


def test_no_block_is_read_ahead_of_a_bad_pair(tmp_path):
    source = text_input(tmp_path, "a line\n" * 500_000)
    with pytest.raises(TaskFailed) as caught:
        map_once(SecondBlockIsFine, source, tmp_path, partitions=1, memory_bytes=2 << 20)
    assert ":0+" in caught.value.failure.position


class YieldsWhatIsAsked(mr.Job):
    def map_block(self, block):
        yield from self.state


class WithPartition(YieldsWhatIsAsked):
    def partition(self, key, partitions):
        return 3


class WithCombiner(YieldsWhatIsAsked):
    combine = reduce = mr.Mean()


class Secondary(YieldsWhatIsAsked):
    secondary_sort = True


LARGE = "x" * 3_000_000


@pytest.mark.parametrize("job", [YieldsWhatIsAsked, WithPartition, WithCombiner, Secondary])
@pytest.mark.parametrize(
    "state",
    [
        [(0, np.arange(3.0))],
        [(1, np.arange(999.0))],
        [(("a", 0.5), [None, {"b": 1}])],
        [("", b"")],
        [(0, LARGE)],
        [(LARGE, 0)],
        [],
        [(0, 1), (0, 2)],
        [(1, 1), (0, 2), (2, 3)],
        [(0, 1), ("a", 2)],
        [(float("nan"), 1)],
        [(0, 1, 2)],
        [[0, 1]],
        ["ab"],
        [3],
        [({}, 1)],
    ],
    ids=lambda state: repr(state)[:20],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_single_pair_is_stored_as_if_there_were_others(tmp_path, monkeypatch, job, state, parts):
    store_block(tmp_path / "partition", mr.Block({"y": np.arange(2.0)}))
    source, found = {"kind": "resident", "path": str(tmp_path / "partition")}, []
    for way in (map_task._is_small_pair, lambda _: False):
        monkeypatch.setattr(map_task, "_is_small_pair", way)
        fields = {"state": state, "partitions": parts, "memory_bytes": 2 << 20, "inline_bytes": 999}
        try:
            result = map_once(job, source, tmp_path, len(found), **fields)
        except TaskFailed as error:
            found.append((error.failure.text, error.failure.kind))
        else:
            assert (result.path is None) == (result.segments is not None)
            found.append((emitted(result), replace(result, path=None)))
    by_number = (
        repr(found[1]).replace("map task 1", "map task 0").replace("partition 1", "partition 0")
    )
    assert repr(found[0]) == by_number


def test_a_round_pays_for_no_digest(tmp_path):
    done = map_once(WordCount, text_input(tmp_path, "a b"), tmp_path, output={"kind": "collect"})
    assert done.digest is None
