"""Everything the scheduler can ask of the world. Each action says which event caused it."""

from dataclasses import dataclass, field
from typing import Any

from minimr.scheduler.events import LeaseTimer
from minimr.scheduler.state import AttemptId, Location


@dataclass(frozen=True, slots=True)
class Assign:
    """Run this attempt on this worker.

    For a reduce attempt, `announce` lists the map outputs on disk that this worker has not been
    told of before (every worker learns each location once per job, so that no message grows with
    M x R), and `inline` holds this partition's segments of the map outputs that travelled inline,
    as (map index, segment).
    """

    worker: str
    attempt: AttemptId
    cause: str
    announce: tuple[Location, ...] = ()
    inline: tuple[tuple[int, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    worker: str
    attempt: AttemptId
    cause: str


@dataclass(frozen=True, slots=True)
class ForgetJob:
    """The worker may delete all that it keeps for this job."""

    worker: str
    job: str
    cause: str


@dataclass(frozen=True, slots=True)
class DropWorker:
    """Close the connection of a worker that is no longer one of ours."""

    worker: str
    cause: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    at: float
    timer: LeaseTimer


@dataclass(frozen=True, slots=True)
class Publish:
    """Every reduce task is committed: make the parts of `winners` visible with one rename."""

    job: str
    winners: tuple[AttemptId, ...]
    parts: tuple[dict[str, Any], ...]
    counters: dict[str, int]
    cause: str


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Tell the client. `results` are the reduce outputs that travelled inline, in order."""

    job: str
    ok: bool
    cancelled: bool
    error: str
    counters: dict[str, int]
    parts: tuple[dict[str, Any], ...]
    results: tuple[Any, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the event log; see the schema in `minimr.observe`."""

    event: str
    job: str | None
    fields: dict[str, Any] = field(default_factory=dict)


Action = Assign | CancelAttempt | ForgetJob | DropWorker | SetTimer | Publish | JobEnded | Record
