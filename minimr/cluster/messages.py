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
    cargo: Blob | None
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

    A job over a dataset names it as its `source` and has no inputs of its own.

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


@dataclass(frozen=True, slots=True)
class _Schema:
    """How one class of messages looks on the wire: its fields, and what each may be."""

    cls: type
    names: tuple[str, ...]
    kinds: tuple["_Kind", ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """The exact types a field may have, and what the items of a list must be."""

    types: frozenset[type]
    item: type | None = None
    anything: bool = False


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
    names = tuple(each.name for each in fields(cls))
    return _Schema(cls, names, tuple(_kind(hints[name]) for name in names))


_SCHEMAS = {cls.__name__: _schema(cls) for cls in get_args(Message)}


def to_wire(message: Message) -> list[Any]:
    """[name, field, field, ...]: msgpack data with blobs. An attempt, a tuple, becomes a list."""
    name = type(message).__name__
    return [name, *[getattr(message, each) for each in _SCHEMAS[name].names]]


def from_wire(value: Any) -> Message:
    """The message in a decoded head. Raises ProtocolError for anything else."""
    named = isinstance(value, list) and value and isinstance(value[0], str)
    if not named or value[0] not in _SCHEMAS:
        raise ProtocolError("a frame holds no message that this minimr knows")
    schema = _SCHEMAS[value[0]]
    if len(value) - 1 != len(schema.kinds):
        raise ProtocolError(f"{value[0]} has {len(value) - 1} fields, not {len(schema.kinds)}")
    try:
        checked = [_check(*each) for each in zip(schema.kinds, value[1:], strict=True)]
    except TypeError as error:
        raise ProtocolError(f"{value[0]}: {error}") from None
    message: Message = schema.cls(*checked)
    return message


def _check(kind: _Kind, value: Any) -> Any:
    """The field's value, or TypeError."""
    if kind.anything:
        return value
    if kind.item is not None and type(value) is list:
        return [_convert(kind.item, each) for each in value]
    if type(value) in kind.types:
        return value
    for wanted in (AttemptId, Blob):
        if wanted in kind.types:
            return _convert(wanted, value)
    raise TypeError(f"a field holds a {type(value).__name__}")


def _convert(wanted: type, value: Any) -> Any:
    """An item of a list, or a field that looks different on the wire."""
    if type(value) is wanted:
        return value
    if wanted is Blob and type(value) is bytes:
        return Blob(value)
    if wanted is AttemptId and type(value) is list and len(value) == 4:
        job, stage, index, number = value
        if type(job) is type(stage) is str and type(index) is type(number) is int:
            return AttemptId(job, stage, index, number)
    raise TypeError(f"a {type(value).__name__} stands where {wanted.__name__} should")
