"""What the scheduler knows. It lives here and changes only in `Scheduler.handle`.

Sizes matter: a job has M map tasks and R reduce tasks, and nothing here is of size M x R (the
paper's section 3.5 keeps O(M + R) decisions and warns about the product).

An epoch is one life of the coordinator. It counts up at every restart, and attempts are numbered
from `epoch * EPOCH_ATTEMPTS`: an attempt that was started before a crash and one started after it
never share a name, so neither can pass for the other or write into the other's file.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minimr.scheduler.tables import JobState, TaskState

EPOCH_ATTEMPTS = 1000


class AttemptId(NamedTuple):
    """One try at one task. It also names files and log lines, so it is unique and readable."""

    job: str
    stage: str
    index: int  # type: ignore[assignment]  # Hides the method of tuples, which nobody needs here.
    number: int

    @property
    def task(self) -> str:
        return f"{self.stage}-{self.index}"

    def __str__(self) -> str:
        return f"{self.job}/{self.stage}-{self.index}/{self.number}"


@dataclass(frozen=True, slots=True)
class JobPlan:
    """All that the scheduler needs to know of a job; the rest is opaque cargo for the slots.

    `kind` is "job", "round", "load" or "gang". A load keeps its map output at the workers as a
    dataset and has no reduce tasks. A round without reduce tasks ends with the outputs of its maps,
    which its client reduces. `source` names the dataset whose partition i feeds map task i,
    which then must run at the worker that holds it. A gang has `maps` members, which share the
    partitions of its source among them, and no reduce tasks; `restart` says who starts again when
    a member is lost, "all" or "one". `publishes` says that reduce output is files, which
    one rename makes visible after the last commit. `skip_max` records may be left out if user code
    fails on them (section 4.6 of the paper).
    """

    job: str
    name: str
    kind: str
    maps: int
    reduces: int
    source: str | None = None
    publishes: bool = False
    skip_max: int = 0
    backups: bool = True
    restart: str = ""

    @property
    def survives(self) -> bool:
        """Does the job outlive its client and, with a journal, the coordinator?"""
        return self.kind == "job"


@dataclass(slots=True)
class Output:
    """What a successful attempt reports.

    `inline` holds small results that travel with the message: for a map task one item per
    partition, for a reduce task one item. `stats` are numbers for people (records, bytes,
    seconds), `counters` are the user's, `part` describes a written part file.

    `digest` is a map output's: equal for every attempt of a map that keeps its promise to depend on
    its input alone. `inputs` is a reduce attempt's: the digests of all that it read, in map order,
    as one. `skipped` describes the records that were left out.
    """

    inline: tuple[Any, ...] | None = None
    stats: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    part: dict[str, Any] | None = None
    digest: str | None = None
    inputs: str | None = None
    skipped: tuple[dict[str, Any], ...] = ()

    def kept(self) -> "Output":
        """What is needed when the numbers are told: the result itself, if it is not a file of the
        worker's."""
        if self.inline is None and self.part is None:
            return STORED
        return Output(self.inline, NOTHING, NOTHING, self.part)


NOTHING: dict[str, Any] = {}
STORED = Output(None, NOTHING, NOTHING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `position` is "path:offset" of the record at fault, where known."""

    reason: str
    text: str
    position: str | None = None


@dataclass(slots=True)
class Running:
    """Where an attempt runs, and since when: None while it waits behind another on its worker."""

    worker: str
    started_at: float | None = None
    backup: bool = False
    # How many of the task's `skip` it was told of when it began.
    skips: int = 0


NO_WORKERS: frozenset[str] = frozenset()
NOT_RUNNING: dict[AttemptId, Running] = {}


@dataclass(slots=True)
class Task:
    """There may be millions of these: what most tasks never need is one shared empty thing."""

    stage: "Stage"
    index: int
    state: TaskState = TaskState.PENDING
    attempts: int = 0
    failures: int = 0
    losses: int = 0
    failed_on: frozenset[str] = NO_WORKERS
    positions: tuple[str, ...] = ()
    running: dict[AttemptId, Running] = field(default_factory=lambda: NOT_RUNNING)
    # The number of the attempt whose output is the task's: its whole name would weigh 80 bytes.
    won: int | None = None
    worker: str | None = None
    output: Output | None = None
    # The last winner's; they outlive its output, which a reducer may have read before it was lost.
    counters: dict[str, int] = field(default_factory=lambda: NOTHING)
    digest: str | None = None
    skipped: tuple[dict[str, Any], ...] = ()
    # A slot died on this task: the next attempts say at which record they are, before each call.
    careful: bool = False
    # Records that kill the slot and are left out by the next attempts.
    skip: tuple[str, ...] = ()
    # Workers to try last: of a map task those whose output of it could not be fetched, of a reduce
    # task those that could not fetch.
    avoid: frozenset[str] = NO_WORKERS
    # How often in a row a reduce task could not reach a holder of its input.
    missed: int = 0
    # No backup before this time: the last one could not fetch, while its rival runs on.
    backup_after: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.stage.kind}-{self.index}"

    @property
    def winner(self) -> AttemptId | None:
        return None if self.won is None else self.attempt_id(self.won)

    def attempt_id(self, number: int) -> AttemptId:
        return AttemptId(self.stage.job.plan.job, self.stage.kind, self.index, number)


@dataclass(slots=True, eq=False)  # Each is itself alone, and can be a key.
class Stage:
    """The tasks of one half of a job. `kind` is "map", "reduce", "load" or "gang".

    A task waits in `ready` when any worker may run it, in `pinned[worker]` when only the holder
    of its input partition may, and in neither while its input does not exist. One that runs for
    too long waits in `backups` for a second attempt.
    """

    job: "Job"
    kind: str
    tasks: list[Task] = field(default_factory=list)
    ready: deque[int] = field(default_factory=deque)
    pinned: dict[str, deque[int]] = field(default_factory=dict)
    backups: deque[int] = field(default_factory=deque)
    backups_watched: bool = False
    # The tasks with an attempt that runs, by index.
    active: dict[int, None] = field(default_factory=dict)
    done: int = 0
    seconds: float = 0.0
    timed: int = 0

    @property
    def complete(self) -> bool:
        return self.done == len(self.tasks)

    def running_tasks(self) -> list["Task"]:
        return [self.tasks[index] for index in self.active]

    @property
    def mean_s(self) -> float | None:
        return self.seconds / self.timed if self.timed else None


@dataclass(slots=True)
class Gang:
    """What the members of a gang have in common; see gangs.py.

    `ready` holds the addresses of attempts that run and listen, `met` those that were told of each
    other, `ended` the ranks of which they were told that they have ended. A rank in `mourning`
    ended because of another member, and waits until that time for the news of what happened to
    that one. `life` is the number of the attempts with which the gang began at its beginning: 1
    more than the distance to it is an attempt's epoch.
    """

    life: int
    # Its turn has come, and nothing else begins before it has started.
    has_turn: bool = False
    started: bool = False
    ready: dict[AttemptId, tuple[str, int]] = field(default_factory=dict)
    met: set[AttemptId] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    mourning: dict[int, float] = field(default_factory=dict)
    # Since when the cluster has too few slots for it.
    short_since: float | None = None

    def epoch(self, attempt: AttemptId) -> int:
        """Which start of its rank this is, from 1."""
        return attempt.number - self.life + 1


@dataclass(slots=True)
class Location:
    """Where one completed map output can be fetched."""

    attempt: AttemptId
    worker: str
    address: tuple[str, int]
    size_bytes: int
    digest: str | None = None


@dataclass(slots=True)
class Job:
    plan: JobPlan
    order: int
    started_at: float
    first_attempt: int = 0
    state: JobState = JobState.RUNNING
    map_stage: Stage = field(init=False)
    reduce_stage: Stage | None = field(init=False, default=None)
    gang: Gang | None = field(init=False, default=None)
    source: "Job | None" = None
    dependents: dict[str, "Job"] = field(default_factory=dict)
    running: int = 0
    # Every map output on a disk, in the order of completion; a lost one is followed by its heir.
    locations: list[Location] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    # The indices of the map tasks whose output came along with the message.
    inlined: list[int] = field(default_factory=list)
    skipped: int = 0
    # Holders of map output that did not answer: by whose word, and since when each says so.
    unreached: dict[str, dict[str, float]] = field(default_factory=dict)
    # A reduce attempt was started: what maps made from now on must equal what it may have read.
    read: bool = False
    workers: set[str] = field(default_factory=set)
    announced: bool = False
    dropped: bool = False

    def __post_init__(self) -> None:
        kind = self.plan.kind if self.plan.kind in ("load", "gang") else "map"
        self.map_stage = Stage(self, kind)
        first = self.first_attempt
        self.gang = Gang(first) if kind == "gang" else None
        self.map_stage.tasks = [
            Task(self.map_stage, i, attempts=first) for i in range(self.plan.maps)
        ]
        if self.plan.reduces:
            self.reduce_stage = Stage(self, "reduce")
            self.reduce_stage.tasks = [
                Task(self.reduce_stage, i, attempts=first) for i in range(self.plan.reduces)
            ]

    @property
    def last_stage(self) -> Stage:
        return self.reduce_stage or self.map_stage

    def stage(self, kind: str) -> Stage | None:
        if kind == "reduce":
            return self.reduce_stage
        return self.map_stage if kind == self.map_stage.kind else None

    def task(self, attempt: AttemptId) -> Task | None:
        stage = self.stage(attempt.stage)
        if stage is None or not 0 <= attempt.index < len(stage.tasks):
            return None
        return stage.tasks[attempt.index]


@dataclass(slots=True)
class Worker:
    name: str
    slots: int
    address: tuple[str, int]
    expires_at: float
    # In the order in which they were sent: the first `slots` of them run, the others wait.
    attempts: dict[AttemptId, Running] = field(default_factory=dict)
    # Completed map tasks whose output lives only on this worker, as (job, index).
    holds: dict[tuple[str, int], None] = field(default_factory=dict)
    # It wants to leave: it gets no work, and goes when nothing of it is needed any more.
    draining: bool = False
    # Tasks that failed here and then succeeded elsewhere, since the worker was last excluded.
    blame: int = 0
    # How many of the attempts are members of gangs: nothing waits behind these.
    members: int = 0
    # How many of the others are of which stage: what waits here waits as long as these take.
    stages: dict[Stage, int] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    epoch: int = 0
    workers: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    # Those of the jobs that are gangs.
    gangs: dict[str, Job] = field(default_factory=dict)
    submitted: int = 0
    # Workers that get no work until then, for they failed where others succeeded.
    excluded: dict[str, float] = field(default_factory=dict)
    # After a restart: what the workers of the last epoch held that have not come back yet.
    awaited: dict[str, dict[tuple[str, int], None]] = field(default_factory=dict)
    awaited_until: float = 0.0
    # Names that may not return: they did already, or were given up.
    fenced: set[str] = field(default_factory=set)

    @property
    def first_attempt(self) -> int:
        return self.epoch * EPOCH_ATTEMPTS
