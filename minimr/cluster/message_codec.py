"""Messages as msgpack data, and back.

A message travels as [name, field, field, ...]. Decoding checks the name, the number of fields and
the type of each against the dataclass, so that no handler meets a value it did not ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from minimr.cluster.messages import Message
from minimr.cluster.wire import Blob
from minimr.errors import ProtocolError
from minimr.scheduler.state import AttemptId

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
