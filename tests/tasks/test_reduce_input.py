"""A reduce task of many segments and little memory, against sorted()."""

import random
from unittest.mock import ANY

import numpy as np
import pytest

import minimr as mr
from minimr.errors import MinimrError
from minimr.shuffle.compression import CODECS, compressed
from minimr.shuffle.pairs import encode_pairs, open_block
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.reduce_input import Passes, loaded
from minimr.tasks.reduce_task import _goes_by_columns, run_reduce
from minimr.tasks.spec import ReduceTask

LITTLE = 50_000
"""Of this memory a merge takes four segments at once."""


class Values(mr.Job):
    def reduce(self, key, values):
        yield key, list(values)


class Columns(mr.Job):
    def reduce_block(self, groups):
        return mr.Pairs(groups.keys, [values for _, values in groups])


class Seconds(mr.Job):
    secondary_sort = True

    def reduce(self, group, pairs):
        yield group, list(pairs)


def tables(count, rows=40, keys=25):
    chance = random.Random(count)
    return [
        sorted((chance.randrange(keys), f"{segment}-{n}") for n in range(rows))
        for segment in range(count)
    ]


def segment_of(pairs, codec="none"):
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    blocks = [
        (0, encode_pairs(keys[at : at + 7], values[at : at + 7])) for at in range(0, len(keys), 7)
    ]
    data = b"".join(block for _, block in compressed(iter(blocks), codec))
    return read_segment_bytes(data)


def reduced(job, segments, in_memory=False, **fields):
    task = ReduceTask(0, memory_bytes=LITTLE, **fields)
    blocks = run_reduce(job, task, segments, in_memory).pairs
    return [
        pair
        for keys, values in read_segment_bytes(blocks)
        for pair in zip(keys, values, strict=True)
    ]


def oracle(given):
    groups = {}
    for pairs in given:
        for key, value in pairs:
            groups.setdefault(key, []).append(value)
    return sorted(groups.items())


@pytest.fixture
def passes(monkeypatch):
    """How many segments each merge on the way took."""
    sizes = []
    original = Passes._one_run
    monkeypatch.setattr(
        Passes, "_one_run", lambda *args: sizes.append(len(args[1])) or original(*args)
    )
    return sizes


@pytest.mark.parametrize("job", [Values, Columns])
@pytest.mark.parametrize("count", [1, 4, 5, 40])
def test_any_number_of_segments_gives_each_key_its_values_in_map_order(job, count, passes):
    given = tables(count)
    assert reduced(job(), map(segment_of, given)) == oracle(given)
    assert max(passes, default=0) <= 4
    assert (len(passes) > 0) == (count > 4)
    assert len([size for size in passes if size > 1]) >= (count - 4) / 3


@pytest.mark.parametrize("codec", CODECS)
def test_runs_on_the_way_are_compressed_too(codec, passes):
    if codec == "zstd":
        pytest.importorskip("zstandard")
    given = tables(10)
    segments = [segment_of(pairs, codec) for pairs in given]
    assert reduced(Values(), segments, compress=codec) == oracle(given)
    assert max(passes) == 4


def test_a_secondary_sort_goes_through_passes(passes):
    given = [[((key // 5, key % 5), value) for key, value in pairs] for pairs in tables(9)]
    got = reduced(Seconds(), map(segment_of, given))
    groups = {}
    for (group, order), values in oracle(given):
        groups.setdefault(group, []).extend((order, value) for value in values)
    assert got == sorted(groups.items())
    assert passes


def test_the_default_reduce_keeps_the_first_of_equal_keys(passes):
    given = [[(-0.0 if n % 2 else 0.0, n)] * 200 for n in (1, 2, 3, 4, 5, 6)]
    pairs = reduced(mr.Job(), map(segment_of, given))
    assert [str(key) for key, _ in pairs] == ["-0.0"] * 1200
    assert [value for _, value in pairs] == [n for n in range(1, 7) for _ in range(200)]
    assert passes


def test_pairs_that_turn_out_larger_than_expected_are_streamed(passes):
    """What was said to fit did not: it was compressed, or the other partitions were smaller."""
    given = [[(n, "x" * 5_000)] * 7 for n in range(9)]
    assert reduced(Values(), [segment_of(p, "zlib") for p in given], in_memory=True) == oracle(
        given
    )
    assert passes


def test_what_fits_is_loaded_and_what_does_not_is_left():
    given = [[(n, "x" * 1_000)] * 7 for n in range(8)]
    fits, segments = loaded([segment_of(pairs) for pairs in given], 1 << 20)
    assert fits
    assert [block.records for segment in segments for block in segment] == [7] * 8
    read = []

    def counted(pairs):
        for block in segment_of(pairs):
            read.append(block)
            yield block

    fits, segments = loaded([counted(pairs) for pairs in given], 60_000)
    assert not fits
    assert len(read) == 3
    assert [block.lists()[0][0] for segment in segments for block in segment] == list(range(8))


def test_pairs_count_however_little_was_stored_of_them():
    """Strings that come again are stored as numbers of two bytes."""
    pairs = [(str(n), "a path") for n in range(1_000)]
    assert loaded([segment_of(pairs)], 100_000) == (True, ANY)
    assert loaded([segment_of(pairs)], 100_000, pair_bytes=40) == (False, ANY)
    assert loaded([segment_of(pairs)], 161_000, pair_bytes=40) == (True, ANY)


def test_a_block_knows_its_size_before_it_was_compressed():
    block = encode_pairs(["a"], [np.zeros(10_000)])
    ((_, stored),) = compressed(iter([(0, block)]), "zlib")
    assert len(stored) < 1_000
    assert open_block(stored).size_bytes == open_block(block).size_bytes > 80_000


class Calm:
    """Counts ticks; a watcher."""

    ticks = 0

    def tick(self):
        self.ticks += 1

    def at(self, position, sentence=""):
        pass


def test_records_that_outgrow_their_blocks_are_merged_fewer_at_a_time(passes):
    """Of the usual blocks 16 runs fit into the memory, but not of such records."""
    memory_bytes = 48 * 4096
    small = [segment_of([(n, "x")]) for n in range(17)]
    large = [segment_of([(n, "x" * 30_000)]) for n in range(17)]
    with Passes(False, memory_bytes) as few:
        assert len(few.few_enough(small)) == 16
    assert passes == [2] + [1] * 15
    passes.clear()
    with Passes(False, memory_bytes) as few:
        runs = few.few_enough(large)
        assert len(runs) == 2
        assert [block.lists()[0][0] for run in runs for block in run] == list(range(17))
    assert max(passes) == 2


@pytest.mark.parametrize("by_columns", [False, True])
def test_a_merge_on_the_way_shows_that_it_goes_on(by_columns):
    """Each of its passes, not only the first, which reads the segments."""
    calm = Calm()
    given = [[(n, "x" * 2_000)] * 7 for n in range(20)]
    with Passes(by_columns, LITTLE, watcher=calm) as passes:
        runs = passes.few_enough([segment_of(pairs) for pairs in given])
        assert sum(block.records for run in runs for block in run) == 140
    assert calm.ticks > 140 * 2_000 // 4096


def test_a_value_is_not_taken_for_typical(passes):
    """A large one among small ones ends its block, wherever it stands."""
    given = [
        [(n, "x" * (20_000 if n % 3 else 1)) for n in range(segment, 60, 6)] for segment in range(6)
    ]
    with Passes(False, LITTLE) as few:
        runs = few.few_enough([segment_of(pairs) for pairs in given])
        sizes = [block.size_bytes for block in runs[0]]
    assert passes[0] == 2
    assert max(sizes) < 20_000 + 4096 + 1_000


def test_runs_lie_in_the_directory_of_the_task(tmp_path):
    given = tables(5)
    with (
        pytest.raises(MinimrError, match="gone"),
        Passes(False, LITTLE, directory=tmp_path / "gone") as few,
    ):
        few.few_enough([segment_of(pairs) for pairs in given])


def test_large_first_blocks_are_not_all_held_to_choose_the_way():
    """The default reduce looks at the first blocks, until there are 1000 pairs or much to hold."""
    read = []

    def counted(number):
        for block in segment_of([(number, "x" * 5_000)]):
            read.append(number)
            yield block

    runs = [counted(number) for number in range(20)]
    by_columns, whole = _goes_by_columns(mr.Job(), None, runs, 16 * 20_000)
    assert not by_columns
    assert len(read) == 4
    assert [block.lists()[0] for run in whole for block in run] == [[n] for n in range(20)]


def test_a_partition_without_pairs_of_many_maps_is_empty(passes):
    assert reduced(Values(), [segment_of([]) for _ in range(9)]) == []
    assert passes
