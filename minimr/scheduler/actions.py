"""Everything the scheduler can ask of the world. Each action says which event caused it."""

from dataclasses import dataclass, field
from typing import Any

from minimr.scheduler.events import Timer
from minimr.scheduler.journal import Record as JournalRecord
from minimr.scheduler.state import AttemptId, Location


@dataclass(frozen=True, slots=True)
class Journal:
    """Write these down and sync them to the disk once, before any action that follows.

    It comes first among the actions of its event: what the others tell the world must be true after
    a crash, too.
    """

    records: tuple[JournalRecord, ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """Run this attempt on this worker.

    For a reduce attempt, `announce` is the range of `job.locations` (map outputs on disk) that this
    worker has not been told of before: every worker learns each location once per job, so that no
    message grows with M x R. `inline` holds this partition's segments of the map outputs that
    travelled inline, as (map index, segment, digest).

    A member of a gang hears its `epoch`, from 1, and where the partitions that it owns are: in
    `partitions`, in order.

    A `careful` attempt publishes the position of every record before it calls user code, and
    records at the positions in `skip` are left out.
    """

    worker: str
    attempt: AttemptId
    cause: str
    announce: range = range(0)
    inline: tuple[tuple[int, Any, str | None], ...] = ()
    careful: bool = False
    skip: tuple[str, ...] = ()
    epoch: int = 0
    partitions: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Meet:
    """Tell this member of a gang where all members are, by rank: all of them run and listen."""

    worker: str
    attempt: AttemptId
    addresses: tuple[tuple[str, int], ...]
    cause: str


@dataclass(frozen=True, slots=True)
class MeetAgain:
    """Tell this member that member `rank` was started again, and where it is."""

    worker: str
    attempt: AttemptId
    rank: int
    address: tuple[str, int]
    cause: str


@dataclass(frozen=True, slots=True)
class MemberEnded:
    """Tell this member that member `rank` has ended, and will not come back if it is lost."""

    worker: str
    attempt: AttemptId
    rank: int


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
class ReleaseWorker:
    """A worker that wanted to leave may go: nothing that it holds is needed."""

    worker: str
    cause: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    at: float
    timer: Timer


@dataclass(frozen=True, slots=True)
class Publish:
    """Every reduce task is committed: make the parts of `winners` visible with one rename."""

    job: str
    winners: tuple[AttemptId, ...]
    parts: tuple[dict[str, Any], ...]
    counters: dict[str, int]
    skipped: tuple[dict[str, Any], ...]
    cause: str


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Tell the client. `results` are the reduce outputs that travelled inline, in order; `done`
    counts the map and the reduce tasks that were done."""

    job: str
    ok: bool
    cancelled: bool
    error: str
    counters: dict[str, int]
    parts: tuple[dict[str, Any], ...]
    results: tuple[Any, ...]
    done: tuple[int, int]
    cause: str


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the event log; see the schema in `minimr.observe`."""

    event: str
    job: str | None
    fields: dict[str, Any] = field(default_factory=dict)


Action = (
    Journal
    | Assign
    | Meet
    | MeetAgain
    | MemberEnded
    | CancelAttempt
    | ForgetJob
    | DropWorker
    | ReleaseWorker
    | SetTimer
    | Publish
    | JobEnded
    | Record
)
