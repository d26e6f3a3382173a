"""Range partitions against their definition, and how even they are."""

import random
from bisect import bisect_right
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.range_partition import (
    LONGEST_BOUNDARY,
    boundaries_of,
    range_borders,
    range_partitions,
)

KEYS = st.one_of(
    st.lists(st.integers(-5, 5)),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.text(max_size=3)),
    st.lists(st.binary(max_size=3)),
    st.lists(st.tuples(st.integers(0, 3), st.text(max_size=1))),
)
PARTS = st.integers(1, 9)


@given(KEYS, KEYS, PARTS)
def test_parts_follow_one_another_whatever_was_sampled(sample, keys, parts):
    if sample and keys and type(sample[0]) is not type(keys[0]):
        keys = sample[::2]
    boundaries = boundaries_of(sample, parts)
    assert len(boundaries) < parts
    assert boundaries == sorted(boundaries)
    chosen = range_partitions(sorted(keys), boundaries)
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(parts))


@given(KEYS, PARTS)
def test_borders_in_sorted_keys_agree_with_the_parts_of_each_key(keys, parts):
    boundaries = boundaries_of(keys[::3], parts)
    ordered = sorted(keys)
    borders = range_borders(ordered, boundaries, parts)
    assert (len(borders), borders[0], borders[-1]) == (parts + 1, 0, len(keys))
    by_border = [part for part in range(parts) for _ in range(borders[part], borders[part + 1])]
    assert by_border == range_partitions(ordered, boundaries)


def test_borders_are_found_in_columns_as_well():
    numbers = np.array([1, 3, 3, 7], np.int64)
    assert range_borders(numbers, [3, 5], 3) == [0, 1, 3, 4]
    strings = ByteStrings.of([b"a", b"b", b"b\0", b"c"])
    assert range_borders(strings, [b"b"], 2) == [0, 1, 4]
    assert range_borders(ByteStrings.of(["é", "ü"]), ["ü"], 2) == [0, 1, 2]


@given(st.lists(st.integers(0, 1_000), min_size=1, unique=True), PARTS)
def test_distinct_keys_are_cut_as_evenly_as_they_can_be(keys, parts):
    sizes = Counter(range_partitions(keys, boundaries_of(keys, parts)))
    assert max(sizes.values()) <= -(-len(keys) // parts)


@given(st.lists(st.integers(0, 12), min_size=1), st.integers(2, 9))
def test_a_part_holds_its_share_and_less_than_one_key_more(keys, parts):
    """With every key in the sample: what is left for each part is never more than its first share,
    and it ends at the border of a key that is nearest to it."""
    counts = Counter(keys)
    sizes = Counter(range_partitions(keys, boundaries_of(keys, parts)))
    assert max(sizes.values()) <= max(counts.values()) + len(keys) / parts


def test_a_key_that_fills_more_than_a_part_gets_one_of_its_own():
    keys = [5] * 900 + [number for number in range(10, 110) if number != 5]
    boundaries = boundaries_of(keys, 5)
    sizes = Counter(range_partitions(keys, boundaries))
    assert [sizes[part] for part in range(5)] == [900, 25, 25, 25, 25]
    before_and_behind = [1, 2, 3, 4] * 10 + [5] * 900 + [6, 7, 8, 9] * 10
    sizes = Counter(range_partitions(before_and_behind, boundaries_of(before_and_behind, 4)))
    assert [sizes[part] for part in range(4)] == [40, 900, 20, 20]


def test_keys_that_are_all_equal_have_no_boundary():
    assert boundaries_of(["a"] * 100, 4) == []
    assert range_partitions(["a", "b"], []) == [0, 0]


def test_an_empty_sample_has_no_boundary():
    assert boundaries_of([], 4) == []
    assert range_borders([1, 2], [], 3) == [0, 2, 2, 2]


def test_long_boundaries_are_cut_and_order_as_before():
    keys = [letter * 10_000 for letter in "abcdef"]
    boundaries = boundaries_of(keys, 3)
    assert set(map(len, boundaries)) == {LONGEST_BOUNDARY}
    assert range_partitions(keys, boundaries) == [0, 0, 1, 1, 2, 2]


def test_keys_of_another_kind_than_the_sample_are_an_error():
    with pytest.raises(BadRecord, match=r"'b' \(str\) in the sample and 7 \(int\)"):
        range_partitions([7], ["b"])
    with pytest.raises(BadRecord, match="two kinds"):
        range_borders([7], ["b"], 2)


def test_a_thousand_keys_a_part_leave_no_part_a_fifth_too_large():
    """The bound that the module's docstring gives, tried a few times."""
    chance = random.Random(7)
    for parts in (2, 8, 32):
        keys = [chance.random() for _ in range(100_000)]
        boundaries = boundaries_of(chance.sample(keys, 1_000 * parts), parts)
        sizes = Counter(bisect_right(boundaries, key) for key in keys)
        assert max(sizes.values()) < 1.2 * len(keys) / parts
