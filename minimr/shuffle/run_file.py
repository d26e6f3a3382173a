"""Sorted runs that a task merges on the way and reads once: end to end in one file without a name.

A task that has more runs than it can merge at once writes longer ones (see passes.py). They are
nobody else's, so the file has no name, and whatever happens to the process nothing is left behind
on the disk.
"""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.errors import CorruptData, DiskFull, MinimrError
from minimr.shuffle.pairs import StoredPairs
from minimr.shuffle.segments import read_segment_stream


@dataclass(slots=True)
class _Stretch:
    """Bytes of the file from `offset` on, to be read in order."""

    descriptor: int
    offset: int
    left_bytes: int

    def read(self, size_bytes: int) -> bytes:
        data = os.pread(self.descriptor, min(size_bytes, self.left_bytes), self.offset)
        self.offset += len(data)
        self.left_bytes -= len(data)
        return data


class RunFile:
    """Takes runs of pair-blocks and gives them back. `close` forgets them.

    It lies in `directory`; if there is none, where Python puts temporary files (TMPDIR).
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path(tempfile.gettempdir())
        self._file: Any = None
        self._end = 0

    def keep(self, blocks: Iterable[bytes]) -> Iterator[StoredPairs]:
        """Write a run now; return its blocks, to be read later. Raises DiskFull, MinimrError."""
        start = self._end
        for block in blocks:
            self._write(block)
        return self._read(start, self._end - start)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, block: bytes) -> None:
        data = memoryview(block)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115
            while data:
                written = os.pwrite(self._file.fileno(), data, self._end)
                data, self._end = data[written:], self._end + written
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = " Make room there, or point TMPDIR to a larger disk." if full else ""
            raise (DiskFull if full else MinimrError)(
                f"Cannot write merged runs to {self._directory}: {error.strerror}.{advice}"
            ) from error

    def _read(self, offset: int, size_bytes: int) -> Iterator[StoredPairs]:
        try:
            # The stream is all that the reader asks of a file.
            stream: Any = _Stretch(self._file.fileno(), offset, size_bytes)
            yield from read_segment_stream(stream)
        except (CorruptData, OSError) as error:
            raise MinimrError(
                f"Merged runs in {self._directory} cannot be read back: {error}"
            ) from None
