"""Pair-blocks: many (key, value) pairs as one run of bytes.

Pairs travel column by column: first all keys, then all values, each in the form that suits it (see
stored_columns.py). The encoding depends on the columns alone, and every value comes back as the
type it was. Whoever reads a block chooses between lists of Python objects and columns.

    header  "MRPB", crc32, version, kinds of the two columns, records, lengths of the two columns
    keys    padded to 8 bytes
    values  padded to 8 bytes

The checksum covers everything behind it. TCP's own 16 bits let damage through (SPARK-4105). Whoever
reads blocks may meet compressed ones among them (see compression.py).
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from minimr.errors import BadRecord, CorruptData
from minimr.keys import preview
from minimr.shuffle import codec, compression
from minimr.shuffle.codec import Buffer
from minimr.shuffle.joined_crc import joined_crc
from minimr.shuffle.stored_columns import (
    TYPED,
    Parts,
    decode_column,
    decode_list,
    encode_column,
    encode_list,
)  # fmt: skip

if TYPE_CHECKING:
    from minimr.shuffle.columns import Column

MAGIC = b"MRPB"
VERSION = 1
RECORDS_MAX = 65_536
"""Records per block when they are small."""
BLOCK_BYTES = 1 << 20
"""About how large a block should be when its records are not small; one record may exceed it."""
LARGE_BYTES = 1 << 20
SMALL_BYTES = 1 << 16
"""Of blocks up to this size a checksum is found sooner by a pass over them."""

_PREFIX = struct.Struct("<4sI")
_FIELDS = struct.Struct("<BBBxIQQ")
HEADER_BYTES = _PREFIX.size + _FIELDS.size
_GONE = memoryview(b"")


class StoredPairs:
    """The pairs of one block that was read: `keys, values = block` gives two lists.

    Its columns are decoded when they are asked for. Damage was noticed before, by the checksum.
    Once there are lists, the bytes are let go: a merge waits with a block of each of its runs.
    """

    __slots__ = ("_keys", "_lists", "_values", "records")

    def __init__(
        self, keys: tuple[int, memoryview], values: tuple[int, memoryview], records: int
    ) -> None:
        self._keys, self._values = keys, values
        self._lists: tuple[list[Any], list[Any]] | None = None
        self.records = records

    @property
    def has_typed_keys(self) -> bool:
        """Tell whether the keys are a column that is no list."""
        return self._keys[0] in TYPED

    @property
    def size_bytes(self) -> int:
        """Return how long the encoded columns are that wait to be decoded, uncompressed."""
        return len(self._keys[1]) + len(self._values[1])

    def lists(self) -> tuple[list[Any], list[Any]]:
        """Return the keys and the values as Python objects. Raises CorruptData."""
        if self._lists is None:
            keys = decode_list(*self._keys, self.records)
            values = decode_list(*self._values, self.records)
            self._check(keys, values)
            self._lists = keys, values
            self._keys, self._values = (self._keys[0], _GONE), (self._values[0], _GONE)
        return self._lists

    def columns(self) -> "tuple[Column, Column]":
        """Return the keys and the values as columns, views of the block. Raises CorruptData.

        Where there are lists already, they are the columns.
        """
        if self._lists is not None:
            return self._lists
        (key_kind, key_data), (value_kind, value_data) = self._keys, self._values
        # A small column that is a view of the block would keep the large one alive.
        if len(key_data) >= LARGE_BYTES > len(value_data):
            value_data = memoryview(bytes(value_data))
        if len(value_data) >= LARGE_BYTES > len(key_data):
            key_data = memoryview(bytes(key_data))
        keys = decode_column(key_kind, key_data, self.records)
        values = decode_column(value_kind, value_data, self.records)
        self._check(keys, values)
        return keys, values

    def _check(self, keys: "Column", values: "Column") -> None:
        if not len(keys) == len(values) == self.records:
            raise CorruptData(
                f"A pair-block of {self.records} records holds {len(keys)}, {len(values)}."
            )

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.lists())

    def __getitem__(self, index: int) -> list[Any]:
        return self.lists()[index]

    def __len__(self) -> int:
        return 2

    def __eq__(self, other: object) -> bool:
        return self.lists() == other if isinstance(other, tuple) else self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.lists())


Pairs = tuple[list[Any], list[Any]] | StoredPairs
"""The keys and the values of one block."""


def encode_pairs(keys: list[Any], values: list[Any]) -> bytes:
    """Encode two lists of equal length as one block.

    Raises BadRecord, naming the key, if a value cannot be encoded.
    """
    stored_keys = encode_list(keys)
    try:
        stored_values = encode_list(values)
    except TypeError:
        raise _unencodable(keys, values) from None
    return _block(len(keys), stored_keys, stored_values)


def encode_columns(keys: "Column", values: "Column") -> bytes:
    """Encode two columns of equal length as one block. Raises BadRecord as `encode_pairs` does."""
    from minimr.shuffle.columns import items

    stored_keys = encode_column(keys)
    try:
        stored_values = encode_column(values)
    except TypeError:
        raise _unencodable(items(keys), items(values)) from None
    return _block(len(keys), stored_keys, stored_values)


def _block(records: int, keys: tuple[int, Parts], values: tuple[int, Parts]) -> bytes:
    (key_kind, key_parts), (value_kind, value_parts) = keys, values
    key_bytes, value_bytes = sum(map(len, key_parts)), sum(map(len, value_parts))
    fields = _FIELDS.pack(VERSION, key_kind, value_kind, records, key_bytes, value_bytes)
    parts = [fields, *key_parts, _padding(key_bytes), *value_parts, _padding(value_bytes)]
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


def open_block(data: Buffer) -> StoredPairs:
    """Return the pairs of one block, its checksum verified. Raises CorruptData."""
    view = memoryview(data)
    size_bytes, records = _measure(view)
    if size_bytes == len(view) and view[:4] == compression.MAGIC:
        view = memoryview(compression.unframed(view))
        size_bytes, inner_records = _measure_plain(view)
        if inner_records != records:
            raise CorruptData(f"A compressed block of {records} records holds {inner_records}.")
    if size_bytes != len(view):
        raise CorruptData(f"A pair-block of {size_bytes} bytes came as {len(view)} bytes.")
    _, crc = _PREFIX.unpack_from(view)
    if zlib.crc32(view[_PREFIX.size :]) != crc:
        raise CorruptData("A pair-block is damaged: its checksum does not match.")
    _, key_kind, value_kind, _, key_bytes, value_bytes = _FIELDS.unpack_from(view, _PREFIX.size)
    values_start = HEADER_BYTES + _padded(key_bytes)
    keys = view[HEADER_BYTES : HEADER_BYTES + key_bytes]
    values = view[values_start : values_start + value_bytes]
    return StoredPairs((key_kind, keys), (value_kind, values), records)


def decode_pairs(data: Buffer) -> tuple[list[Any], list[Any]]:
    """Return the keys and the values of one block as lists. Raises CorruptData."""
    return open_block(data).lists()


def decode_columns(data: Buffer) -> "tuple[Column, Column]":
    """Return the keys and the values of one block as columns. Raises CorruptData."""
    return open_block(data).columns()


def block_records(block: Buffer) -> int:
    """Return how many pairs a block holds, from its header. Raises CorruptData."""
    return _measure(block)[1]


def raw_bytes(block: Buffer) -> int:
    """Return how long a block is that was made just now, or was before it was compressed."""
    return compression.raw_bytes(block) if block[:4] == compression.MAGIC else len(block)


def crc_with_block(crc: int, block: Buffer) -> int:
    """Return the checksum of bytes, whose own is `crc`, and of a block behind them.

    The block, compressed or not, must be sound, made or opened just now: its own checksum saves a
    pass over it.
    """
    if len(block) <= SMALL_BYTES:
        return zlib.crc32(block, crc)
    _, block_crc = _PREFIX.unpack_from(block)
    crc = zlib.crc32(block[: _PREFIX.size], crc)
    return joined_crc(crc, block_crc, len(block) - _PREFIX.size)


def split_blocks(data: Buffer) -> Iterator[memoryview]:
    """Cut a concatenation of blocks into the blocks. Raises CorruptData."""
    rest = memoryview(data)
    while rest:
        size_bytes, _ = _measure(rest)
        if size_bytes > len(rest):
            raise CorruptData(f"A pair-block of {size_bytes} bytes is cut off at {len(rest)}.")
        yield rest[:size_bytes]
        rest = rest[size_bytes:]


def read_blocks(read: Callable[[int], bytes]) -> Iterator[Buffer]:
    """Read blocks until the end of a stream whose `read(n)` gives n bytes, or fewer at the end.

    Raises CorruptData if the stream ends within a block.
    """
    while header := read(HEADER_BYTES):
        size_bytes, _ = _measure(header)
        yield _read_whole(read, header, size_bytes)


def block_sizes(read_at: Callable[[int, int], Buffer], size_bytes: int) -> Iterator[int]:
    """Yield the `raw_bytes` of each block of a concatenation of so many bytes, from the headers.

    `read_at(position, n)` must give n bytes. Raises CorruptData.
    """
    position = 0
    while position < size_bytes:
        header = read_at(position, HEADER_BYTES)
        stored_bytes, _ = _measure(header)
        yield compression.raw_bytes(header) if header[:4] == compression.MAGIC else stored_bytes
        position += stored_bytes


def _read_whole(read: Callable[[int], bytes], header: bytes, size_bytes: int) -> Buffer:
    """Return a block with that header; a large one grows where it is, without a second copy."""
    pieces = _pieces(read, size_bytes - HEADER_BYTES)
    if size_bytes <= BLOCK_BYTES:
        return b"".join([header, *pieces])
    block = bytearray(header)
    for piece in pieces:
        block += piece
    return memoryview(block).toreadonly()


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
    if len(block) >= HEADER_BYTES and block[:4] == compression.MAGIC:
        return compression.measure(block)
    return _measure_plain(block)


def _measure_plain(block: Buffer) -> tuple[int, int]:
    if len(block) < HEADER_BYTES or block[:4] != MAGIC:
        raise CorruptData("Bytes that should be a pair-block are none.")
    version, _, _, records, key_bytes, value_bytes = _FIELDS.unpack_from(block, _PREFIX.size)
    if version != VERSION:
        raise CorruptData(f"A pair-block has version {version}; this minimr reads {VERSION}.")
    return HEADER_BYTES + _padded(key_bytes) + _padded(value_bytes), records


def _padded(size_bytes: int) -> int:
    return size_bytes + -size_bytes % 8


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % 8)


def _unencodable(keys: list[Any], values: list[Any]) -> BadRecord:
    for key, value in zip(keys, values, strict=True):
        try:
            codec.pack(value)
        except TypeError as error:
            return BadRecord(f"The value of the key {preview(key)} cannot travel: {error}.")
    return BadRecord("The values of a block cannot travel together.")
