"""Where reduce attempts put their parts, and how the parts of the winners appear.

The staging directory and the final path of a shared file system. Attempts write under names of
their own; one rename publishes the winners' files and takes the staging directory away, so that an
attempt that comes later finds no place to write.
"""

from dataclasses import dataclass, field
from typing import Any

from minimr.formats.committer import attempt_name, part_name
from minimr.scheduler.actions import Publish
from minimr.scheduler.state import AttemptId, Failure
from minimr.simulator.computation import Broken


@dataclass(slots=True)
class Storage:
    """The files of one job."""

    staging: dict[str, bytes] | None = field(default_factory=dict)
    final: list[bytes] | None = None
    manifest: Publish | None = None
    """What stands beside the parts: whose they are, the counters, the skipped records."""

    def begin(self, attempt: AttemptId) -> None:
        """Open an attempt's part: an empty file. Raises Broken without a staging directory."""
        if self.staging is None:
            raise Broken(Failure("system", f"{attempt}: the staging directory is gone"))
        self.staging[_file_of(attempt)] = b""

    def write(self, attempt: AttemptId, data: bytes, records: int) -> dict[str, Any]:
        """Write an attempt's part and describe it. Raises Broken without a staging directory."""
        self.begin(attempt)
        assert self.staging is not None
        self.staging[_file_of(attempt)] = data
        return {"name": part_name(attempt.index), "records": records, "bytes": len(data)}

    def publish(self, action: Publish) -> str | None:
        """The rename; done again after a crash it changes nothing. Returns what prevents it."""
        if self.manifest is not None:
            again = action.winners == self.manifest.winners
            return None if again else "the output exists already"
        staging = self.staging or {}
        for winner, part in zip(action.winners, action.parts, strict=True):
            found = len(staging.get(_file_of(winner), b""))
            if found != part["bytes"]:
                return f"{winner} left {found} bytes instead of {part['bytes']}"
        self.final = [staging[_file_of(winner)] for winner in action.winners]
        self.manifest = action
        self.staging = None
        return None

    def abort(self) -> None:
        self.staging = None


def _file_of(attempt: AttemptId) -> str:
    return attempt_name(attempt.index, attempt.number)
