"""What coordinator, workers, slots and clients say to each other, as dataclasses.

A message travels as [name, field, field, ...]. Decoding checks the name, the number of fields and
the type of each against the dataclass, so that no handler meets a value it did not ask for.
"""

from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from minimr.cluster.wire import Blob
from minimr.errors import ProtocolError
from minimr.scheduler.state import AttemptId

Fields = dict[str, Any]


# Worker to coordinator


@dataclass(slots=True)
class Register:
    slots: int
    host: str
    port: int
    pid: int


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


@dataclass(slots=True)
class Failed:
    attempt: AttemptId
    reason: str
    text: str
    position: str | None
    printed: str


@dataclass(slots=True)
class FetchMissed:
    attempt: AttemptId
    missing: list[AttemptId]
    text: str


# Coordinator to worker


@dataclass(slots=True)
class Registered:
    worker: str


@dataclass(slots=True)
class JobCargo:
    """All that a worker and its slots need to know of a job; `spec` is opaque to others."""

    job: str
    code: str
    spec: Blob


@dataclass(slots=True)
class MapsAt:
    """Where outputs of map tasks are: lists of attempts, workers, hosts and ports, aligned."""

    job: str
    attempts: list[AttemptId]
    workers: list[str]
    hosts: list[str]
    ports: list[int]
    sizes: list[int]


@dataclass(slots=True)
class Run:
    """`cargo` is the task's input; `maps` and `segments` are inline map outputs, aligned."""

    attempt: AttemptId
    cargo: Blob
    maps: list[int] = field(default_factory=list)
    segments: list[Blob] = field(default_factory=list)


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
    """`spec` is the same for all tasks, `inputs` holds one item per map task.

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
    inputs: list[Blob]
    output: Fields | None
    watch: bool
    events: bool


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
    """The sizes of the segments that follow as raw bytes; -1 stands for one that is missing."""

    sizes: list[int]


Message = (
    Register | Beat | Done | Failed | FetchMissed
    | Registered | JobCargo | MapsAt | Run | Cancel | Forget | Stop
    | Submit | CancelJob | DropDataset | GetStatus | AwaitWorkers | GetLog | Watch | Shutdown
    | Reply | Events | Ended
    | Hello | Fetch | Segments
)  # fmt: skip

_CLASSES: dict[str, type] = {cls.__name__: cls for cls in get_args(Message)}


def _accepts(kind: Any) -> tuple[tuple[type, ...], type | None]:
    """The classes a field may have, and the class of its items if it is a list."""
    if kind is Any:
        return (object,), None
    if isinstance(kind, UnionType):
        parts = [_accepts(each) for each in get_args(kind)]
        classes = tuple(cls for found, _ in parts for cls in found)
        return classes, next((item for _, item in parts if item), None)
    if get_origin(kind) is list:
        return (list,), _accepts(get_args(kind)[0])[0][0]
    return (get_origin(kind) or kind,), None


_SCHEMAS = {
    name: [_accepts(get_type_hints(cls)[each.name]) for each in fields(cls)]
    for name, cls in _CLASSES.items()
}
_NAMES = {name: [each.name for each in fields(cls)] for name, cls in _CLASSES.items()}


def to_wire(message: Message) -> list[Any]:
    """[name, field, field, ...]: msgpack data with blobs."""
    name = type(message).__name__
    return [name, *(_plain(getattr(message, each)) for each in _NAMES[name])]


def _plain(value: Any) -> Any:
    if type(value) is AttemptId:
        return [value.job, value.stage, value.index, value.number]
    if type(value) is list and value and type(value[0]) is AttemptId:
        return [_plain(each) for each in value]
    return value


def from_wire(value: Any) -> Message:
    """The message in a decoded head. Raises ProtocolError for anything else."""
    named = isinstance(value, list) and value and isinstance(value[0], str)
    if not named or value[0] not in _CLASSES:
        raise ProtocolError("a frame holds no message that this minimr knows")
    name, *values = value
    schema = _SCHEMAS[name]
    if len(values) != len(schema):
        raise ProtocolError(f"message {name} has {len(values)} fields, not {len(schema)}")
    checked = [_check(name, each, *kind) for each, kind in zip(values, schema, strict=True)]
    message: Message = _CLASSES[name](*checked)
    return message


def _check(name: str, value: Any, classes: tuple[type, ...], item: type | None) -> Any:
    if AttemptId in classes:
        return _attempt(name, value)
    if not isinstance(value, classes) or (type(value) is bool and bool not in classes):
        if classes != (object,):
            raise ProtocolError(f"message {name} has a field of type {type(value).__name__}")
        return value
    if item is AttemptId and isinstance(value, list):
        return [_attempt(name, each) for each in value]
    if item is not None and isinstance(value, list):
        for each in value:
            if not isinstance(each, item):
                raise ProtocolError(f"message {name} lists a {type(each).__name__}")
    return value


def _attempt(name: str, value: Any) -> AttemptId:
    match value:
        case [str(job), str(stage), int(index), int(number)]:
            return AttemptId(job, stage, index, number)
    raise ProtocolError(f"message {name} names no attempt")
