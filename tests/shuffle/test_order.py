import random
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.columns import order
from minimr.shuffle.order import field, order_of, order_of_fields, sortable

from .columns_of import KEYS, KINDS, TEXTS, forms, sort_key
from .values import FLOATS, TEXT


def check(keys):
    wanted = sorted(range(len(keys)), key=lambda place: sort_key(keys[place]))
    for column in forms(keys):
        found = order(column)
        assert found.dtype == np.int64
        assert found.tolist() == wanted


@given(KINDS.flatmap(lambda kind: st.lists(KEYS[kind], max_size=40)))
@example([None, None])
@example([1.5, 0.0, -0.0, 0.0, -0.0, -1.5, -0.0])
@example(["\ud800", "\ue000", "\U00010000", "\udfff", "\uffff"])
def test_keys_of_every_kind_are_in_the_order_of_sorted(keys):
    check(keys)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40)
    | st.lists(FLOATS, max_size=40)
    | st.lists(TEXT, max_size=40)
    | st.lists(st.binary(max_size=20), max_size=40)
)
def test_any_keys_are(keys):
    check(keys)


def test_strings_that_differ_by_a_zero_byte_or_at_a_words_border():
    strings = [
        b"a" * length + tail
        for length in (0, 6, 7, 8, 9, 15, 16, 17, 55, 56, 63, 64, 65, 71, 72, 80)
        for tail in (b"", b"\0", b"\0\0", b"b", b"\xff", b"\0b")
    ] * 2
    random.Random(1).shuffle(strings)
    check(strings)
    check([each.decode("latin-1") for each in strings])


def test_texts_are_in_the_order_of_code_points():
    texts = ["".join(pair) for pair in product(TEXTS, repeat=2)] * 2
    random.Random(2).shuffle(texts)
    check(texts)


@pytest.mark.parametrize("width", [0, 1, 7, 8, 9, 16, 17, 63, 64, 65, 72])
def test_strings_of_one_width(width):
    chance = np.random.default_rng(width)
    rows = chance.integers(0, 2, (300, width)).astype(np.uint8) * 255
    check([row.tobytes() for row in rows])
    rows[:, :-1] = 0
    check([row.tobytes() for row in rows])


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 5000])
def test_many_equal_keys_stay_in_their_order(count):
    chance = np.random.default_rng(count)
    small = chance.integers(0, 3, count)
    check(small.tolist())
    check((small * (2**62 // 2) - 2**62).tolist())
    check(small.astype(bool).tolist())
    check((small - 1.0).tolist())
    check([b"x" * int(n) * 9 for n in small])


@pytest.mark.parametrize("close", [0, 1, 60, 2000])
def test_numbers_that_differ_in_their_lowest_bits_alone(close):
    chance = np.random.default_rng(close)
    keys = chance.integers(-(2**63), 2**63 - 1, 2000)
    keys[:close] = keys[chance.integers(0, 2000, close)] & -8
    check((keys + chance.integers(0, 3, 2000)).tolist() * 2)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1])
        ),
        max_size=30,
    )
)
def test_several_fields_sort_as_tuples(rows):
    fields = [field(np.array([row[place] for row in rows], np.uint64)) for place in range(3)]
    wanted = sorted(range(len(rows)), key=rows.__getitem__)
    assert order_of_fields(fields, len(rows)).tolist() == wanted


@given(st.lists(FLOATS, max_size=30))
def test_floats_become_numbers_of_the_same_order(floats):
    numbers = sortable(np.array(floats, np.float64)).tolist()
    for left, right in product(range(len(floats)), repeat=2):
        assert (floats[left] < floats[right]) == (numbers[left] < numbers[right])


def test_sorted_keys_need_no_sorting_and_the_keys_are_left_as_they_are():
    for keys in (np.arange(5), np.array([3, 1, 2]), np.array([0.5, -0.0, 0.0])):
        before = keys.tobytes()
        order_of(keys)
        assert keys.tobytes() == before
    rows = np.frombuffer(b"ba", np.uint8).reshape(2, 1)  # read-only
    assert order_of(ByteStrings.fixed(rows)).tolist() == [1, 0]
