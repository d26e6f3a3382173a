"""Pair-blocks: many (key, value) pairs as one run of bytes.

Pairs travel column by column: first all keys, then all values. A column of plain ints or floats
is 8 bytes an item and is read back in one step; a column of tuples of one length is a column per
place; everything else goes through the codec. The encoding depends on the pairs alone, and every
value comes back as the type it was.

    header  "MRPB", crc32, version, kinds of the two columns, records, lengths of the two columns
    keys    padded to 8 bytes
    values  padded to 8 bytes

The checksum covers everything behind it. TCP's own 16 bits let damage through (SPARK-4105).
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from minimr.errors import BadRecord, CorruptData
from minimr.keys import preview
from minimr.shuffle import codec
from minimr.shuffle.codec import Buffer

MAGIC = b"MRPB"
VERSION = 1
RECORDS_MAX = 65_536
"""Records per block when they are small."""
BLOCK_BYTES = 1 << 20
"""About how large a block should be when its records are not small; one record may exceed it."""

CODEC, INTS, FLOATS, TUPLES = range(4)
PLACES_MAX = 255
TUPLE_DEPTH_MAX = 4

_PREFIX = struct.Struct("<4sI")
_FIELDS = struct.Struct("<BBBxIQQ")
HEADER_BYTES = _PREFIX.size + _FIELDS.size

Pairs = tuple[list[Any], list[Any]]


def encode_pairs(keys: list[Any], values: list[Any]) -> bytes:
    """Encode two lists of equal length as one block.

    Raises BadRecord, naming the key, if a value cannot be encoded.
    """
    key_kind, key_column = _encode_column(keys)
    try:
        value_kind, value_column = _encode_column(values)
    except TypeError:
        raise _unencodable(keys, values) from None
    fields = _FIELDS.pack(
        VERSION, key_kind, value_kind, len(keys), len(key_column), len(value_column)
    )
    parts = [fields, key_column, _padding(key_column), value_column, _padding(value_column)]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return b"".join([_PREFIX.pack(MAGIC, crc), *parts])


def encode_groups(
    groups: Iterable[tuple[Any, list[Any]]], records_max: int = RECORDS_MAX
) -> Iterator[bytes]:
    """Encode (key, its values) groups as blocks of `records_max` pairs; the last may be smaller.

    Raises BadRecord as `encode_pairs` does.
    """
    keys: list[Any] = []
    values: list[Any] = []
    for key, group in groups:
        if len(group) == 1:
            keys.append(key)
            values.append(group[0])
        else:
            keys += [key] * len(group)
            values += group
        if len(keys) >= records_max:
            whole = len(keys) - len(keys) % records_max
            for start in range(0, whole, records_max):
                end = start + records_max
                yield encode_pairs(keys[start:end], values[start:end])
            keys, values = keys[whole:], values[whole:]
    if keys:
        yield encode_pairs(keys, values)


def decode_pairs(data: Buffer) -> Pairs:
    """Return the keys and the values of one block. Raises CorruptData."""
    view = memoryview(data)
    size_bytes, records = _measure(view)
    if size_bytes != len(view):
        raise CorruptData(f"A pair-block of {size_bytes} bytes came as {len(view)} bytes.")
    _, crc = _PREFIX.unpack_from(view)
    if zlib.crc32(view[_PREFIX.size :]) != crc:
        raise CorruptData("A pair-block is damaged: its checksum does not match.")
    _, key_kind, value_kind, _, key_bytes, value_bytes = _FIELDS.unpack_from(view, _PREFIX.size)
    values_start = HEADER_BYTES + _padded(key_bytes)
    keys = _decode_column(key_kind, view[HEADER_BYTES : HEADER_BYTES + key_bytes])
    values = _decode_column(value_kind, view[values_start : values_start + value_bytes])
    if not len(keys) == len(values) == records:
        raise CorruptData(f"A pair-block of {records} records holds {len(keys)}, {len(values)}.")
    return keys, values


def block_records(block: Buffer) -> int:
    """Return how many pairs a block holds, from its header. Raises CorruptData."""
    return _measure(block)[1]


def split_blocks(data: Buffer) -> Iterator[memoryview]:
    """Cut a concatenation of blocks into the blocks. Raises CorruptData."""
    rest = memoryview(data)
    while rest:
        size_bytes, _ = _measure(rest)
        if size_bytes > len(rest):
            raise CorruptData(f"A pair-block of {size_bytes} bytes is cut off at {len(rest)}.")
        yield rest[:size_bytes]
        rest = rest[size_bytes:]


def read_blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Read blocks until the end of a stream whose `read(n)` gives n bytes, or fewer at the end.

    Raises CorruptData if the stream ends within a block.
    """
    while header := read(HEADER_BYTES):
        size_bytes, _ = _measure(header)
        yield b"".join([header, *_pieces(read, size_bytes - HEADER_BYTES)])


def _pieces(read: Callable[[int], bytes], size_bytes: int) -> Iterator[bytes]:
    """Read a block's columns step by step: their size is not to be believed before they are there.

    Raises CorruptData if the stream ends too early.
    """
    left_bytes = size_bytes
    while left_bytes:
        piece = read(min(left_bytes, BLOCK_BYTES))
        if not piece:
            raise CorruptData(f"A pair-block lacks {left_bytes} of its {size_bytes} bytes.")
        yield piece
        left_bytes -= len(piece)


def _measure(block: Buffer) -> tuple[int, int]:
    """Return the whole size in bytes and the number of records that a block's header names."""
    if len(block) < HEADER_BYTES or block[:4] != MAGIC:
        raise CorruptData("Bytes that should be a pair-block are none.")
    version, _, _, records, key_bytes, value_bytes = _FIELDS.unpack_from(block, _PREFIX.size)
    if version != VERSION:
        raise CorruptData(f"A pair-block has version {version}; this minimr reads {VERSION}.")
    return HEADER_BYTES + _padded(key_bytes) + _padded(value_bytes), records


def _encode_column(column: list[Any], depth: int = 0) -> tuple[int, bytes]:
    kinds = set(map(type, column))
    if kinds == {int}:
        try:
            return INTS, _little_endian(array("q", column)).tobytes()
        except OverflowError:
            pass  # an int of more than 64 bits: the codec takes it
    if kinds == {float}:
        return FLOATS, _little_endian(array("d", column)).tobytes()
    if kinds == {tuple} and depth < TUPLE_DEPTH_MAX:
        lengths = set(map(len, column))
        if len(lengths) == 1 and 0 < min(lengths) <= PLACES_MAX:
            return TUPLES, _encode_tuples(column, depth)
    return CODEC, codec.dumps(column)


def _encode_tuples(column: list[tuple[Any, ...]], depth: int) -> bytes:
    """u8 number of places; then per place: u8 kind, u64 length, the column's bytes."""
    places = [_encode_column(list(place), depth + 1) for place in zip(*column, strict=True)]
    parts: Iterable[bytes] = chain.from_iterable(
        (struct.pack("<BQ", kind, len(data)), data) for kind, data in places
    )
    return bytes([len(places)]) + b"".join(parts)


def _decode_column(kind: int, data: memoryview, depth: int = 0) -> list[Any]:
    if kind in (INTS, FLOATS):
        if len(data) % 8:
            raise CorruptData(f"A column of 8-byte numbers has {len(data)} bytes.")
        numbers: array[Any] = array("q" if kind == INTS else "d")
        numbers.frombytes(data)
        return _little_endian(numbers).tolist()
    if kind == TUPLES and depth < TUPLE_DEPTH_MAX:
        return _decode_tuples(data, depth)
    items = codec.loads(data) if kind == CODEC else None
    if type(items) is not list:
        raise CorruptData(f"A column of kind {kind} holds no list.")
    return items


def _decode_tuples(data: memoryview, depth: int) -> list[Any]:
    places = []
    position = 1
    try:
        for _ in range(data[0]):
            kind, length = struct.unpack_from("<BQ", data, position)
            position += 9
            if position + length > len(data):
                raise CorruptData("A column of tuples is cut short.")
            places.append(_decode_column(kind, data[position : position + length], depth + 1))
            position += length
        return list(zip(*places, strict=True))
    except (struct.error, ValueError, IndexError) as error:
        raise CorruptData(f"A column of tuples does not decode: {error}") from error


def _little_endian(numbers: "array[Any]") -> "array[Any]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _padded(size_bytes: int) -> int:
    return size_bytes + -size_bytes % 8


def _padding(data: bytes) -> bytes:
    return bytes(-len(data) % 8)


def _unencodable(keys: list[Any], values: list[Any]) -> BadRecord:
    for key, value in zip(keys, values, strict=True):
        try:
            codec.pack(value)
        except TypeError as error:
            return BadRecord(f"The value of the key {preview(key)} cannot travel: {error}.")
    return BadRecord("The values of a block cannot travel together.")
