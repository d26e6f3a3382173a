"""Where reduce attempts put their parts, and how the parts of the winners appear.

The staging directory and the final path of a shared file system. Attempts write under names of
their own; one rename publishes the winners' files and takes the staging directory away, so that an
attempt that comes later finds no place to write.
"""

from dataclasses import dataclass, field
from typing import Any

from minimr.formats.committer import part_name
from minimr.scheduler.actions import Publish
from minimr.scheduler.state import AttemptId, Failure
from minimr.simulator.computation import Broken


@dataclass(slots=True)
class Storage:
    """The files of one job."""

    staging: dict[AttemptId, bytes] | None = field(default_factory=dict)
    final: list[bytes] | None = None
    winners: tuple[AttemptId, ...] = ()

    def write(self, attempt: AttemptId, data: bytes, records: int) -> dict[str, Any]:
        """Write an attempt's part and describe it. Raises Broken without a staging directory."""
        if self.staging is None:
            raise Broken(Failure("system", f"{attempt}: the staging directory is gone"))
        self.staging[attempt] = data
        return {"name": part_name(attempt.index), "records": records, "bytes": len(data)}

    def publish(self, action: Publish) -> str | None:
        """The rename; done again after a crash it changes nothing. Returns what prevents it."""
        if self.final is not None:
            return None if action.winners == self.winners else "the output exists already"
        staging = self.staging or {}
        missing = [winner for winner in action.winners if winner not in staging]
        if missing:
            return f"{missing[0]} left no file"
        self.final = [staging[winner] for winner in action.winners]
        self.winners = action.winners
        self.staging = None
        return None

    def abort(self) -> None:
        self.staging = None
