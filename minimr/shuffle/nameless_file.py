"""A file without a name, for what a task puts aside and reads back itself.

A task that fetches or merges more than its memory holds writes it to disk, as pieces end to end in
one file: a job has thousands of maps, and a process may open a thousand files. Nobody else reads
it, so its name is removed at once, and whatever happens to the process nothing is left behind.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.errors import CorruptData, DiskFull, MinimrError
from minimr.shuffle.codec import Buffer
from minimr.shuffle.pairs import StoredPairs, block_sizes
from minimr.shuffle.segments import Blocks, read_segment_stream


@dataclass(slots=True)
class _Stretch:
    """Bytes of the file from `offset` on, to be read once, in order."""

    file: "NamelessFile"
    offset: int
    left_bytes: int

    def read(self, size_bytes: int) -> bytes:
        assert self.file.descriptor is not None, "a stretch is read after the task's end"
        data = os.pread(self.file.descriptor, min(size_bytes, self.left_bytes), self.offset)
        self.offset += len(data)
        self.left_bytes -= len(data)
        return data


class NamelessFile:
    """Made in `directory` by the first write; `holds` says of what, in errors and debuggers."""

    def __init__(self, directory: Path, holds: str) -> None:
        self._directory = directory
        self._holds = holds
        self.descriptor: int | None = None

    def write(self, data: Buffer, offset: int, what: str) -> None:
        """Write bytes at the offset. Raises MinimrError, naming `what`; DiskFull if it is that."""
        rest = memoryview(data)
        try:
            if self.descriptor is None:
                self._open()
            assert self.descriptor is not None
            while rest:
                written = os.pwrite(self.descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = " Make room there, or point TMPDIR to a larger disk." if full else ""
            raise (DiskFull if full else MinimrError)(
                f"Cannot store {what} in {self._directory}: {error.strerror}.{advice}"
            ) from None

    def read(self, offset: int, size_bytes: int) -> Blocks:
        """Return the pairs of the blocks that lie there.

        Raises MinimrError for damage: what was whole when it was written can only have been spoiled
        by this machine's own disk.
        """

        def read_at(position: int, count: int) -> bytes:
            assert self.descriptor is not None, "a stretch is read after the task's end"
            return os.pread(self.descriptor, count, offset + position)

        return Blocks(self._read(offset, size_bytes), lambda: block_sizes(read_at, size_bytes))

    def _read(self, offset: int, size_bytes: int) -> Iterator[StoredPairs]:
        # The stream is all that the reader asks of a file.
        stream: Any = _Stretch(self, offset, size_bytes)
        try:
            yield from read_segment_stream(stream) if size_bytes else ()
        except (CorruptData, OSError) as error:
            raise MinimrError(
                f"{self._holds.capitalize()} in {self._directory} cannot be read back: {error}"
            ) from None

    def close(self) -> None:
        """Forget what was written."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def _open(self) -> None:
        prefix = self._holds.replace(" ", "-")
        self.descriptor, name = tempfile.mkstemp(prefix=f"{prefix}-", dir=self._directory)
        Path(name).unlink()
