import weakref
from itertools import islice, pairwise
from operator import attrgetter, itemgetter
from sys import getrefcount
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.shuffle import byte_strings
from minimr.shuffle import merge_columns as merging
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.columns import items, size_bytes
from minimr.shuffle.merge_columns import Chunk, in_blocks, merge_columns

from .columns_of import KEYS, KINDS, form_of, sort_key
from .values import same

PIECES = {"streaming": (False, None), "in memory": (True, None), "in pieces": (True, 40)}
WAYS = pytest.mark.parametrize(("in_memory", "piece_bytes"), PIECES.values(), ids=PIECES)


@st.composite
def sorted_runs(draw):
    """Runs of sorted pairs, the values telling the pairs apart, and the size of their blocks."""
    kind = draw(KINDS)
    runs = []
    for number in range(draw(st.integers(0, 5))):
        keys = sorted(draw(st.lists(KEYS[kind], max_size=14)), key=sort_key)
        runs.append([(key, 100 * number + place) for place, key in enumerate(keys)])
    return runs, draw(st.integers(1, 5)), draw(st.integers(0, 2))


def blocks_of(run, block_size, form, loads=None):
    """A run as columns, block by block; with an empty one between."""
    for start in range(0, len(run), block_size):
        if loads is not None:
            loads.append(start)
        block = run[start : start + block_size]
        yield form_of([key for key, _ in block], form), np.array([value for _, value in block])
        yield [], []


def pairs_of(chunks):
    return [
        pair
        for chunk in chunks
        for pair in zip(items(chunk.keys), items(chunk.values), strict=True)
    ]


@WAYS
@given(sorted_runs())
def test_pairs_come_in_order_of_key_then_run_then_place(in_memory, piece_bytes, given_runs):
    runs, block_size, form = given_runs
    columns = [blocks_of(run, block_size, form) for run in runs]
    wanted = sorted((pair for run in runs for pair in run), key=lambda pair: sort_key(pair[0]))
    assert same(pairs_of(merge_columns(columns, in_memory, piece_bytes)), wanted)


@given(sorted_runs())
def test_a_key_goes_on_only_after_an_open_chunk(given_runs):
    runs, block_size, form = given_runs
    chunks = list(
        merge_columns([blocks_of(run, block_size, form) for run in runs], in_memory=False)
    )
    for before, after in pairwise(chunks):
        assert len(before.keys) > 0
        last, first = items(before.keys)[-1], items(after.keys)[0]
        assert before.open or sort_key(last) < sort_key(first)


@given(sorted_runs())
def test_a_merge_takes_few_steps_and_reads_each_block_once(given_runs):
    runs, block_size, form = given_runs
    loads = []
    columns = [blocks_of(run, block_size, form, loads) for run in runs]
    blocks = sum(-(-len(run) // block_size) for run in runs)
    bound = blocks * (len(runs) + 1)
    chunks = list(islice(merge_columns(columns, in_memory=False), bound + 1))
    assert len(chunks) <= bound
    assert len(loads) == blocks
    assert sum(len(chunk.keys) for chunk in chunks) == sum(map(len, runs))


def test_a_merge_of_blocks_of_one_pair_is_not_quadratic():
    """Each chunk ends with the end of some run's block, so blocks bound the steps."""
    runs = [[(n * 3 + number, number) for n in range(400)] for number in range(3)]
    chunks = list(merge_columns([blocks_of(run, 1, 1) for run in runs], in_memory=False))
    assert len(chunks) <= 1200
    assert [key for key, _ in pairs_of(chunks)] == list(range(1200))


def test_a_streaming_merge_holds_one_block_of_each_run():
    loads = [[], []]
    runs = [[(n, 0) for n in range(10)], [(n + 20, 1) for n in range(10)]]
    columns = [blocks_of(run, 2, 1, loads[n]) for n, run in enumerate(runs)]
    chunks = merge_columns(columns, in_memory=False)
    for _ in range(4):
        next(chunks)
    assert list(map(len, loads)) == [5, 1]


def test_a_long_key_stays_in_pieces():
    runs = [[("a", n) for n in range(9)] + [("b", 9)], [("a", n) for n in range(10, 14)]]
    chunks = list(merge_columns([blocks_of(run, 2, 1) for run in runs], in_memory=False))
    assert max(len(chunk.keys) for chunk in chunks) <= 4
    assert [value for key, value in pairs_of(chunks) if key == "a"] == [*range(9), *range(10, 14)]


@WAYS
@pytest.mark.parametrize("others", [[1.0], [True], ["a"], [(1,)], [None]])
def test_keys_of_two_kinds_are_an_error_that_names_both(in_memory, piece_bytes, others):
    runs = [[([1], [0])], [(others, [0])]]
    with pytest.raises(BadRecord, match=r"Keys of two kinds meet in one job: 1 \(int\) and"):
        list(merge_columns(runs, in_memory, piece_bytes))


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 200))
def test_blocks_are_cut_anew_and_nothing_is_lost(sizes, block_bytes):
    numbers = iter(range(sum(sizes)))
    parts = [
        (np.array(keys, np.int64), np.array(keys, np.int64))
        for size in sizes
        for keys in [list(islice(numbers, size))]
    ]
    blocks = list(in_blocks(iter(parts), block_bytes))
    rows = max(1, block_bytes // 16)
    assert pairs_of(Chunk(*block) for block in blocks) == [(n, n) for n in range(sum(sizes))]
    assert all(len(keys) == rows for keys, _ in blocks[:-1])
    assert all(0 < len(keys) <= rows for keys, _ in blocks[-1:])


@given(sorted_runs())
def test_pairs_that_are_too_large_to_be_copied_come_in_the_same_order(given_runs):
    runs, block_size, form = given_runs
    with patch.object(merging, "HUGE_BYTES", 1), patch.object(byte_strings, "LONG_BYTES", 1):
        columns = [blocks_of(run, 1 + block_size % 2, form) for run in runs]
        found = pairs_of(merge_columns(columns, in_memory=False))
    wanted = sorted((pair for run in runs for pair in run), key=lambda pair: sort_key(pair[0]))
    assert same(found, wanted)


@pytest.mark.parametrize("different", [1, 30], ids=["one key", "many keys"])
def test_of_huge_pairs_few_are_there_at_once(different):
    made = []
    most = 0

    def blocks(run):
        nonlocal most
        for n in range(run, 30, 2):
            row = np.full((1, 2 << 20), n, np.uint8)
            made.append(weakref.ref(row))
            most = max(most, sum(each() is not None for each in made))
            value = ByteStrings.fixed(row)
            del row
            yield np.array([n * different // 30]), value
            del value

    runs = [blocks(0), blocks(1)]
    chunks = map(attrgetter("keys", "values"), merge_columns(runs, in_memory=False))
    assert sum(map(len, map(itemgetter(1), in_blocks(chunks, 1000)))) == 30
    assert most <= 3


def test_a_block_ends_before_it_becomes_too_large():
    """However the few large pairs lie among the small ones."""
    lengths = [9_000 if n in (50, 51, 52, 400) else 3 for n in range(1_000)]
    strings = ByteStrings.of([b"x" * length for length in lengths])
    blocks = list(in_blocks([(np.arange(1_000), strings)], 2_000))
    assert [n for keys, _ in blocks for n in keys] == list(range(1_000))
    assert max(size_bytes(keys) + size_bytes(values) for keys, values in blocks) < 11_100


def test_the_key_that_showed_the_kind_is_not_held():
    key, held = "".join(["a", "b"]), []

    def run():
        before = getrefcount(key)
        yield [key], [0]
        yield ["c"], [1]
        held.append(getrefcount(key) - before)
        yield ["d"], [2]

    for chunk in merge_columns([run()], in_memory=False):
        del chunk
    assert held == [0]
