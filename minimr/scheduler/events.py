"""Everything that can happen to the scheduler. Each event is a fact; the reaction is an action."""

from dataclasses import dataclass

from minimr.scheduler.state import AttemptId, Failure, JobPlan, Output


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    plan: JobPlan


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker registered. Its name is new: a worker that was given up comes back as another.

    Only after a restart of the coordinator a worker keeps its name, and says which map outputs it
    holds and which attempts it runs (or has not been able to report).
    """

    worker: str
    slots: int
    address: tuple[str, int]
    holds: tuple[AttemptId, ...] = ()
    running: tuple[AttemptId, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """A worker was asked to leave: it gets no more work and is released when it can be spared."""

    worker: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    worker: str


@dataclass(frozen=True, slots=True)
class AttemptDone:
    """An attempt finished. For a reduce task this is its request to commit, too."""

    worker: str
    attempt: AttemptId
    output: Output


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    worker: str
    attempt: AttemptId
    failure: Failure


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A reduce attempt gave up because map outputs could not be fetched.

    Those in `gone` are lost for certain: their holder says that it has them no more, or that they
    are damaged. Those in `unreached` may be well: their holder did not answer this worker.
    """

    worker: str
    attempt: AttemptId
    gone: tuple[AttemptId, ...]
    text: str
    unreached: tuple[AttemptId, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberReady:
    """A member of a gang has its data and waits for the others, who reach it at `address`."""

    worker: str
    attempt: AttemptId
    address: tuple[str, int]


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    worker: str
    text: str


@dataclass(frozen=True, slots=True)
class LeaseTimer:
    """The timer that asks whether a worker's lease has run out."""

    worker: str


@dataclass(frozen=True, slots=True)
class BackupTimer:
    """The timer that looks for attempts of a stage that run for too long."""

    job: str
    stage: str


@dataclass(frozen=True, slots=True)
class ExclusionTimer:
    """The end of a worker's exclusion."""

    worker: str


@dataclass(frozen=True, slots=True)
class RetryTimer:
    """The end of a reduce task's pause after a fetch that failed."""

    job: str
    index: int


@dataclass(frozen=True, slots=True)
class GangTimer:
    """A gang waited long enough: for news of a lost member, or for slots."""

    job: str


@dataclass(frozen=True, slots=True)
class ReturnTimer:
    """After a restart: the workers of the last epoch had their time to come back."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    job: str


@dataclass(frozen=True, slots=True)
class Published:
    """The final rename was done, or failed with `error`."""

    job: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetDropped:
    """Nobody needs this dataset any more."""

    job: str


Timer = LeaseTimer | BackupTimer | ExclusionTimer | RetryTimer | GangTimer | ReturnTimer

Event = (
    JobSubmitted
    | WorkerJoined
    | WorkerDraining
    | Heartbeat
    | AttemptDone
    | AttemptFailed
    | FetchFailed
    | MemberReady
    | ConnectionLost
    | Timer
    | CancelRequested
    | Published
    | DatasetDropped
)
