"""What coordinator, workers, slots and clients say to each other, as dataclasses.

A message travels as [name, field, field, ...]. Decoding checks the name, the number of fields and
the type of each against the dataclass, so that no handler meets a value it did not ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from minimr.cluster.gang_messages import Meet, MeetAgain, MemberNotes, MemberReady
from minimr.cluster.wire import Blob
from minimr.errors import ProtocolError
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
    | Meet | MeetAgain | MemberNotes | MemberReady
)  # fmt: skip


Convert = Callable[[Any], Any]
"""Makes a field's value of what came; TypeError if it cannot."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """The exact types a field may have, and what the items of a list must be."""

    types: frozenset[type]
    item: type | None = None
    anything: bool = False

    def conversion(self, came: type) -> Convert | None:
        """What makes a field of a value of this type; None if the value may stay as it is."""
        if self.anything:
            return None
        if came is list and self.item is not None:
            return LIST_OF.get(self.item) or partial(_plain_list, self.item)
        if came in self.types:
            return None
        for wanted, convert in ((AttemptId, _attempt), (Blob, Blob)):
            if wanted in self.types and came is (list if wanted is AttemptId else bytes):
                return convert
        raise TypeError(f"a field holds a {came.__name__}")


@dataclass(frozen=True, slots=True)
class _Schema:
    """How one class of messages looks on the wire.

    `shapes` are the types that the fields of a message had, for messages met so far, with the
    fields that had to be converted: most messages look like one that came before. A field may have
    few types, so there are few shapes.
    """

    cls: type
    values: Callable[[Any], tuple[Any, ...]]
    kinds: tuple[_Kind, ...]
    shapes: dict[tuple[type, ...], list[tuple[int, Convert]]] = field(default_factory=dict)

    def conversions(self, shape: tuple[type, ...]) -> list[tuple[int, Convert]]:
        """Which fields to convert, and how. TypeError if they cannot have these types."""
        if shape not in self.shapes:
            if len(shape) != len(self.kinds):
                raise TypeError(f"{len(shape)} fields, not {len(self.kinds)}")
            found = [kind.conversion(came) for kind, came in zip(self.kinds, shape, strict=True)]
            self.shapes[shape] = [(at, each) for at, each in enumerate(found) if each is not None]
        return self.shapes[shape]


def to_wire(message: Message) -> tuple[Any, ...]:
    """(name, field, field, ...): msgpack data with blobs. An attempt, a tuple, becomes a list."""
    name = type(message).__name__
    return (name, *_SCHEMAS[name].values(message))


def from_wire(value: Any) -> Message:
    """The message in a decoded head. Raises ProtocolError for anything else."""
    named = isinstance(value, list) and value and isinstance(value[0], str)
    if not named or value[0] not in _SCHEMAS:
        raise ProtocolError("a frame holds no message that this minimr knows")
    name, *values = value
    schema = _SCHEMAS[name]
    try:
        for at, convert in schema.conversions(tuple(map(type, values))):
            values[at] = convert(values[at])
    except TypeError as error:
        raise ProtocolError(f"{name}: {error}") from None
    message: Message = schema.cls(*values)
    return message


ATTEMPT_SHAPE = (str, str, int, int)


def _attempt(came: list[Any]) -> AttemptId:
    if type(came) is not list or tuple(map(type, came)) != ATTEMPT_SHAPE:
        raise TypeError(f"a {type(came).__name__} stands where an AttemptId should")
    return AttemptId._make(came)


def _attempts(came: list[Any]) -> list[AttemptId]:
    return [_attempt(each) for each in came]


def _blobs(came: list[Any]) -> list[Blob]:
    """Small blobs come as bytes, see the frame."""
    blobs = [Blob(each) if type(each) is bytes else each for each in came]
    return _plain_list(Blob, blobs)


def _plain_list(item: type, came: list[Any]) -> list[Any]:
    for each in came:
        if type(each) is not item:
            raise TypeError(f"a {type(each).__name__} stands where {item.__name__} should")
    return came


LIST_OF: dict[type, Convert] = {AttemptId: _attempts, Blob: _blobs}


def _kind(annotation: Any) -> _Kind:
    if annotation is Any:
        return _Kind(frozenset(), anything=True)
    if isinstance(annotation, UnionType):
        parts = [_kind(each) for each in get_args(annotation)]
        types = frozenset().union(*(part.types for part in parts))
        return _Kind(types, next((part.item for part in parts if part.item), None))
    if get_origin(annotation) is list:
        (item,) = get_args(annotation)
        return _Kind(frozenset({list}), get_origin(item) or item)
    return _Kind(frozenset({get_origin(annotation) or annotation}))


def _schema(cls: type) -> _Schema:
    hints = get_type_hints(cls)
    names = [each.name for each in fields(cls)]
    kinds = tuple(_kind(hints[name]) for name in names)
    if len(names) > 1:
        return _Schema(cls, attrgetter(*names), kinds)
    return _Schema(cls, lambda message: tuple(getattr(message, name) for name in names), kinds)


_SCHEMAS = {cls.__name__: _schema(cls) for cls in get_args(Message)}
