"""Compressed pair-blocks: fewer bytes on the disk and on the wire, for some processor time.

Blocks are compressed one by one, so that a merge still reads a block of each run and no more. A
block that was compressed stands in a frame, which is as long as a pair-block's own header:

    header  "MRPZ", crc32, version, codec, records, length as stored, length of the pair-block
    the compressed pair-block, padded to 8 bytes

There are two checksums: this one of the bytes as they are stored, so that damage does not reach the
decompressor, and the one inside, of what it gave back. A block that does not become an eighth
smaller is left as it is, and so is one that is very small or larger than RAW_BYTES_MAX.

That last bound is for the reader: a few bytes can claim to stand for gigabytes (a "bomb"). No frame
may stand for more than RAW_BYTES_MAX, and no more than it says is ever allocated.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from minimr.errors import CorruptData, UsageError
from minimr.shuffle.codec import Buffer

MAGIC = b"MRPZ"
VERSION = 1
NONE = "none"
CODECS = ("zlib", "zstd")
"""A codec's number in a frame is its place here. Python's other ones lose to these: bz2 and lzma
take ten times as long as zlib at its fastest and save little more."""

RAW_BYTES_MAX = 16 << 20
RAW_BYTES_MIN = 512
ZLIB_LEVEL = ZSTD_LEVEL = 1

_PREFIX = struct.Struct("<4sI")
_FIELDS = struct.Struct("<BBxxIQQ")
FRAME_BYTES = _PREFIX.size + _FIELDS.size

Compress = Callable[[bytes], bytes]


def compressor(name: str) -> Compress:
    """Return what compresses bytes as the codec does. Raises UsageError for one that is not there.

    The same bytes give the same result on one machine, but not with every version of a library.
    """
    if name == "zlib":
        return lambda data: zlib.compress(data, ZLIB_LEVEL)
    if name == "zstd":
        compress: Compress = _zstandard().ZstdCompressor(level=ZSTD_LEVEL).compress
        return compress
    raise UsageError(f"compress must be one of {', '.join((NONE, *CODECS))}, not {name!r}")


def framed(block: bytes, records: int, codec: str, compress: Compress) -> bytes:
    """Return a pair-block of so many records in a frame, or as it is if that saves too little."""
    if not RAW_BYTES_MIN <= len(block) <= RAW_BYTES_MAX:
        return block
    stored = compress(block)
    if len(stored) > len(block) * 7 // 8:
        return block
    fields = _FIELDS.pack(VERSION, CODECS.index(codec), records, len(stored), len(block))
    padding = bytes(-len(stored) % 8)
    crc = zlib.crc32(padding, zlib.crc32(stored, zlib.crc32(fields)))
    return b"".join([_PREFIX.pack(MAGIC, crc), fields, stored, padding])


def measure(frame: Buffer) -> tuple[int, int]:
    """Return the whole size in bytes and the number of records, from the header. CorruptData."""
    version, _, records, stored_bytes, raw_bytes = _FIELDS.unpack_from(frame, _PREFIX.size)
    if version != VERSION:
        raise CorruptData(f"A compressed block has version {version}; this minimr reads {VERSION}.")
    if stored_bytes >= raw_bytes or raw_bytes > RAW_BYTES_MAX:
        raise CorruptData(
            f"A compressed block of {stored_bytes:,} bytes says that it stands for {raw_bytes:,}; "
            f"{RAW_BYTES_MAX:,} is the most."
        )
    return FRAME_BYTES + stored_bytes + -stored_bytes % 8, records


def raw_bytes(frame: Buffer) -> int:
    """Return the size in bytes of the pair-block that a frame says it stands for."""
    size_bytes: int = _FIELDS.unpack_from(frame, _PREFIX.size)[4]
    return size_bytes


def unframed(frame: memoryview) -> bytes:
    """Return the pair-block of a whole frame, which `measure` has passed. Raises CorruptData."""
    _, crc = _PREFIX.unpack_from(frame)
    if zlib.crc32(frame[_PREFIX.size :]) != crc:
        raise CorruptData("A compressed block is damaged: its checksum does not match.")
    _, codec, _, stored_bytes, raw_bytes = _FIELDS.unpack_from(frame, _PREFIX.size)
    if codec >= len(CODECS):
        raise CorruptData(f"A block is compressed by the codec {codec}, which nobody knows.")
    decompress = _from_zlib if CODECS[codec] == "zlib" else _from_zstd
    block = decompress(frame[FRAME_BYTES : FRAME_BYTES + stored_bytes], raw_bytes)
    if block is None or len(block) != raw_bytes:
        raise CorruptData(f"A compressed block does not give the {raw_bytes:,} bytes it promises.")
    return block


def _from_zlib(data: memoryview, raw_bytes: int) -> bytes | None:
    decompressing = zlib.decompressobj()
    try:
        block = decompressing.decompress(data, raw_bytes + 1)
    except zlib.error:
        return None
    return block if decompressing.eof else None


def _from_zstd(data: memoryview, raw_bytes: int) -> bytes | None:
    zstandard = _zstandard()
    try:
        # The library believes the size in the frame, so it is looked at first.
        if zstandard.get_frame_parameters(data).content_size != raw_bytes:
            return None
        block: bytes = zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        return None
    return block


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            "compress=zstd needs the package zstandard: pip install 'minimr[compress]', on every "
            "machine; zlib comes with Python"
        ) from None
    return zstandard


@dataclass
class Compressing:
    """Compresses the blocks of one output, and keeps account of what they were."""

    codec: str

    def __post_init__(self) -> None:
        self._compress = compressor(self.codec)
        self.raw_bytes = self.stored_bytes = 0
        self._segments: dict[int, tuple[int, int]] = {}

    def blocks(self, blocks: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Pass on blocks with their partitions."""
        from minimr.shuffle.pairs import block_records

        for partition, block in blocks:
            length, crc = self._segments.get(partition, (0, 0))
            self._segments[partition] = length + len(block), zlib.crc32(block[:FRAME_BYTES], crc)
            stored = framed(block, block_records(block), self.codec, self._compress)
            self.raw_bytes += len(block)
            self.stored_bytes += len(stored)
            yield partition, stored
            del block, stored  # the next ones need the room

    def segments(self, partitions: int) -> list[tuple[int, int]]:
        """Return length and checksum of each partition's pairs: the same whatever compressed them.

        The checksum is that of the blocks' headers, which hold those of the blocks.
        """
        return [self._segments.get(partition, (0, 0)) for partition in range(partitions)]


def compressed(blocks: Iterator[tuple[int, bytes]], codec: str) -> Iterator[tuple[int, bytes]]:
    """Return blocks, with their partitions, compressed by the codec; with "none" as they are."""
    return blocks if codec == NONE else Compressing(codec).blocks(blocks)
