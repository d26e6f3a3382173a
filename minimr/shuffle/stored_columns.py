"""One column as bytes and back: the forms in which keys and values lie in a pair-block.

    CODEC    anything: a list, through the codec
    INTS     8 bytes an item, little-endian           FLOATS   the same, IEEE 754
    TUPLES   u8 number of places; per place u8 kind, u64 length, the column's bytes
    BOOLS    a byte an item, 0 or 1
    ROWS     u8 dtype, u8 number of dimensions of an item, 6 zeros; u64 each of these; the items,
             arrays of one dtype and shape, end to end
    STRINGS  u8 text, 7 zeros; u32 length of each item, padded to 8; the items end to end
    FIXED    u8 text, 3 zeros, u32 width; the items end to end
    REPEATED u16 number of each item, padded to 8; the different items through the codec

The last is for strings that come again and again, as sorted keys and names of files do (a
"dictionary encoding", as Parquet has it): each is stored once, and is one object when it is read.

Each can be read in two ways: as a list of Python objects, which needs no numpy (but for ROWS), or
as a column of shuffle/columns.py, whose arrays are views of the bytes. Ints, floats and rows have
one form, whether they come from a list or from an array.

Decoding trusts nobody: nothing is allocated before the bytes for it are known to be there.
"""

import struct
import sys
from array import array
from collections import defaultdict
from itertools import accumulate, chain, count
from math import prod
from typing import TYPE_CHECKING, Any

from minimr.errors import CorruptData
from minimr.shuffle import codec
from minimr.shuffle.codec import Buffer

if TYPE_CHECKING:
    from minimr.shuffle.byte_strings import ByteStrings
    from minimr.shuffle.columns import Column

CODEC, INTS, FLOATS, TUPLES, BOOLS, ROWS, STRINGS, FIXED, REPEATED = range(9)
TYPED = frozenset((INTS, FLOATS, BOOLS, STRINGS, FIXED))
"""The kinds of column whose keys are hashed, sorted and compared by numpy."""

DTYPES = tuple(sorted(codec.DTYPES))
NUMBERS = {dtype: number for number, dtype in enumerate(DTYPES)}
"""The dtype of rows is stored as its number in that order."""

PLACES_MAX = 255
TUPLE_DEPTH_MAX = 4
STRING_BYTES_MAX = (1 << 32) - 1
WITH_LARGE_MAX = 1 << 14
"""In a longer list of strings no large one is looked for: such a block has small ones only."""
REPEATED_MIN = 16
"""Fewer strings are not worth a look."""
LOOKED_AT = 1024
"""Of so many strings at the beginning an eighth must have come before."""

_PLACE = struct.Struct("<BQ")
_STRINGS = struct.Struct("<B7x")
_FIXED = struct.Struct("<B3xI")
_ROWS = struct.Struct("<BB6x")


Parts = list[Buffer]
"""Bytes that are to be joined once, when all of a block are there."""


def encode_list(column: list[Any], depth: int = 0) -> tuple[int, Parts]:
    """Return the kind and the bytes of a list. Raises TypeError for what cannot be encoded."""
    kinds = set(map(type, column))
    if kinds == {int}:
        try:
            return INTS, [_little_endian(array("q", column)).tobytes()]
        except OverflowError:
            pass  # an int of more than 64 bits: the codec takes it
    if kinds == {float}:
        return FLOATS, [_little_endian(array("d", column)).tobytes()]
    if kinds == {tuple} and depth < TUPLE_DEPTH_MAX:
        lengths = set(map(len, column))
        if len(lengths) == 1 and 0 < min(lengths) <= PLACES_MAX:
            places = zip(*column, strict=True)
            return TUPLES, _join_places([encode_list(list(each), depth + 1) for each in places])
    if kinds == {str} and (repeated := _encode_repeated(column)) is not None:
        return REPEATED, [repeated]
    if kinds in ({str}, {bytes}) and len(column) <= WITH_LARGE_MAX:
        return CODEC, codec.dump_strings(column)
    if _are_rows(column, kinds):
        return ROWS, [_head_of_rows(column[0].dtype, column[0].shape), *map(_bytes_of, column)]
    return CODEC, [codec.dumps(column)]


def encode_column(column: "Column") -> tuple[int, Parts]:
    """Return the kind and the bytes of a column. Raises TypeError for what cannot be encoded."""
    if isinstance(column, list):
        return encode_list(column)
    from minimr.shuffle.byte_strings import ByteStrings
    from minimr.shuffle.columns import Tuples

    if isinstance(column, ByteStrings):
        return _encode_strings(column)
    if isinstance(column, Tuples):
        return TUPLES, _join_places([encode_column(place) for place in column.places])
    return _encode_array(column)


def decode_list(kind: int, data: memoryview, records: int, depth: int = 0) -> list[Any]:
    """Return a column of `records` items as Python objects. Raises CorruptData."""
    items: Any
    if kind in (INTS, FLOATS):
        items = _numbers(kind, data).tolist()
    elif kind == TUPLES and depth < TUPLE_DEPTH_MAX:
        places = _cut_places(data)
        lists = [decode_list(inner, part, records, depth + 1) for inner, part in places]
        if {len(column) for column in lists} != {records}:
            raise CorruptData(f"A column of {records} tuples has places of other lengths.")
        items = list(zip(*lists, strict=True))
    elif kind == BOOLS:
        items = list(map(bool, _checked_bools(data)))
    elif kind == STRINGS:
        text, lengths, content = _cut_strings(data, records)
        items = _cut(content, list(accumulate(lengths, initial=0)), text)
    elif kind == FIXED:
        text, width, content = _cut_fixed(data, records)
        items = _cut(content, [width * n for n in range(records + 1)], text)
    elif kind == ROWS:
        items = list(_rows(data, records))
    elif kind == REPEATED:
        items = _repeated(data, records)
    else:
        items = codec.loads(data) if kind == CODEC else None
    if type(items) is not list:
        raise CorruptData(f"A column of kind {kind} holds no list.")
    return items


def decode_column(kind: int, data: memoryview, records: int, depth: int = 0) -> "Column":
    """Return a column of `records` items; its arrays are views of `data`. Raises CorruptData."""
    import numpy as np

    from minimr.shuffle.byte_strings import ByteStrings
    from minimr.shuffle.columns import Tuples

    if kind in (INTS, FLOATS):
        _check_numbers(data)
        dtype = np.dtype("<i8" if kind == INTS else "<f8")
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
    if kind == TUPLES and depth < TUPLE_DEPTH_MAX:
        places = _cut_places(data)
        columns = [decode_column(inner, part, records, depth + 1) for inner, part in places]
        if {len(column) for column in columns} != {records}:
            raise CorruptData(f"A column of {records} tuples has places of other lengths.")
        return Tuples(tuple(columns))
    if kind == BOOLS:
        return np.frombuffer(_checked_bools(data), np.bool_)
    if kind == STRINGS:
        text, lengths, content = _cut_strings(data, records)
        offsets = np.zeros(records + 1, np.int64)
        np.cumsum(np.frombuffer(lengths, np.uint32), out=offsets[1:])
        return ByteStrings(np.frombuffer(content, np.uint8), offsets, text=text)
    if kind == FIXED:
        text, width, content = _cut_fixed(data, records)
        rows = np.frombuffer(content, np.uint8).reshape(records, width)
        return ByteStrings.fixed(rows, text=text)
    return _rows(data, records) if kind == ROWS else decode_list(kind, data, records, depth)


def _encode_array(column: Any) -> tuple[int, Parts]:
    import numpy as np

    if column.ndim > 1:
        if not column.size or column.dtype.str not in NUMBERS:
            return encode_list(list(column))
        content = np.ascontiguousarray(column).view(np.uint8).data.cast("B")
        return ROWS, [_head_of_rows(column.dtype, column.shape[1:]), content]
    kind = {np.int64: INTS, np.float64: FLOATS, np.bool_: BOOLS}[column.dtype.type]
    stored = column.astype(column.dtype.newbyteorder("<"), copy=False)
    return kind, [np.ascontiguousarray(stored).data.cast("B")]


def _are_rows(column: list[Any], kinds: set[type]) -> bool:
    """Tell whether these are arrays of numbers that make up a larger one."""
    numpy = sys.modules.get("numpy")  # if nobody imported numpy, they are not numpy's
    if numpy is None or kinds != {numpy.ndarray}:
        return False
    dtype, shape = column[0].dtype, column[0].shape
    if any(each.shape != shape or each.dtype.str != dtype.str for each in column[1:]):
        return False
    return 0 not in shape and len(shape) > 0 and dtype.str in NUMBERS


def _head_of_rows(dtype: Any, shape: tuple[int, ...]) -> bytes:
    dimensions = len(shape)
    return _ROWS.pack(NUMBERS[dtype.str], dimensions) + struct.pack(f"<{dimensions}Q", *shape)


def _bytes_of(row: Any) -> bytes:
    data: bytes = row.tobytes()
    return data


def _encode_strings(column: "ByteStrings") -> tuple[int, Parts]:
    import numpy as np

    lengths = column.lengths()
    if len(lengths) and int(lengths.max()) > STRING_BYTES_MAX:
        raise TypeError(f"a string of {int(lengths.max()):,} bytes is longer than 4 GiB")
    if column.rows is not None and column.width:
        rows = np.ascontiguousarray(column.rows).data.cast("B")
        return FIXED, [_FIXED.pack(column.text, column.width), rows]
    buffer, _ = column.compact()
    sizes = lengths.astype("<u4").tobytes()
    return STRINGS, [_STRINGS.pack(column.text), sizes, bytes(-len(sizes) % 8), buffer.data]


def _encode_repeated(column: list[str]) -> bytes | None:
    """Return the bytes of strings, or None if too few of them come more than once."""
    sample = column[:LOOKED_AT]
    if len(sample) < REPEATED_MIN or len(set(sample)) > len(sample) * 7 // 8:
        return None
    number_of: defaultdict[str, int] = defaultdict(count().__next__)
    try:
        numbers = array("H", map(number_of.__getitem__, column))
    except OverflowError:  # More than 65,536 different ones.
        return None
    stored = _little_endian(numbers).tobytes()
    return b"".join([stored, bytes(-len(stored) % 8), codec.dumps(list(number_of))])


def _repeated(data: memoryview, records: int) -> list[Any]:
    end = 2 * records
    if end > len(data):
        raise CorruptData(f"A column of {records} repeated strings is cut short.")
    numbers = array("H")
    numbers.frombytes(data[:end])
    different = codec.loads(data[end + -end % 8 :])
    if type(different) is not list:
        raise CorruptData("A column of repeated strings holds no list of them.")
    try:
        return list(map(different.__getitem__, _little_endian(numbers)))
    except IndexError:
        raise CorruptData("A column of repeated strings lacks some of them.") from None


def _join_places(places: list[tuple[int, Parts]]) -> Parts:
    heads = (_PLACE.pack(kind, sum(map(len, parts))) for kind, parts in places)
    each = zip(heads, (parts for _, parts in places), strict=True)
    return [bytes([len(places)]), *chain.from_iterable((head, *parts) for head, parts in each)]


def _cut_places(data: memoryview) -> list[tuple[int, memoryview]]:
    places = []
    position = 1
    try:
        for _ in range(data[0]):
            kind, length = _PLACE.unpack_from(data, position)
            position += _PLACE.size
            if position + length > len(data):
                raise CorruptData("A column of tuples is cut short.")
            places.append((kind, data[position : position + length]))
            position += length
    except (struct.error, IndexError) as error:
        raise CorruptData(f"A column of tuples does not decode: {error}") from error
    return places


def _cut_strings(data: memoryview, records: int) -> "tuple[bool, array[int], memoryview]":
    sizes_end = _STRINGS.size + 4 * records
    start = sizes_end + -sizes_end % 8
    if start > len(data) or data[0] > 1:
        raise CorruptData(f"A column of {records} strings is cut short.")
    lengths = array("I")
    lengths.frombytes(data[_STRINGS.size : sizes_end])
    _little_endian(lengths)
    if sum(lengths) != len(data) - start:
        raise CorruptData(f"{records} strings of {sum(lengths)} bytes have {len(data) - start}.")
    return bool(data[0]), lengths, data[start:]


def _cut_fixed(data: memoryview, records: int) -> tuple[bool, int, memoryview]:
    if len(data) < _FIXED.size or data[0] > 1:
        raise CorruptData("A column of strings has no head.")
    text, width = _FIXED.unpack_from(data)
    if not width or width * records != len(data) - _FIXED.size:
        raise CorruptData(
            f"{records} strings of {width} bytes have {len(data) - _FIXED.size} bytes."
        )
    return bool(text), width, data[_FIXED.size :]


def _cut(content: memoryview, bounds: list[int], text: bool) -> list[Any]:
    from minimr.shuffle.strings import LARGE_BYTES, cut, cut_large

    try:
        if len(content) >= LARGE_BYTES:
            return cut_large(content, bounds, text)
        return cut(bytes(content), bounds, text)
    except UnicodeDecodeError as error:
        raise CorruptData(f"A column of text does not decode: {error}") from error


def _rows(data: memoryview, records: int) -> Any:
    import numpy as np

    try:
        number, dimensions = _ROWS.unpack_from(data)
        shape = struct.unpack_from(f"<{dimensions}Q", data, _ROWS.size)
        dtype = np.dtype(DTYPES[number])
    except (struct.error, IndexError) as error:
        raise CorruptData(f"A column of {records} arrays does not decode: {error}") from error
    content = data[_ROWS.size + 8 * dimensions :]
    size_bytes = records * prod(shape) * dtype.itemsize
    if not 0 < dimensions < codec.DIMENSIONS_MAX or not size_bytes or size_bytes != len(content):
        raise CorruptData(f"{records} arrays of {shape} items have {len(content)} bytes.")
    return np.frombuffer(content, dtype).reshape(records, *shape)


def _numbers(kind: int, data: memoryview) -> "array[Any]":
    _check_numbers(data)
    numbers: array[Any] = array("q" if kind == INTS else "d")
    numbers.frombytes(data)
    return _little_endian(numbers)


def _check_numbers(data: memoryview) -> None:
    if len(data) % 8:
        raise CorruptData(f"A column of 8-byte numbers has {len(data)} bytes.")


def _checked_bools(data: memoryview) -> memoryview:
    if bytes(data).strip(b"\x00\x01"):
        raise CorruptData("A column of bools holds other bytes than 0 and 1.")
    return data


def _little_endian(numbers: "array[Any]") -> "array[Any]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
