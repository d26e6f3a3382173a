import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle.columns import concat, items
from minimr.shuffle.groups import LongGroup, whole_groups
from minimr.shuffle.merge_columns import Chunk, merge_columns

from .columns_of import sort_key
from .test_merge_columns import blocks_of, sorted_runs
from .values import same


def wanted_of(runs):
    """Each key, as the first run has it, with all its values in order of the runs."""
    groups = []
    for key, value in sorted(
        (pair for run in runs for pair in run), key=lambda pair: sort_key(pair[0])
    ):
        if not groups or groups[-1][0] != key:
            groups.append((key, []))
        groups[-1][1].append(value)
    return groups


def chunks_of(runs, block_size, form=1):
    return merge_columns([blocks_of(run, block_size, form) for run in runs], in_memory=False)


def read(groups, pieces_max=None):
    """The groups as lists; of a long one at most some pieces."""
    for each in groups:
        if isinstance(each, LongGroup):
            pieces = [piece for piece, _ in zip(each.pieces, range(pieces_max or 99), strict=False)]
            yield items(each.keys)[0], items(concat(pieces))
        else:
            yield from each


@given(sorted_runs(), st.sampled_from([0, 40, 100, 1 << 20]))
def test_every_group_comes_whole_whatever_the_memory(given_runs, memory_bytes):
    runs, block_size, form = given_runs
    groups = whole_groups(chunks_of(runs, block_size, form), memory_bytes)
    assert same(list(read(groups)), wanted_of(runs))


@given(sorted_runs())
def test_what_is_left_of_a_long_group_unread_is_passed_over(given_runs):
    runs, block_size, form = given_runs
    groups = list(read(whole_groups(chunks_of(runs, block_size, form), 0), pieces_max=1))
    assert same([key for key, _ in groups], [key for key, _ in wanted_of(runs)])


def test_only_groups_that_outgrow_the_memory_are_long():
    runs = [[("a", 1), ("b", 1), ("b", 2), ("c", 1)], [("b", 3)] * 50 + [("d", 1)]]
    sizes = [
        (type(each).__name__, items(each.keys))
        for each in whole_groups(chunks_of(runs, 2), memory_bytes=200)
    ]
    assert ("LongGroup", ["b"]) in sizes
    assert [kind for kind, _ in sizes].count("LongGroup") == 1
    whole = whole_groups(chunks_of(runs, 2), memory_bytes=1 << 20)
    assert not any(isinstance(each, LongGroup) for each in whole)


def test_a_group_takes_at_most_half_of_the_memory():
    """It is there twice while its pieces are joined."""

    def group_of(values):
        pieces = [np.arange(values // 2), np.arange(values // 2)]
        chunks = [Chunk(np.zeros(len(piece), np.int64), piece, open=True) for piece in pieces]
        (found,) = whole_groups(iter(chunks), memory_bytes=16 * 100)
        return type(found).__name__

    assert [group_of(100), group_of(102)] == ["Groups", "LongGroup"]


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_an_open_chunk_may_hold_other_keys_before_the_one_that_goes_on(memory_bytes):
    cells = [([1, 1, 2], True), ([2, 2], True), ([2, 3], True), ([4], True), ([4], False)]
    values = iter(range(9))
    chunks = [
        Chunk(np.array(keys), np.array([next(values) for _ in keys]), goes_on)
        for keys, goes_on in cells
    ]
    wanted = [(1, [0, 1]), (2, [2, 3, 4, 5]), (3, [6]), (4, [7, 8])]
    assert list(read(whole_groups(iter(chunks), memory_bytes))) == wanted


def test_values_that_are_tuples_come_as_a_list():
    runs = [[(1, (2, "a")), (1, (3, "b"))]]
    chunks = merge_columns([[([1, 1], [(2, "a"), (3, "b")])] for _ in runs], in_memory=True)
    (groups,) = whole_groups(chunks, 1 << 20)
    assert groups.values == [(2, "a"), (3, "b")]
