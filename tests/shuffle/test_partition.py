from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.shuffle.partition import (
    VECTOR_KEYS_MIN,
    checked_partition,
    partition_of,
    partitions_of,
    stable_hash,
    stable_hash_array,
)

from .values import KEYS_OF_ONE_KIND

GOLDEN = [
    ("", 0x0000000000000000),
    ("a", 0xB4F7B7703B6BDBD7),
    ("minimr", 0x1628FC7743FAEA3A),
    ("Füße", 0xFBB3452D23A802AB),
    ("\ud800", 0x5C839B2BEFB67DCA),
    (b"", 0x0000000000000000),
    (b"a", 0xB4F7B7703B6BDBD7),
    (0, 0x0000000000000000),
    (1, 0x5692161D100B05E5),
    (-1, 0xB4D055FCF2CBBD7B),
    (2**63 - 1, 0x5A682AFE7965DEBD),
    (-(2**63), 0x25C26EA579CEA98A),
    (2**64, 0x3608B3FF7F40DB3E),
    (0.0, 0x0000000000000000),
    (1.5, 0xE72B41D4576E3468),
    (-2.25, 0xF410198F3476314A),
    (float("inf"), 0xCE5683AAAEDC68D0),
    (True, 0x5692161D100B05E5),
    (False, 0x0000000000000000),
    (None, 0x6889E01A27564545),
    ((), 0x0A2502A20DE3C3F2),
    (("a", 1), 0xEDF5572582830EF7),
    ((("x", 2.5), None, b"y", True), 0xD75A7CA6BBA2761E),
]
"""Computed once; the finaliser of 1 is also in the tables of SplitMix64."""


@pytest.mark.parametrize(("key", "expected"), GOLDEN, ids=[ascii(key) for key, _ in GOLDEN])
def test_golden_values_hold_for_ever(key, expected):
    assert stable_hash(key) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_int_arrays_hash_like_their_items(keys):
    assert stable_hash_array(np.array(keys, np.int64)).tolist() == [stable_hash(k) for k in keys]


@given(st.lists(st.floats(allow_nan=False)))
@example([0.0, -0.0])
def test_float_arrays_hash_like_their_items(keys):
    assert stable_hash_array(np.array(keys, np.float64)).tolist() == [stable_hash(k) for k in keys]


@given(KEYS_OF_ONE_KIND, st.integers(1, 9))
def test_many_keys_at_once_give_what_each_gives(keys, partitions):
    keys = keys * VECTOR_KEYS_MIN  # long enough for the vectorised way, too
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


@pytest.mark.parametrize("zeros", [(0.0, -0.0), ((0.0,), (-0.0,))])
def test_equal_floats_hash_alike(zeros):
    assert stable_hash(zeros[0]) == stable_hash(zeros[1])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a",), (b"a",)),
        ((1,), (1.0,)),
        ((1,), (True,)),
        (((1,), 2), ((1, 2),)),
        ((), ((),)),
        (2**64, 2**65),
        (2**64, -(2**64)),
    ],
)
def test_different_tuples_and_huge_ints_hash_differently(left, right):
    assert stable_hash(left) != stable_hash(right)


@pytest.mark.parametrize(
    "keys",
    [
        list(range(10_000)),
        [1000 * n for n in range(10_000)],
        [n / 7 for n in range(10_000)],
        [f"user-{n:06}" for n in range(10_000)],
        [("user", n) for n in range(10_000)],
    ],
    ids=["ints", "thousands", "floats", "names", "tuples"],
)
@pytest.mark.parametrize("partitions", [2, 7, 16])
def test_regular_keys_spread_evenly(keys, partitions):
    sizes = Counter(partitions_of(keys, partitions)).values()
    assert len(sizes) == partitions
    assert max(sizes) < 1.15 * len(keys) / partitions


def test_a_jobs_own_choice_is_checked():
    assert checked_partition(2, "k", 3) == 2
    assert checked_partition(None, "k", 3) == partition_of("k", 3)


@pytest.mark.parametrize("wrong", [3, -1, "1", 1.0])
def test_a_partition_that_is_none_names_the_key(wrong):
    with pytest.raises(BadRecord, match=r"partition\('k', 3\) returned .*int from 0 to 2"):
        checked_partition(wrong, "k", 3)
