"""Which neighbours share a map task."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.formats.pack import PACKS_WANTED, packed, splits_of, task_input
from minimr.formats.splits import SPLIT_BYTES, Split


def splits_of_sizes(sizes):
    return [Split(f"{number}.txt", 0, size, number % 2) for number, size in enumerate(sizes)]


def packs_of_sizes(sizes):
    return [[each.length for each in pack] for pack in packed(splits_of_sizes(sizes), sizes)]


@given(st.lists(st.integers(0, 2 * SPLIT_BYTES), min_size=1, max_size=200))
def test_every_split_is_in_one_pack_and_their_order_stays(sizes):
    splits = splits_of_sizes(sizes)
    packs = packed(splits, sizes)
    assert [split for pack in packs for split in pack] == splits
    assert all(packs)


@given(st.lists(st.integers(0, 2 * SPLIT_BYTES), min_size=1, max_size=200))
def test_packs_are_as_full_as_they_may_be(sizes):
    limit = min(SPLIT_BYTES, -(-sum(sizes) // PACKS_WANTED))
    packs = packs_of_sizes(sizes)
    assert all(len(pack) == 1 or sum(pack) <= limit for pack in packs)
    for pack, following in pairwise(packs):
        assert sum(pack) + following[0] > limit


@pytest.mark.parametrize(
    ("sizes", "packs"),
    [
        ([1000] * 1600, PACKS_WANTED),
        ([10] * 4, 4),
        ([0] * 50, 1),
        ([SPLIT_BYTES] * 40, 40),
        ([1 << 20] * 800, 50),
    ],
)
def test_how_many_tasks_there_are(sizes, packs):
    assert len(packs_of_sizes(sizes)) == packs


@pytest.mark.parametrize("count", [1, 3])
def test_a_pack_travels_and_comes_back(count):
    splits = splits_of_sizes([5] * count)
    assert list(splits_of(task_input(splits))) == splits
