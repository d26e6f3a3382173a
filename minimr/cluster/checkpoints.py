"""What members of a gang save for the epoch after theirs: small files in a directory of the job's.

Like the output of a job they lie where the client said, which every worker must reach: the
coordinator carries no bulk data, and a worker's own disk is gone with the worker
(tutorials/internals/decisions/0017). Each attempt writes a file of its own, so that one that was
given up, and does not know it yet, cannot write over what its successor saved.
"""

from pathlib import Path

from minimr.errors import MinimrError, UsageError
from minimr.shuffle.whole_file import WholeFile

SAVED_BYTES_MAX = 64 << 20


class Checkpoints:
    """Those of one member: it reads what the attempts from `first` on left before it."""

    def __init__(self, directory: Path, rank: int, attempt: int, first: int) -> None:
        self._directory, self._rank = directory, rank
        self._attempt, self._first = attempt, first

    def keep(self, data: bytes) -> None:
        """Replace what this attempt has kept. Raises UsageError if it is too much."""
        if len(data) > SAVED_BYTES_MAX:
            raise UsageError(
                f"members.save was given {len(data):,} bytes; a member may save up to "
                f"{SAVED_BYTES_MAX:,}. Save what cannot be computed again, or let each member save "
                "its own part"
            )
        try:
            with WholeFile(self._path(self._attempt), "checkpoint") as file:
                file.write(data)
        except MinimrError as error:
            raise type(error)(f"{error} All workers must reach that directory") from None

    def newest(self) -> bytes | None:
        """What the last of the attempts before this one has kept; None if none has."""
        for attempt in range(self._attempt - 1, self._first - 1, -1):
            try:
                return self._path(attempt).read_bytes()
            except FileNotFoundError:
                continue
        return None

    def _path(self, attempt: int) -> Path:
        return self._directory / f"member-{self._rank:05d}.{attempt}.saved"
