"""What a member of a gang and the coordinator say to each other, through the member's worker."""

from dataclasses import dataclass
from typing import Any

from minimr.scheduler.state import AttemptId

# Slot to worker to coordinator


@dataclass(slots=True)
class MemberReady:
    """This member has its data, and listens there."""

    attempt: AttemptId
    host: str
    port: int


@dataclass(slots=True)
class MemberNotes:
    """Lines for the event log."""

    attempt: AttemptId
    lines: list[dict[str, Any]]


# Coordinator to worker to slot


@dataclass(slots=True)
class Meet:
    """All members run and listen: where, by rank."""

    attempt: AttemptId
    hosts: list[str]
    ports: list[int]


@dataclass(slots=True)
class MeetAgain:
    """Member `rank` was started again, and listens there."""

    attempt: AttemptId
    rank: int
    host: str
    port: int


@dataclass(slots=True)
class MemberEnded:
    """Member `rank` has ended: it will not come back."""

    attempt: AttemptId
    rank: int


RESERVED = ("t", "event", "job")


def noted(line: dict[str, Any]) -> dict[str, Any]:
    """The fields of a member's note, without those that every line of the event log has."""
    return {name: value for name, value in line.items() if name not in RESERVED}
