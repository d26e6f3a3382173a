"""What a coordinator must remember through a crash, as records in the order of the decisions.

A write-ahead log: before the coordinator acts on a decision that must survive, the record of it is
on the disk. The record *is* the commit. A reduce task is committed when its `Committed` record is
written, whatever files lie around and whoever still runs the same task; renaming files could not
decide that, since the last rename wins. Only decisions are kept. Which attempts ran and what was
queued is not: workers say themselves what they run and hold when they come back.

Every record is of size O(1) or, for output that travelled inline, of that output's size.
"""

from dataclasses import dataclass, fields
from typing import Any, get_args

from minimr.errors import BadRecord
from minimr.scheduler.state import AttemptId, JobPlan, Output


@dataclass(frozen=True, slots=True)
class JobAccepted:
    plan: JobPlan
    order: int


@dataclass(frozen=True, slots=True)
class MapAccepted:
    """The output of this attempt is the map task's, until it is lost."""

    attempt: AttemptId
    worker: str
    address: tuple[str, int]
    output: Output


@dataclass(frozen=True, slots=True)
class OutputLost:
    attempt: AttemptId
    cause: str


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """This worker was given up, and may not return under its name in a later epoch either."""

    worker: str


@dataclass(frozen=True, slots=True)
class Committed:
    """This attempt is the reduce task's, for good."""

    attempt: AttemptId
    worker: str
    output: Output


@dataclass(frozen=True, slots=True)
class Publishing:
    """All reduce tasks are committed; the rename may have happened from here on."""

    job: str


@dataclass(frozen=True, slots=True)
class JobClosed:
    job: str
    state: str
    error: str


Record = JobAccepted | MapAccepted | OutputLost | WorkerLost | Committed | Publishing | JobClosed

_RECORDS: dict[str, type] = {cls.__name__: cls for cls in get_args(Record)}
_NAMES: dict[type, list[str]] = {
    cls: [each.name for each in fields(cls)] for cls in (*_RECORDS.values(), JobPlan, Output)
}
"""The names of the fields of each class that stands in the journal, in their order."""


def to_plain(record: Record) -> list[Any]:
    """[name, field, ...] of lists, dicts, strings and numbers, and whatever was inline."""
    kind = type(record)
    return [kind.__name__, *[_plain(getattr(record, name)) for name in _NAMES[kind]]]


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _NAMES:
        return {name: _plain(getattr(value, name)) for name in _NAMES[kind]}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def from_plain(value: Any) -> Record:
    """The record that `to_plain` turned into this. Raises BadRecord for anything else."""
    try:
        cls = _RECORDS[value[0]]
        found = dict(zip(_NAMES[cls], value[1:], strict=True))
        record: Record = cls(**{name: _typed(name, each) for name, each in found.items()})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        text = f"the journal holds a record that this minimr does not know: {error}"
        raise BadRecord(text) from None
    return record


def _typed(name: str, value: Any) -> Any:
    match name:
        case "attempt":
            return AttemptId(*value)
        case "address":
            return tuple(value)
        case "plan":
            return JobPlan(**value)
        case "output":
            inline = None if value["inline"] is None else tuple(value["inline"])
            return Output(**{**value, "inline": inline, "skipped": tuple(value["skipped"])})
    return value
