"""Files that appear whole or not at all: written under a temporary name, then renamed.

Nothing is synced to the disk. These files hold what can be made again, so a machine that loses its
power loses nothing; and whoever reads them checks their checksums.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from minimr.errors import DiskFull, MinimrError
from minimr.shuffle.codec import Buffer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class WholeFile:
    """A context manager: leaving it puts the file in place, leaving it by an error removes it.

    Only errors of the file itself become MinimrError. What the writer raises in between, which may
    be an OSError of user code, passes as it is.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._what = what
        self.position = 0
        with self._naming_errors():
            self._file = self._partial.open("wb")

    def write(self, data: Buffer) -> None:
        """Append bytes. Raises MinimrError if the disk is full or fails."""
        with self._naming_errors():
            self._file.write(data)
        self.position += len(data)

    def skip(self, size_bytes: int) -> None:
        """Leave room for `write_at`."""
        with self._naming_errors():
            self._file.seek(size_bytes, os.SEEK_CUR)
        self.position += size_bytes

    def write_at(self, position: int, lines: "npt.NDArray[np.uint8]", step_bytes: int) -> None:
        """Write rows of bytes into such room, each `step_bytes` behind the one before.

        Raises MinimrError if the disk is full or fails.
        """
        descriptor = self._file.fileno()
        with self._naming_errors():
            for line in lines:
                written = os.pwrite(descriptor, line, position)
                while written < len(line):  # The disk was full, and may be no more.
                    written += os.pwrite(descriptor, line[written:], position + written)
                position += step_bytes

    def __enter__(self) -> "WholeFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        with self._naming_errors():
            self._file.close()
            self._partial.rename(self._path)

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._discard()
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = " Make room there, or point TMPDIR to a larger disk." if full else ""
            raise (DiskFull if full else MinimrError)(
                f"Cannot write the {self._what} {self._path}: {error.strerror}.{advice}"
            ) from error

    def _discard(self) -> None:
        with suppress(OSError):
            if hasattr(self, "_file"):
                self._file.close()  # may fail again, since it tries to write the rest
        with suppress(OSError):
            self._partial.unlink()
