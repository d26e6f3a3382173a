"""A map task's output: one indexed file of R segments, segment r holding partition r.

One file per map task, not one per pair of map and reduce task: M x R files are what runs a cluster
out of file descriptors (Spark's SPARK-2044 moved to this "sort shuffle" for that reason).

    "MRMAPOUT"                           magic
    segment 0, segment 1, ...            each a run of pair-blocks, sorted by key
    msgpack [[offset, length, records, crc32], ...]   the index
    u32 length of the index, u32 crc32 of the index, "MRMAPEND"

The index stands at the end because the segments are written as they come. Writing goes to a
temporary name, and a rename makes the file appear whole or not at all.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from minimr.errors import CorruptData
from minimr.shuffle.codec import Buffer
from minimr.shuffle.pairs import (
    StoredPairs,
    block_records,
    block_sizes,
    crc_with_block,
    open_block,
    raw_bytes,
    read_blocks,
    split_blocks,
)  # fmt: skip
from minimr.shuffle.whole_file import WholeFile

MAGIC = b"MRMAPOUT"
END_MAGIC = b"MRMAPEND"
FOOTER = struct.Struct("<II8s")


@dataclass(slots=True)
class Segment:
    """Where one partition's pairs lie in the file, how many they are, and their checksum."""

    offset: int
    length: int = 0
    records: int = 0
    crc: int = 0

    def add(self, block: bytes) -> None:
        """Account for one more block, just made, at the segment's end."""
        self.length += len(block)
        self.records += block_records(block)
        self.crc = crc_with_block(self.crc, block)


@dataclass(frozen=True)
class MapOutputIndex:
    """The segments of one file, by partition."""

    segments: tuple[Segment, ...]
    largest_block: int = field(default=0, compare=False)
    """Bytes of the largest block, uncompressed; known to whoever wrote the file."""

    @property
    def size_bytes(self) -> int:
        """Return the size of all segments together."""
        return sum(segment.length for segment in self.segments)

    @property
    def records(self) -> int:
        """Return the number of pairs in all segments together."""
        return sum(segment.records for segment in self.segments)


class Blocks(Iterator[StoredPairs]):
    """The pairs of a segment, block by block; `sizes` looks up how large all blocks are."""

    def __init__(self, blocks: Iterator[StoredPairs], sizes: Callable[[], Iterable[int]]) -> None:
        self._blocks = blocks
        self.sizes = sizes

    def __next__(self) -> StoredPairs:
        return next(self._blocks)

    def largest_bytes(self) -> int:
        """Return the size of the largest block, uncompressed; of damaged ones, any number."""
        largest = 0
        with suppress(CorruptData, OSError):  # Whoever reads the blocks will say so.
            for size_bytes in self.sizes():
                largest = max(largest, size_bytes)
        return largest


def write_map_output(
    path: Path, partitions: int, blocks: Iterable[tuple[int, bytes]]
) -> MapOutputIndex:
    """Write (partition, pair-block) items, which come in order of partition, as one file.

    Raises MinimrError if the file cannot be written; nothing is left at `path` then.
    """
    segments: list[Segment] = []
    largest_block = 0
    with WholeFile(path, "map output") as file:
        file.write(MAGIC)
        for partition, block in blocks:
            _open_segments(segments, partition + 1, file.position)
            if partition != len(segments) - 1:
                raise ValueError(f"partition {partition} comes after {len(segments) - 1}")
            segments[partition].add(block)
            file.write(block)
            largest_block = max(largest_block, raw_bytes(block))
            del block  # the next one needs the room
        _open_segments(segments, partitions, file.position)
        data = msgpack.packb([astuple(segment) for segment in segments])
        file.write(data)
        file.write(FOOTER.pack(len(data), zlib.crc32(data), END_MAGIC))
    return MapOutputIndex(tuple(segments), largest_block)


def _open_segments(segments: list[Segment], count: int, position: int) -> None:
    """Add empty segments until there are `count`."""
    while len(segments) < count:
        segments.append(Segment(position))


class MapOutputFile:
    """Reads what `write_map_output` wrote. Raises CorruptData, naming the file, for damage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = self._read_index()

    def segment_range(self, partition: int) -> tuple[int, int]:
        """Return the offset and length in bytes of a partition's segment."""
        segment = self.index.segments[partition]
        return segment.offset, segment.length

    def read_segment(self, partition: int) -> Blocks:
        """Return the keys and values of a segment, block by block, the checksums verified."""
        return Blocks(self._read_segment(partition), lambda: self._block_sizes(partition))

    def _block_sizes(self, partition: int) -> Iterator[int]:
        start, length = self.segment_range(partition)
        with self.path.open("rb", buffering=0) as file:

            def read_at(position: int, size_bytes: int) -> bytes:
                return os.pread(file.fileno(), size_bytes, start + position)

            yield from block_sizes(read_at, length)

    def _read_segment(self, partition: int) -> Iterator[StoredPairs]:
        segment = self.index.segments[partition]
        position, end, crc = segment.offset, segment.offset + segment.length, 0
        while position < end:
            block, *pairs = self._read_block(partition, position, end)
            position += len(block)
            crc = crc_with_block(crc, block)
            del block  # the pairs let its bytes go when they are decoded
            yield pairs.pop()  # so that they are not held here
        if crc != segment.crc:
            raise self._corrupt(f"segment {partition}: the checksum does not match")

    def _read_block(self, partition: int, position: int, end: int) -> tuple[Buffer, StoredPairs]:
        """Open the file for one block: a merge reads more segments than a process may open."""
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                block = next(read_blocks(_Limited(file, end - position).read), b"")
            return block, open_block(block)
        except CorruptData as error:
            raise self._corrupt(f"segment {partition}: {error}") from error
        except OSError as error:
            raise self._corrupt(f"segment {partition} cannot be read: {error.strerror}") from error

    def _read_index(self) -> MapOutputIndex:
        try:
            with self.path.open("rb") as file:
                return self._parse_index(file)
        except OSError as error:
            raise self._corrupt(f"cannot be read: {error.strerror}") from error
        except (struct.error, ValueError, TypeError) as error:
            raise self._corrupt(f"its index does not decode: {error}") from error

    def _parse_index(self, file: BinaryIO) -> MapOutputIndex:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - FOOTER.size))
        length, crc, magic = FOOTER.unpack(file.read())
        start = size_bytes - FOOTER.size - length
        if magic != END_MAGIC or start < len(MAGIC):
            raise self._corrupt("it has no end mark; it was not written to its end")
        file.seek(start)
        data = file.read(length)
        if zlib.crc32(data) != crc:
            raise self._corrupt("the checksum of its index does not match")
        return MapOutputIndex(tuple(_segments(msgpack.unpackb(data), start)))

    def _corrupt(self, what: str) -> CorruptData:
        return CorruptData(f"Map output {self.path}: {what}")


def _segments(items: Any, end: int) -> Iterator[Segment]:
    """Yield the index's segments, which lie side by side from the magic to `end`.

    Raises ValueError or TypeError if they do not.
    """
    position = len(MAGIC)
    for item in items:
        if list(map(type, item)) != [int] * 4 or item[0] != position or item[1] < 0:
            raise ValueError("its segments do not lie side by side")
        yield Segment(*item)
        position += item[1]
    if position != end:
        raise ValueError(f"its segments end at byte {position} instead of {end}")


class _Limited:
    """Reads at most `limit` bytes of a file."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self.file = file
        self.left = limit

    def read(self, size_bytes: int) -> bytes:
        data = self.file.read(min(size_bytes, self.left))
        self.left -= len(data)
        return data


def read_segment_bytes(data: Buffer) -> Blocks:
    """Return the keys and values of a segment that is in memory. Raises CorruptData."""

    def read_at(position: int, size_bytes: int) -> Buffer:
        return memoryview(data)[position : position + size_bytes]

    return Blocks(map(open_block, split_blocks(data)), lambda: block_sizes(read_at, len(data)))


def read_segment_stream(file: BinaryIO) -> Iterator[StoredPairs]:
    """Yield the keys and values of a segment that ends where the stream ends.

    `file.read(n)` must give n bytes unless the stream ends. Raises CorruptData.
    """
    return map(open_block, read_blocks(file.read))
