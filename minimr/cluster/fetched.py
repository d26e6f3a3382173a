"""What a reduce attempt has fetched: in memory up to a budget, in one file beyond it.

A segment counts as fetched when its last byte is here and its checksum agrees; what came of one
that broke off is written over by the next.
"""

from collections.abc import Iterator
from pathlib import Path

from minimr.cluster.holder import PIECE_BYTES, Arrival
from minimr.scheduler.state import AttemptId
from minimr.shuffle.nameless_file import NamelessFile
from minimr.shuffle.pairs import StoredPairs
from minimr.shuffle.segments import read_segment_bytes


class Fetched:
    """The segments of one partition, by map attempt. `close` forgets them."""

    def __init__(self, directory: Path, memory_bytes: int) -> None:
        self._left_bytes = memory_bytes
        self._in_memory: dict[AttemptId, bytearray] = {}
        self._in_file: dict[AttemptId, tuple[int, int]] = {}
        self._file = NamelessFile(directory, "fetched map output")
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
            self._file.write(piece, end, f"{arrival.size_bytes} bytes of {arrival.attempt}")
            end += len(piece)
        self._in_file[arrival.attempt] = (self._file_bytes, arrival.size_bytes)
        self._file_bytes = end

    def read(self, attempt: AttemptId) -> Iterator[StoredPairs]:
        """Yield a segment's pairs, block by block."""
        if attempt in self._in_memory:
            return read_segment_bytes(self._in_memory[attempt])
        return self._file.read(*self._in_file[attempt])

    def close(self) -> None:
        self._in_memory.clear()
        self._in_file.clear()
        self._file.close()
