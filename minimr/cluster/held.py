"""A segment of a map output on this worker's disk, checked before anybody gets to see it.

TCP's checksum lets damage through and so do disks (SPARK-4105), so a segment is read twice: first
against the checksum of its index, then by whoever wants it, from the page cache. A damaged one is
never sent and never decoded; its map runs again.
"""

import zlib
from pathlib import Path

from minimr.errors import CorruptData
from minimr.shuffle.segments import MapOutputFile, Segment

PIECE_BYTES = 1 << 18


def sound_segment(path: Path, partition: int) -> Segment:
    """Where the partition lies in the file, and its checksum, which agrees.

    Raises CorruptData if the segment is damaged, cut off or not there.
    """
    try:
        segment = MapOutputFile(path).index.segments[partition]
        found = _checksum(path, segment)
    except (OSError, IndexError) as error:
        raise CorruptData(f"Map output {path}: segment {partition}: {error}") from None
    if found != segment.crc:
        raise CorruptData(f"Map output {path}: segment {partition}: the checksum does not match")
    return segment


def whole_file(path: Path) -> Segment:
    """A partition of a dataset as one segment. Raises CorruptData if it cannot be read."""
    try:
        segment = Segment(0, path.stat().st_size)
        segment.crc = _checksum(path, segment)
    except OSError as error:
        raise CorruptData(f"Partition {path}: {error}") from None
    return segment


def _checksum(path: Path, segment: Segment) -> int:
    checksum, left_bytes = 0, segment.length
    with path.open("rb", buffering=0) as file:
        file.seek(segment.offset)
        while left_bytes and (piece := file.read(min(left_bytes, PIECE_BYTES))):
            checksum = zlib.crc32(piece, checksum)
            left_bytes -= len(piece)
    return checksum
