"""What coordinator, workers, slots and clients say to each other, as dataclasses.

How they look on the wire is message_codec.py's.
"""

from dataclasses import dataclass, field
from typing import Any

from minimr.cluster.gang_messages import (
    Meet,
    MeetAgain,
    MemberEnded,
    MemberNotes,
    MemberReady,
)
from minimr.cluster.wire import Blob
from minimr.scheduler.state import AttemptId

Fields = dict[str, Any]


# Worker to coordinator


@dataclass(slots=True)
class Register:
    """A worker that was registered before says as whom, in which epoch, and what it has: map
    outputs, attempts that it runs or has not reported yet, and the jobs that it knows."""

    slots: int
    host: str
    port: int
    pid: int
    name: str = ""
    epoch: int = 0
    holds: list[AttemptId] = field(default_factory=list)
    running: list[AttemptId] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Holds:
    """Before a `Register`: map outputs that this worker has, too. One message could not name them
    all, if there are some ten thousands."""

    attempts: list[AttemptId]


@dataclass(slots=True)
class Draining:
    """This worker was asked to leave; a `Stop` will tell it when it can be spared."""


@dataclass(slots=True)
class Beat:
    pass


@dataclass(slots=True)
class Done:
    """`segments` holds inline results: of a map attempt one per partition, of a reduce one."""

    attempt: AttemptId
    segments: list[Blob] | None
    stats: Fields
    counters: Fields
    part: Fields | None
    printed: str
    digest: str | None = None
    inputs: str | None = None
    skipped: list[Fields] = field(default_factory=list)


@dataclass(slots=True)
class Failed:
    attempt: AttemptId
    reason: str
    text: str
    position: str | None
    printed: str


@dataclass(slots=True)
class FetchMissed:
    """`gone` are lost for certain; the holders of those in `unreached` did not answer."""

    attempt: AttemptId
    gone: list[AttemptId]
    text: str
    unreached: list[AttemptId] = field(default_factory=list)


# Coordinator to worker


@dataclass(slots=True)
class Registered:
    """`kept`: this worker still has its name and what it holds. It waits for a coordinator that
    is gone for `patience_s`."""

    worker: str
    epoch: int = 0
    kept: bool = False
    patience_s: float = 0.0


@dataclass(slots=True)
class JobCargo:
    """All that a worker and its slots need to know of a job; `spec` is opaque to others."""

    job: str
    code: str
    spec: Blob


@dataclass(slots=True)
class MapsAt:
    """Where outputs of map tasks are, and their digests: lists that are aligned."""

    job: str
    attempts: list[AttemptId]
    workers: list[str]
    hosts: list[str]
    ports: list[int]
    sizes: list[int]
    digests: list[str]


@dataclass(slots=True)
class Run:
    """`cargo` is the task's input; `inline` holds small map outputs (see inlined.py). A `careful`
    attempt says at which record it is; those in `skip` are left out. `epoch` is a gang member's."""

    attempt: AttemptId
    cargo: Blob | None
    inline: Blob | None = None
    careful: bool = False
    skip: list[str] = field(default_factory=list)
    epoch: int = 0


@dataclass(slots=True)
class Cancel:
    attempt: AttemptId


@dataclass(slots=True)
class Forget:
    job: str


@dataclass(slots=True)
class Stop:
    """Leave: the cluster is shutting down."""


# Client to coordinator; each request has a number that its reply repeats


@dataclass(slots=True)
class Submit:
    """`spec` is the same for all tasks, `inputs` holds what each map task reads (see inputs.py).

    A job over a dataset names it as its `source` and has no inputs of its own. A gang has `maps`
    members and says who is to `restart` when one is lost, "all" or "one".

    With `watch` the client hears of the job's end, and the job ends with the client; with
    `events` it gets the event log as it grows.
    """

    request: int
    name: str
    kind: str
    maps: int
    reduces: int
    source: str | None
    code: str
    spec: Blob
    inputs: Blob | None
    output: Fields | None
    watch: bool
    events: bool
    restart: str = ""


@dataclass(slots=True)
class CancelJob:
    request: int
    job: str


@dataclass(slots=True)
class DropDataset:
    job: str


@dataclass(slots=True)
class GetStatus:
    request: int


@dataclass(slots=True)
class AwaitWorkers:
    """Reply when there are at least so many workers."""

    request: int
    count: int


@dataclass(slots=True)
class GetLog:
    request: int
    job: str


@dataclass(slots=True)
class Watch:
    """Send me this job's events and its end."""

    request: int
    job: str


@dataclass(slots=True)
class Shutdown:
    request: int


# Coordinator to client


@dataclass(slots=True)
class Reply:
    request: int
    value: Any
    error: str | None


@dataclass(slots=True)
class Events:
    job: str
    lines: list[Fields]


@dataclass(slots=True)
class Ended:
    job: str
    ok: bool
    cancelled: bool
    error: str
    counters: Fields
    parts: list[Fields]
    results: list[Blob]


# Slot to worker


@dataclass(slots=True)
class Hello:
    pid: int


# Reducer to shuffle server and back


@dataclass(slots=True)
class Fetch:
    """Send partition `partition` of these map outputs."""

    partition: int
    attempts: list[AttemptId]


@dataclass(slots=True)
class Segments:
    """The next part of the answer: sizes and CRC-32s of the segments that follow as raw bytes.

    A size of -1 stands for a segment that is gone.
    """

    sizes: list[int]
    checksums: list[int]


Message = (
    Register | Holds | Draining | Beat | Done | Failed | FetchMissed
    | Registered | JobCargo | MapsAt | Run | Cancel | Forget | Stop
    | Submit | CancelJob | DropDataset | GetStatus | AwaitWorkers | GetLog | Watch | Shutdown
    | Reply | Events | Ended
    | Hello | Fetch | Segments
    | Meet | MeetAgain | MemberNotes | MemberReady | MemberEnded
)  # fmt: skip
