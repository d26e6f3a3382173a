import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import CorruptData
from minimr.shuffle import stored_columns
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.columns import Tuples, items, typed
from minimr.shuffle.stored_columns import (
    CODEC,
    FIXED,
    FLOATS,
    INTS,
    REPEATED,
    ROWS,
    STRINGS,
    TUPLE_DEPTH_MAX,
    TUPLES,
    decode_column,
    decode_list,
)

from .columns_of import KEYS, KINDS, forms
from .values import VALUES, same

MATRIX = np.arange(6, dtype=np.int16).reshape(3, 2)
EXAMPLES = {
    "ints": np.array([1, -2, 2**62]),
    "floats": np.array([0.5, -0.0, np.nan]),
    "bools": np.array([True, False, True]),
    "rows": MATRIX,
    "texts": ByteStrings.of(["a", "", "\ud800é"]),
    "bytes": ByteStrings.of([b"a", b"", b"\0\0"]),
    "fixed": ByteStrings.fixed(np.frombuffer(b"abcdef", np.uint8).reshape(3, 2)),
    "tuples": Tuples((np.arange(3), Tuples((np.zeros(3), ByteStrings.of(["a", "b", "c"]))))),
    "anything": [{"a": 1}, None, (1, [2**70])],
    "repeated": ["b", "a", "\ud800é", "a"] * 5,
    "nothing": [],
}


def encode_list(column):
    """The kind and all bytes."""
    kind, parts = stored_columns.encode_list(column)
    return kind, b"".join(parts)


def encode_column(column):
    """The same of a column."""
    kind, parts = stored_columns.encode_column(column)
    return kind, b"".join(parts)


def both_ways(kind, data, records):
    """What is read as a list and as a column."""
    view = memoryview(bytes(data))
    return decode_list(kind, view, records), items(decode_column(kind, view, records))


@given(KINDS.flatmap(lambda kind: st.lists(KEYS[kind], max_size=9)) | st.lists(VALUES, max_size=4))
def test_lists_and_columns_come_back_in_both_ways(cells):
    stored = [encode_list(cells), *map(encode_column, forms(cells))]
    for kind, data in stored:
        for found in both_ways(kind, data, len(cells)):
            assert same(found, cells)


@pytest.mark.parametrize("column", EXAMPLES.values(), ids=EXAMPLES)
def test_every_form_comes_back_in_both_ways(column):
    for found in both_ways(*encode_column(column), len(column)):
        assert same(found, items(column))


@pytest.mark.parametrize("column", EXAMPLES.values(), ids=EXAMPLES)
def test_a_part_of_a_column_or_every_other_item_comes_back(column):
    if isinstance(column, np.ndarray):
        assert same(both_ways(*encode_column(column[::2]), 2)[0], items(column[::2]))
    if isinstance(column, ByteStrings):
        part = column.slice(1, 3)
        assert both_ways(*encode_column(part), 2) == (items(column)[1:], items(column)[1:])


def test_numbers_have_one_form():
    assert encode_list([1, -1]) == (INTS, b"\1" + bytes(7) + b"\xff" * 8)
    assert encode_list([1.0]) == (FLOATS, b"\0\0\0\0\0\0\xf0\x3f")
    for cells in ([1, -1], [0.5, -0.0]):
        kind, data = encode_column(typed(cells))
        assert (kind, bytes(data)) == encode_list(cells)
        for order in "<>":
            kind, data = encode_column(typed(cells).astype(typed(cells).dtype.newbyteorder(order)))
            assert (kind, bytes(data)) == encode_list(cells)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "|b1", "<c16", "|u1"])
@pytest.mark.parametrize("shape", [(3, 2), (1, 4), (2, 3, 1)])
def test_rows_have_one_form(dtype, shape):
    rows = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    kind, data = encode_list(list(rows))
    assert kind == ROWS
    assert encode_column(rows) == encode_column(np.asfortranarray(rows)) == (kind, data)
    for found in both_ways(kind, data, len(rows)):
        assert same(found, list(rows))
        assert {each.dtype.str for each in found} == {dtype}


def test_what_has_no_form_of_its_own_goes_through_the_codec():
    deep = 1
    for _ in range(TUPLE_DEPTH_MAX + 2):
        deep = (deep,)
    for cells in ([1, 2**63], [1, 1.0], [True, 1], [(1,), (1, 2)], [()], [(0,) * 256], ["a"]):
        kind, data = encode_list(cells)
        assert kind == CODEC
        assert both_ways(kind, data, len(cells)) == (cells, cells)
    kind, data = encode_list([deep] * 2)
    assert kind == TUPLES
    assert both_ways(kind, data, 2) == ([deep] * 2, [deep] * 2)
    for arrays in ([np.array(1.0)], [np.zeros(0)], [np.zeros(1), np.zeros(2)]):
        kind, data = encode_list(arrays)
        assert kind == CODEC
        assert all(same(found, arrays) for found in both_ways(kind, data, len(arrays)))
    for cells in ([object()], [np.zeros(2, np.longdouble)], [np.zeros(2, object)]):
        with pytest.raises(TypeError):
            encode_list(cells)
    with pytest.raises(TypeError):
        encode_column(np.zeros((2, 2), np.longdouble))


def test_strings_that_come_again_are_stored_once_and_read_as_one_object():
    words = [word * 1000 for word in "abcd" for _ in range(100)]
    kind, data = encode_list(words)
    assert kind == REPEATED
    assert len(data) < 5000
    for found in both_ways(kind, data, len(words)):
        assert found == words
        assert len(set(map(id, found))) == 4


@pytest.mark.parametrize(
    "strings",
    [
        ["a"] * 15,
        [str(number) for number in range(2000)],
        ["a"] * 200 + [str(number) for number in range(1 << 16)],
        [b"a"] * 20,
    ],
    ids=["few", "different", "too many numbers", "bytes"],
)
def test_other_strings_are_not(strings):
    kind, data = encode_list(strings)
    assert kind == CODEC
    assert both_ways(kind, data, len(strings)) == (strings, strings)


def taken(kind, data, records):
    """Read damaged data: it is CorruptData or a column of so many items, and nothing else."""
    for read in (decode_list, decode_column):
        try:
            found = read(kind, memoryview(data), records)
        except CorruptData:
            continue
        if read is decode_list:
            assert type(found) is list
        items(found)  # ByteStrings decode when they are read


@pytest.mark.parametrize("column", EXAMPLES.values(), ids=EXAMPLES)
@given(st.data())
def test_damage_is_corrupt_data_or_other_items(column, data):
    kind, stored = encode_column(column)
    damaged = bytearray(stored)
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(damaged)))
    records = data.draw(st.sampled_from([len(column), 0, 1, 2**32 - 1]))
    kind = data.draw(st.sampled_from([kind, *range(10)]))
    taken(kind, bytes(damaged[:end]), records)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (INTS, bytes(9)),
        (FLOATS, bytes(7)),
        (TUPLES, b""),
        (TUPLES, b"\1"),
        (TUPLES, b"\1\1" + b"\xff" * 8),
        (ROWS, b""),
        (ROWS, b"\0\0" + bytes(6)),
        (ROWS, b"\x63\1" + bytes(6) + b"\1" + bytes(7) + bytes(3)),
        (ROWS, b"\0\2" + bytes(6) + b"\1" + bytes(7)),
        (ROWS, b"\0\1" + bytes(6) + bytes(8)),
        (ROWS, b"\0\1" + bytes(6) + b"\1" + bytes(7) + bytes(2)),
        (ROWS, b"\0\40" + bytes(6) + (b"\1" + bytes(7)) * 32 + bytes(48)),
        (STRINGS, b""),
        (STRINGS, b"\2" + bytes(15)),
        (FIXED, bytes(3)),
        (FIXED, b"\2\0\0\0\1\0\0\0aaa"),
        (FIXED, bytes(8)),
        (REPEATED, bytes(5)),
        (REPEATED, b"\1\0" * 3 + bytes(2) + encode_list(["a"])[1]),
        (REPEATED, bytes(8) + encode_list([1])[1]),
        (99, b""),
    ],
)
def test_what_cannot_be_three_items_is_corrupt_data(kind, data):
    for read in (decode_list, decode_column):
        with pytest.raises(CorruptData):
            read(kind, memoryview(data), 3)
