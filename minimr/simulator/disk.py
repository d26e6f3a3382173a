"""The simulated disks: a worker's map outputs, which can rot, and a coordinator's journal.

A map output keeps its index (length and checksum of every segment) apart from its bytes, as the
real file does, so damage is found when a segment is served or fetched, and never decoded.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from minimr.errors import CorruptData
from minimr.formats.journal import frames, header, scan
from minimr.scheduler.journal import Record, from_plain, to_plain
from minimr.scheduler.state import AttemptId

CLUSTER = "simulated"


@dataclass(slots=True)
class StoredOutput:
    """R segments and what the index says of them. Segments are shared until one is damaged."""

    segments: Sequence[bytes]
    checksums: Sequence[int]

    def read(self, partition: int) -> bytes:
        data = self.segments[partition]
        if zlib.crc32(data) != self.checksums[partition]:
            raise CorruptData(f"segment {partition}: the checksum does not match")
        return data


@dataclass(slots=True)
class Disk:
    """One worker's directory. It is new whenever the worker's process is."""

    outputs: dict[AttemptId, StoredOutput] = field(default_factory=dict)
    full: bool = False

    def damage(self, attempt: AttemptId, truncate: bool) -> bool:
        """Flip a byte of every segment, or cut its last one off. False if nothing is there."""
        stored = self.outputs.get(attempt)
        if stored is None or not any(stored.segments):
            return False
        spoil = _cut if truncate else _flip
        stored.segments = [spoil(segment) for segment in stored.segments]
        return True

    def forget(self, job: str) -> None:
        for attempt in [attempt for attempt in self.outputs if attempt.job == job]:
            del self.outputs[attempt]


class JournalDisk:
    """The bytes of a journal, as they would stand in its file.

    Most journals are never read, so what is written becomes bytes only when somebody asks.
    """

    def __init__(self) -> None:
        self.writes: list[tuple[Sequence[Record], float]] = []
        """All that was ever written, with the share of it that reached the disk."""
        self._records: list[Record] = []
        self._data = bytearray(header(CLUSTER))
        self._count = 0
        self._framed = 0

    @property
    def data(self) -> bytearray:
        for records, share in self.writes[self._framed :]:
            framed = frames(self._count, [to_plain(each) for each in records])
            self._data += framed[: int(share * len(framed))]
            self._count += len(records)
        self._framed = len(self.writes)
        return self._data

    def append(self, records: Sequence[Record], share: float = 1.0) -> None:
        """Write and sync. After a crash in the middle, a share below 1 of the bytes is there."""
        self.writes.append((records, share))

    def read(self) -> list[Record]:
        """What a restarted coordinator reads; a torn tail is cut off.

        All bytes are read each time. Records that were read before were whole, and so they stay.
        """
        data = self.data
        found = scan(bytes(data), CLUSTER)
        del data[found.good_bytes :]
        self._count = len(found.records)
        self._records += [from_plain(each) for each in found.records[len(self._records) :]]
        return list(self._records)


def _flip(data: bytes) -> bytes:
    if not data:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def _cut(data: bytes) -> bytes:
    return data[:-1]
