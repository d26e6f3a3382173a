"""What a reduce attempt has fetched: in memory up to a budget, in one file beyond it.

One file, however many segments: a job has thousands of maps, and a process may open a thousand
files. It has no name from the start, so that whatever happens to the process nothing is left behind
on the disk. A segment counts as fetched when its last byte is here and its checksum agrees; what
came of one that broke off is written over by the next.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minimr.cluster.holder import PIECE_BYTES, Arrival
from minimr.errors import CorruptData, DiskFull, MinimrError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import StoredPairs
from minimr.shuffle.segments import read_segment_bytes, read_segment_stream


@dataclass(slots=True)
class Stretch:
    """Bytes of the file from `offset` on, to be read once, in order."""

    store: "Fetched"
    offset: int
    left_bytes: int

    def read(self, size_bytes: int) -> bytes:
        data = self.store.read_at(self.offset, min(size_bytes, self.left_bytes))
        self.offset += len(data)
        self.left_bytes -= len(data)
        return data


class Fetched:
    """The segments of one partition, by map attempt. `close` forgets them."""

    def __init__(self, directory: Path, memory_bytes: int) -> None:
        self._directory = directory
        self._left_bytes = memory_bytes
        self._in_memory: dict[AttemptId, bytearray] = {}
        self._in_file: dict[AttemptId, tuple[int, int]] = {}
        self._descriptor: int | None = None
        self._file_bytes = 0

    def __contains__(self, attempt: AttemptId) -> bool:
        return attempt in self._in_memory or attempt in self._in_file

    def keep(self, arrival: Arrival) -> None:
        """Receive a segment. Raises what `Arrival.pieces` does; DiskFull if there is no room."""
        if arrival.size_bytes <= self._left_bytes:
            data = bytearray(arrival.size_bytes)
            for _ in arrival.pieces(memoryview(data)):
                pass
            self._in_memory[arrival.attempt] = data
            self._left_bytes -= len(data)
            return
        end = self._file_bytes
        for piece in arrival.pieces(memoryview(bytearray(PIECE_BYTES))):
            self._write(piece, end, arrival)
            end += len(piece)
        self._in_file[arrival.attempt] = (self._file_bytes, arrival.size_bytes)
        self._file_bytes = end

    def read(self, attempt: AttemptId) -> Iterator[StoredPairs]:
        """Yield a segment's pairs, block by block."""
        if attempt in self._in_memory:
            return read_segment_bytes(self._in_memory[attempt])
        return self._read_file(*self._in_file[attempt])

    def close(self) -> None:
        self._in_memory.clear()
        self._in_file.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        assert self._descriptor is not None, "a segment is read after the attempt's end"
        return os.pread(self._descriptor, size_bytes, offset)

    def _read_file(self, offset: int, size_bytes: int) -> Iterator[StoredPairs]:
        """What was whole when it came can only have been spoiled by this machine's own disk."""
        try:
            # The stream is all that the reader asks of a file.
            yield from read_segment_stream(Stretch(self, offset, size_bytes))  # type: ignore[arg-type]
        except (CorruptData, OSError) as error:
            raise MinimrError(
                f"Fetched map output in {self._directory} cannot be read back: {error}"
            ) from None

    def _write(self, data: memoryview, offset: int, arrival: Arrival) -> None:
        try:
            while data:
                written = os.pwrite(self._open(), data, offset)
                data, offset = data[written:], offset + written
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = " Make room there, or point TMPDIR to a larger disk." if full else ""
            raise (DiskFull if full else MinimrError)(
                f"Cannot store {arrival.size_bytes} bytes of {arrival.attempt} in "
                f"{self._directory}: {error.strerror}.{advice}"
            ) from None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor, name = tempfile.mkstemp(prefix="fetched-", dir=self._directory)
            Path(name).unlink()
        return self._descriptor
