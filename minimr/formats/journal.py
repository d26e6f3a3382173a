"""The bytes of the coordinator's journal: a header, then framed records, appended and synced.

*Write-ahead logging* (Mohan et al., ARIES, 1992, section 1; LevelDB's log format is a short
example) is one rule: a decision is on the disk before anything that follows from it happens.
Whoever starts again after a crash reads the records in order and stands where the dead process
stood. Dean and Ghemawat's master writes "periodic checkpoints" for this (OSDI 2004, section 3.3).

    header   magic "MRJOURN\\n", u16 version, u16 length of the cluster id, the id, crc32 of these
    record   head     mark "R", u32 length of the payload, u64 sequence, u64 batch, crc32 of these
             payload  the record, encoded by the codec
             tail     crc32 of head and payload, mark "\\n"

The sequence counts the file's records from 0, so that a record left out, doubled or moved is found.
The batch is the sequence of the first record of the same append: records that went to the disk
with one write and one sync.

**A torn tail is normal.** A process killed in the middle of an append, or a machine that lost its
power, leaves less than it wrote. Nothing was done yet that follows from those records, since the
sync had not returned, so they are cut off and the journal is sound.

**Damage in the middle is not.** The next append begins only after the last one was synced. A bad
record with a record of a later batch behind it *was* on the disk, whole, and work was done that
rests on it. Going on without it would grant a second commit; such a journal is refused.

The last batch is the hard case: nothing behind it proves that it was synced. But a crash *leaves
out* bytes, it does not change any. The file ends too early; or the end or whole sectors of it were
never written, and read as zeros (a file system may enlarge a file before it writes the content,
and may write its pages in any order). A record begins and ends with a mark that is not zero, so
that either shows. A last record that is bad with no byte missing was therefore changed after it
was written, and it may have been synced: it is refused like damage in the middle. What cannot be
told from a crash is a synced record whose end was cut off or zeroed later; it is cut.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from minimr.errors import CorruptData, MinimrError
from minimr.shuffle import codec

MAGIC = b"MRJOURN\n"
VERSION = 1
RECORD_BYTES_MAX = 1 << 30
CLUSTER_BYTES_MAX = 255
SECTOR_BYTES = 512
"""The smallest piece that a disk writes whole or not at all."""

HEADER = struct.Struct("<8sHH")
HEAD = struct.Struct("<cIQQ")
CRC = struct.Struct("<I")
START, END = b"R", b"\n"
HEAD_BYTES = HEAD.size + CRC.size
TAIL_BYTES = CRC.size + len(END)


class BadJournal(MinimrError):
    """The journal cannot be used; the message says at which byte, why, and what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Scan:
    """What a journal holds; `good_bytes` is where the next record goes, `torn` if more follows."""

    cluster: str
    records: list[Any]
    good_bytes: int
    torn: bool


@dataclass(frozen=True, slots=True)
class _Head:
    length: int
    sequence: int
    batch: int

    @property
    def frame_bytes(self) -> int:
        return HEAD_BYTES + self.length + TAIL_BYTES


def header(cluster: str) -> bytes:
    """The first bytes of a journal of the cluster with this id."""
    name = cluster.encode()
    if not 0 < len(name) <= CLUSTER_BYTES_MAX:
        raise ValueError(f"a cluster id has 1 to {CLUSTER_BYTES_MAX} bytes, not {len(name)}")
    data = HEADER.pack(MAGIC, VERSION, len(name)) + name
    return data + CRC.pack(zlib.crc32(data))


def frame(sequence: int, value: Any, batch: int | None = None) -> bytes:
    """One record, framed. `batch` is the sequence of its append's first record, by default its own.

    Raises TypeError if the codec cannot encode the value or it holds an array, MinimrError if it
    is larger than a record may be.
    """
    payload, buffers = codec.pack(value)
    if buffers:
        raise TypeError("an array cannot stand in the journal")
    if len(payload) > RECORD_BYTES_MAX:
        raise MinimrError(
            f"A record of {len(payload)} bytes is too large for the journal, which takes "
            f"{RECORD_BYTES_MAX}; give the job smaller parameters."
        )
    head = HEAD.pack(START, len(payload), sequence, sequence if batch is None else batch)
    head += CRC.pack(zlib.crc32(head))
    crc = zlib.crc32(payload, zlib.crc32(head))
    return b"".join([head, payload, CRC.pack(crc), END])


def frames(sequence: int, values: Sequence[Any]) -> bytes:
    """The records of one append, the first numbered `sequence`. Raises as `frame` does."""
    return b"".join(
        frame(number, value, batch=sequence) for number, value in enumerate(values, sequence)
    )


def scan(data: bytes, cluster: str | None = None) -> Scan:
    """Read a whole journal; with `cluster`, one that must be that cluster's.

    Raises BadJournal for anything but a sound journal or one with a torn tail.
    """
    found, position = _read_header(data)
    if cluster not in (None, found):
        raise BadJournal(
            f"it belongs to the cluster {found}, not to {cluster}: files of two clusters are mixed "
            "here; restore the whole directory from one copy"
        )
    records: list[Any] = []
    for payload in _payloads(data, position):
        records.append(_decode(payload, position, len(records)))
        position += HEAD_BYTES + len(payload) + TAIL_BYTES
    torn = position < len(data)
    if torn:
        _check_torn(data, position, len(records))
    return Scan(found, records, position, torn)


def _read_header(data: bytes) -> tuple[str, int]:
    """The cluster's id and the position of the first record.

    A journal appears by a rename, complete with its header: a header cut short is no torn tail.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise BadJournal(
            "it does not begin as a journal of minimr; restore it, or name another directory"
        )
    if len(data) < HEADER.size:
        raise _bad_header()
    _, version, length = HEADER.unpack_from(data)
    if version != VERSION:
        raise BadJournal(
            f"it has version {version}, this minimr reads {VERSION}; start the coordinator with "
            "the minimr that wrote it, or name another directory"
        )
    end = HEADER.size + length
    if data[end : end + CRC.size] != CRC.pack(zlib.crc32(data[:end])):
        raise _bad_header()
    try:
        return data[HEADER.size : end].decode(), end + CRC.size
    except UnicodeDecodeError:
        raise _bad_header() from None


def _bad_header() -> BadJournal:
    return BadJournal(
        "its header is damaged (byte 0); restore the journal from a copy, or name another directory"
    )


def _payloads(data: bytes, position: int) -> Iterator[memoryview]:
    """The payloads of the whole records, in sequence, up to the first that is none."""
    view = memoryview(data)
    sequence = 0
    while (head := _head_at(data, position)) and head.sequence == sequence:
        start = position + HEAD_BYTES
        position += head.frame_bytes
        payload = view[start : start + head.length]
        crc = zlib.crc32(view[start - HEAD_BYTES : start + head.length])
        if data[start + head.length : position] != CRC.pack(crc) + END:
            return
        yield payload
        sequence += 1


def _head_at(data: bytes, position: int) -> _Head | None:
    """The record's head that stands here whole, if one does. It bounds no memory yet."""
    end = position + HEAD.size
    crc = data[end : end + CRC.size]
    if len(crc) < CRC.size or CRC.pack(zlib.crc32(data[position:end])) != crc:
        return None
    mark, length, sequence, batch = HEAD.unpack_from(data, position)
    return _Head(length, sequence, batch) if mark == START else None


def _decode(payload: memoryview, position: int, sequence: int) -> Any:
    try:
        return codec.unpack(payload, [])
    except CorruptData as error:
        raise BadJournal(
            f"record {sequence} at byte {position} is as it was written, and does not decode "
            f"({error}); start the coordinator with the minimr that wrote it"
        ) from None


def _check_torn(data: bytes, position: int, sequence: int) -> None:
    """Make sure that a crash explains the bad record at `position`, which should be `sequence`."""
    where = f"record {sequence} at byte {position}"
    head = _head_at(data, position)
    if head and head.sequence != sequence:
        raise _damaged(f"record {head.sequence} stands where {where} should", position)
    later = _later_batch(data, position + 1, sequence)
    if later is not None:
        raise _damaged(f"{where} is damaged, and {later} was written after it", position)
    if not _is_unfinished(data, position, head):
        raise _damaged(f"{where} is damaged: complete, but not as written", position)


def _later_batch(data: bytes, position: int, sequence: int) -> str | None:
    """The first record behind `position` that was written after record `sequence` was synced."""
    while (position := data.find(START, position)) >= 0:
        head = _head_at(data, position)
        if head and head.batch > sequence:
            return f"record {head.sequence} at byte {position}"
        position += 1
    return None


def _is_unfinished(data: bytes, position: int, head: _Head | None) -> bool:
    """Whether bytes of the record that starts at `position` were left out by a crash.

    Its head, if that is whole, tells where it ends; if not, bytes of the head must be missing. The
    file may end before that, or the record's last byte and all behind it were never written.
    """
    end = position + (head.frame_bytes if head else HEAD_BYTES)
    nothing_follows = not data[end - 1 :].strip(b"\0")
    return nothing_follows or _has_hole(data, position, end)


def _has_hole(data: bytes, start: int, end: int) -> bool:
    """Whether a sector that [start, end) touches holds nothing but zeros from `start` on."""
    for sector in range(start - start % SECTOR_BYTES, end, SECTOR_BYTES):
        piece = data[max(sector, start) : sector + SECTOR_BYTES]
        if piece.count(0) == len(piece):
            return True
    return False


def _damaged(what: str, position: int) -> BadJournal:
    return BadJournal(
        f"{what}. Restore the journal from a copy; or, to give up this record and all after it "
        f"(their work is done again), cut the file: truncate -s {position}"
    )
