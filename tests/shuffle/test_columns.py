import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimr.errors import BadRecord, UsageError
from minimr.shuffle.columns import (
    ByteStrings,
    Tuples,
    as_column,
    as_keys,
    concat,
    cut,
    items,
    order,
    starts,
    take,
    typed,
)
from minimr.shuffle.pairs import decode_columns, decode_pairs, encode_columns, encode_pairs
from minimr.shuffle.partition import column_partitions, partition_of

from .values import FLOATS, TEXT, same

STRINGS = st.lists(TEXT, max_size=20) | st.lists(
    st.text("ab\0", max_size=30) | st.sampled_from(["a" * 64, "a" * 65, "a" * 80 + "b"]),
    max_size=20,
)
LISTS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
    st.lists(st.integers(-3, 3), max_size=20),
    st.lists(FLOATS | st.sampled_from([0.0, -0.0]), max_size=20),
    st.lists(st.booleans(), max_size=20),
    STRINGS,
    STRINGS.map(lambda texts: [text.encode("utf-8", "surrogatepass") for text in texts]),
    st.integers(0, 12).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), max_size=20)),
)


def forms(keys):
    """A list of keys in every form of column that can hold it."""
    yield keys
    yield typed(keys)
    if keys and type(keys[0]) is bytes and len(set(map(len, keys))) == 1:
        yield ByteStrings.fixed(np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1))


@given(LISTS)
def test_every_form_holds_the_same_items(keys):
    for column in forms(keys):
        assert same(items(column), keys)
        assert len(column) == len(keys)


@given(LISTS)
@example([0.0, -0.0, 0.0])
@example([b"a\0", b"a", b"a\0\0"])
def test_order_is_that_of_sorted_and_stable(keys):
    expected = sorted(range(len(keys)), key=keys.__getitem__)
    for column in forms(keys):
        assert order(column).tolist() == expected


@given(LISTS)
def test_runs_of_equal_keys_begin_where_a_key_differs_from_the_one_before(keys):
    keys = sorted(keys)
    expected = [n for n in range(len(keys)) if n == 0 or keys[n] != keys[n - 1]]
    for column in forms(keys):
        assert starts(column).tolist() == expected


@given(LISTS, st.data())
def test_columns_are_taken_cut_and_joined_like_lists(keys, data):
    picked = data.draw(st.lists(st.integers(0, max(0, len(keys) - 1)), max_size=9)) if keys else []
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(keys))] * 2)))
    mask = np.array([n in picked for n in range(len(keys))], np.bool_)
    for column in forms(keys):
        assert same(items(take(column, np.array(picked, np.int64))), [keys[n] for n in picked])
        assert same(items(take(column, mask)), [keys[n] for n in sorted(set(picked))])
        part = cut(column, start, end)
        assert same(items(part), keys[start:end])
        assert same(
            items(concat([part, column, cut(column, 0, start)])),
            keys[start:end] + keys + keys[:start],
        )


@given(LISTS, st.integers(1, 7))
def test_columns_are_partitioned_like_keys(keys, partitions):
    for column in forms(keys):
        expected = [partition_of(key, partitions) for key in keys]
        assert column_partitions(column, partitions).tolist() == expected


@given(LISTS)
def test_columns_come_back_from_blocks(keys):
    for column in forms(keys):
        block = encode_columns(column, column)
        assert same(decode_pairs(block), (keys, keys))
        for back in decode_columns(block):
            assert same(items(back), keys)


def test_lists_and_arrays_of_numbers_have_one_form_in_a_block():
    assert encode_columns(np.arange(3), np.arange(3.0)) == encode_pairs([0, 1, 2], [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "column",
    [
        np.arange(12, dtype=np.int32).reshape(3, 4),
        np.arange(12, dtype=">f4").reshape(3, 2, 2),
        np.zeros((3, 0)),
        Tuples((np.arange(3), ByteStrings.of(["a", "b", "c"]))),
        ByteStrings.fixed(np.zeros((3, 0), np.uint8)),
    ],
    ids=str,
)
def test_other_columns_come_back_from_blocks_too(column):
    block = encode_columns([1, 2, 3], column)
    assert same(decode_pairs(block)[1], items(column))
    assert same(items(decode_columns(block)[1]), items(column))


def test_columns_that_do_not_go_together_become_a_list():
    assert concat([np.arange(2), np.array([0.5])]) == [0, 1, 0.5]
    assert concat([np.arange(1), [2**70]]) == [0, 2**70]
    assert concat([ByteStrings.of(["a"]), ByteStrings.of([b"a"])]) == ["a", b"a"]
    assert same(concat([np.zeros((1, 2)), np.ones((1, 3))]), [np.zeros(2), np.ones(3)])
    assert concat([]) == []


def test_a_list_of_alike_items_becomes_the_best_column():
    assert typed([1, 2]).dtype == np.int64
    assert typed([1, True]) == [1, True]
    assert typed([1, 2**63]) == [1, 2**63]
    assert typed([np.zeros(2), np.ones(2)]).shape == (2, 2)
    assert same(items(typed([(1, "a"), (2, "b")])), [(1, "a"), (2, "b")])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([1, 2], np.int8), [1, 2]),
        (np.array([1, 2**63], np.uint64), [1, 2**63]),
        (np.array([0.5], np.float32), [0.5]),
        (np.array([1.5], ">f8"), [1.5]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array([b"a"]), [b"a"]),
        (np.array([1, 2], object), [1, 2]),
        (range(3), [0, 1, 2]),
        ([np.int64(3), np.int64(4)], [3, 4]),
    ],
    ids=repr,
)
def test_what_users_give_becomes_keys_of_plain_types(given, expected):
    keys = as_keys(given)
    assert same(items(keys), expected)
    assert same(items(keys), items(typed(expected)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([1.0, np.nan]), "A key is NaN"),
        ([1.0, float("nan")], "A key is NaN"),
        ([1, "a"], r"the key 'a' \(str\) after keys of the kind int"),
        ([1, True], r"the key True \(bool\) after keys of the kind int"),
        (np.array([[1], [2]]), r"an array of shape \(2, 1\)"),
        (np.array([1j]), "dtype complex128"),
        (np.array(["2026-01-01"], "M8[D]"), "dtype datetime64"),
        ({1: 2}, "must be a numpy array, ByteStrings or a list"),
        ([{1}], "of type set"),
        (np.array([None, 1], object), "after keys of the kind None"),
    ],
    ids=repr,
)
def test_what_can_be_no_keys_is_refused(given, message):
    with pytest.raises(BadRecord, match=message):
        as_keys(given)


def test_values_may_be_rows_but_not_of_anything():
    assert as_column(np.zeros((2, 3), np.float32), "values").dtype == np.float32
    with pytest.raises(BadRecord, match="a matrix of object"):
        as_column(np.array([[None]], object), "values")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ByteStrings.of(["a", b"a"]),
        lambda: ByteStrings.of([1]),
        lambda: ByteStrings.fixed(np.zeros(3, np.uint8)),
        lambda: ByteStrings(np.zeros(3, np.uint8), np.array([0, 4])),
        lambda: ByteStrings(np.zeros(3, np.uint8), np.array([2, 1, 3])),
        lambda: ByteStrings(np.zeros(3), np.array([0, 3])),
    ],
)
def test_byte_strings_of_something_else_are_refused(make):
    with pytest.raises(UsageError):
        make()


def test_items_of_byte_strings_are_reached_by_their_index():
    for strings in (
        ByteStrings.of([b"a", b"", b"ccc"]),
        cut(ByteStrings.of([b"x", b"a", b"", b"ccc"]), 1, 4),
    ):
        assert [strings[n] for n in (0, 1, 2, -1)] == [b"a", b"", b"ccc", b"ccc"]
        with pytest.raises(IndexError):
            strings[3]
    assert ByteStrings.of(["é"])[0] == "é"


def test_huge_strings_are_compared_and_picked():
    huge = "x" * 3_000_000
    strings = ByteStrings.of([huge + "b", "y", huge + "a", huge + "b"])
    places = order(strings)
    assert places.tolist() == [2, 0, 3, 1]
    assert starts(strings.take(places)).tolist() == [0, 1, 3]
    assert strings.take(places).tolist()[-1] == "y"
