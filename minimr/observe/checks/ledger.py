"""The ledger: what the event log has said so far, and nothing that it has not said.

The checkers share no code with the scheduler, so they need a memory of their own: which workers are
alive, which attempts run, whose output is a task's. It is folded from the events one by one and is
of size O(tasks + attempts + workers). Rules look at it *before* an event is folded in: a rule asks
whether the event may follow what was said so far.

The fold itself judges nothing. After an event that breaks a rule it goes on as the log says, so
that one fault is not reported a hundred times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]

RUNNING = "running"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
ORPHANED = "left alone by a restart of the coordinator"
"""The states of an attempt."""

ALIVE = "alive"
AWAITED = "not back yet since the coordinator restarted"
LOST = "lost"
RELEASED = "released"
"""The standings of a worker."""

LOSSES = frozenset({"worker_lost", "fetch", "member_lost"})
UNCHARGED = LOSSES | {"cancelled"}
"""Reasons of a failed attempt that are not the task's fault."""

STARTED = "parameter_server_started"
READ = "parameter_server_read"
PUSHED = "parameter_server_pushed"
"""What a member of a parameter server notes."""


@dataclass(slots=True)
class Attempt:
    """One try at a task; `line` is the log's line that brought it into its state."""

    number: int
    worker: str
    line: int
    state: str = RUNNING
    backup: bool = False
    address: str = ""  # where a member of a gang listens
    met: bool = False

    def move(self, state: str, line: int) -> None:
        self.state, self.line = state, line

    def __str__(self) -> str:
        return f"attempt {self.number} on {self.worker}"


@dataclass(slots=True)
class Task:
    """A task. `winner` is the attempt whose output is the task's, and None once that is lost.

    The digest, the counters and the other facts are the last winner's. They outlive its output,
    which a reduce task may have read before it was lost.
    """

    job: "Job"
    name: str
    stage: str
    index: int
    attempts: list[Attempt] = field(default_factory=list)
    winner: Attempt | None = None
    committed: Attempt | None = None
    made: bool = False
    digest: str | None = None
    counters: Mapping[str, int] | None = None
    skipped: int = 0
    records_in: int | None = None
    records_out: int | None = None
    failures: int = 0
    losses: int = 0
    poisoned: int = 0
    poisoned_line: int = 0

    @property
    def is_reduce(self) -> bool:
        return self.stage == "reduce"

    def find(self, number: int) -> Attempt | None:
        """The attempt with this number."""
        for attempt in reversed(self.attempts):
            if attempt.number == number:
                return attempt
        return None

    def running(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.state == RUNNING]


@dataclass(slots=True)
class Trainer:
    """A member of a parameter server: `finished` is how many clocks it surely has behind it."""

    epoch: int = 0
    clock: int = 0
    has_read: bool = False
    finished: int = 0
    versions: Sequence[int] = ()


@dataclass(slots=True)
class Server:
    """A gang's parameter server; `seen` is the highest version that any read saw, and by whom."""

    members: int
    staleness: int | None
    trainers: dict[int, Trainer] = field(default_factory=dict)
    seen: int = 0
    seen_by: str = ""


@dataclass(slots=True)
class Job:
    """A job. `told` says that the log was written by a minimr that tells what checkers ask for.

    `ended` is the name of the event that ended it. `patchy` says that lines may be missing: what
    the coordinator wrote into its journal just before it died may never have reached the log.
    """

    name: str
    kind: str
    maps: int
    reduces: int
    submitted_t: float
    line: int
    told: bool
    publishes: bool
    skip_max: int
    attempts_max: int | None
    losses_max: int | None
    tasks: dict[str, Task] = field(default_factory=dict)
    maps_done: int = 0
    maps_made: int = 0
    reduces_done: int = 0
    commits: int = 0
    publishing: int | None = None  # the epoch that said so
    published: int | None = None
    ended: str | None = None
    ended_epoch: int = 0
    patchy: bool = False
    inputs: str | None = None  # the digest over all maps' digests, once somebody needed it
    mixed: str | None = None  # a map that was read in one version and then made in another
    news: dict[str, int] = field(default_factory=dict)  # the line of a worker's last reduce task
    restart: str = ""  # who starts again when a member of the gang is lost
    gang_line: int = 0  # where all members of the gang were started last
    server: Server | None = None

    @property
    def first_stage(self) -> str:
        return self.kind if self.kind in ("load", "gang") else "map"

    def needs_commits(self) -> bool:
        """Are its reduce tasks done by a commit? An old log does not say, but shows."""
        return self.publishes if self.told else self.commits > 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a job's output must be: the facts of each part, by reduce task, and the counters.

    A part's facts are any of `records`, `bytes` and `sha256`.
    """

    parts: Sequence[Mapping[str, Any]]
    counters: Mapping[str, int] | None = None


@dataclass(slots=True)
class Ledger:
    """`oracle` and `bound_s` are what the caller knows; the rest is what the log said."""

    oracle: Mapping[str, Expected] = field(default_factory=dict)
    bound_s: float | None = None
    t: float = float("-inf")
    line: int = 1  # the log's first line says what the file is
    epoch: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    heard: set[str] = field(default_factory=set)
    """Which of the rare events came at all: without them, some invariants cannot be judged."""


def said(event: Event) -> str:
    """The attempt that an event is about, in words."""
    return f"attempt {event['attempt']} of {event['task']} ({event['job']}) on {event['worker']}"


def find_task(event: Event, ledger: Ledger) -> Task | None:
    """The task that an event is about; None if its job was never submitted."""
    job = ledger.jobs.get(event["job"])
    if job is None:
        return None
    name = event["task"]
    task = job.tasks.get(name)
    if task is None:
        stage, _, index = name.rpartition("-")
        task = job.tasks[name] = Task(job, name, stage, int(index))
    return task


def find_job(event: Event, ledger: Ledger) -> Job | None:
    return ledger.jobs.get(event["job"])


def find_nothing(_event: Event, ledger: Ledger) -> Ledger:
    """For events that are about no job, or bring a new one."""
    return ledger
