"""What went wrong in user code, as text that its author can use.

The traceback is cut to the user's own frames, since ours between them explain nothing, and the
place in the input is added: file, byte offset, and a preview of the record. This text is all that
leaves the slot. An exception object would need the user's classes on the other side.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from minimr.block import Block, TextBlock
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.job import Job
from minimr.keys import preview
from minimr.shuffle.partition import stable_hash
from minimr.tasks.reserve import make_room, set_aside
from minimr.tasks.watcher import NOBODY, Watcher

OUR_FOLDER = Path(__file__).resolve().parent.parent
USER_LIKE_FOLDER = OUR_FOLDER / "jobs"
"""The built-in jobs are user code like any other."""


NO_KEY = object()
"""Stands for "before the first key"; None is a key."""


CHARACTERS_MAX = 50_000
"""Of a failure's text: it travels in a message, stands in the event log, and is to be read."""

NO_MEMORY = "MemoryError: the task needs more memory than it may take"


class TooManyBadRecords(BadRecord):
    """A record cannot be skipped, because enough of them were; its cause is the user's error."""


class InputLost(MinimrError):
    """A segment that a reduce task needs cannot be fetched: no fault of the task or the user."""


@dataclass(frozen=True)
class Failure:
    """`message` is one line; `text` has the place and the traceback too.

    `position` names the record or key, alike in every attempt that fails there: "path:offset".
    """

    kind: Literal["user", "exit"]
    message: str
    text: str
    position: str | None


class TaskFailed(Exception):
    """An attempt ended in failure; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(slots=True)
class Position:
    """Where a task stands. The loops keep `record` or `key` current, at the cost of a store.

    `record` is None while the next record is being read: an error then has its own position.
    `path` is the input's; in a reduce task it is the task's short name.
    """

    task: str
    path: str = ""
    step: Literal["map", "combine", "partition", "reduce"] = "map"
    record: tuple[Any, Any] | None = None
    key: Any = NO_KEY
    records: int = 0
    watcher: Watcher = NOBODY

    @contextmanager
    def during(self, step: Literal["combine", "partition", "reduce"]) -> Iterator[None]:
        """Be at another step inside; when an error leaves it, the step stays, for the report."""
        before, self.step = self.step, step
        yield
        self.step = before

    def name(self) -> str | None:
        """Return the position in short, or None if there is none.

        "path:offset" for a record, "path:offset+length" for a block of lines, "reduce-3:key 'a'"
        for a key group, and else "combine of key 'a'".
        """
        if self.step != "map" and self.key is not NO_KEY:
            place = f"{self.path}:" if self.step == "reduce" else f"{self.step} of "
            return f"{place}key {_name_of_key(self.key)}"
        if self.record is None:
            return None
        place, value = self.record
        length = f"+{len(value.data)}" if isinstance(value, TextBlock) else ""
        return f"{self.path}:{preview(place)}{length}"

    def shown(self) -> str:
        """Return a preview of the record or key."""
        return preview(self.key if self.record is None else self.record[1])

    def sentence(self) -> str:
        """Return the position for people: where, and on which record."""
        if self.step != "map" and self.key is not NO_KEY:
            return f"in {self.task}, in {self.step} of the key {preview(self.key)}"
        if self.record is None:
            return f"in {self.task}"
        return f"in {self.task} at {self.name()}, on {_preview_record(self.record[1])}"


class PublishedPosition(Position):
    """The position of a careful attempt: its watcher hears of every change before the next call.

    So it is known where the process was even if it dies of a signal; see cluster/whereabouts.py.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        made = hasattr(self, "watcher")  # the last field to be set
        if made and name in ("step", "record", "key"):
            where = self.name()
            self.watcher.at(where, self.sentence() if where else "")


def position_of(task: str, careful: bool, watcher: Watcher) -> Position:
    """Return a new attempt's position; `task` is for people, "map task 3"."""
    return (PublishedPosition if careful else Position)(task, watcher=watcher)


def is_users_fault(error: BaseException) -> bool:
    """Tell user code's failures, and those of its records, from all others.

    Our other errors are not the user's doing: a disk is full, or an input (CorruptData, InputLost)
    must be made again. Nor is Ctrl-C.
    """
    if isinstance(error, MinimrError):
        return isinstance(error, BadRecord | UsageError)
    return not isinstance(error, KeyboardInterrupt | GeneratorExit)


class Reporting:
    """Turns what goes wrong inside, in user code or with its records, into TaskFailed; the rest
    passes. A class, which costs each task less than a generator would."""

    def __init__(self, job: Job, position: Position) -> None:
        self._job, self._position = job, position

    def __enter__(self) -> None:
        set_aside()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or not is_users_fault(error):
            return
        if isinstance(error, MemoryError):
            make_room(error)
        raise TaskFailed(describe(error, self._job, self._position)) from error


def describe(error: BaseException, job: Job, position: Position) -> Failure:
    """Put an exception that left a task into words."""
    message = _shortened(message_of(error))
    # A load has no code of its user: the data are at fault, and the message says where.
    loads = type(job) is Job and isinstance(error, MinimrError)
    lines = [] if loads else [f"{type(job).__name__} failed {position.sentence()}:"]
    if isinstance(error, TooManyBadRecords) and error.__cause__ is not None:
        lines.append(_traceback(error.__cause__).rstrip("\n"))
    if isinstance(error, MinimrError):
        lines.append(message)
    else:
        lines.append(_traceback(error).rstrip("\n"))
    if isinstance(error, SystemExit):
        lines.append(message)
    kind: Literal["user", "exit"] = "exit" if isinstance(error, SystemExit) else "user"
    name = position.name()
    if name is None and isinstance(error, BadRecord):
        name = message  # It names the record itself, and will say the same the next time.
    return Failure(kind, message, _shortened("\n".join(lines)), name)


def _shortened(text: str) -> str:
    """Return the text, or its beginning and its end, where the reason stands."""
    if len(text) <= CHARACTERS_MAX:
        return text
    half = CHARACTERS_MAX // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"


def message_of(error: BaseException) -> str:
    """Return one line: "ValueError: ...", or the text of an error of ours."""
    if isinstance(error, MinimrError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"The job called sys.exit({error.code!r}); a task must return instead."
    message = traceback.format_exception_only(error)[-1].strip()
    return NO_MEMORY if message == "MemoryError" else message


def _traceback(error: BaseException) -> str:
    """Format the exception and its causes without our frames; with them if there are no others."""
    if isinstance(error, MemoryError):
        return _out_of_memory(error)
    return _without_our_frames(error)


def _out_of_memory(error: MemoryError) -> str:
    """Format the error that user code met; others came on top of it for want of memory."""
    each: BaseException | None = error
    while isinstance(each, MemoryError):
        if any(not _is_ours(frame.filename) for frame in traceback.extract_tb(each.__traceback__)):
            return _without_our_frames(each)
        each = each.__context__
    return message_of(error)


def _without_our_frames(error: BaseException) -> str:
    whole = traceback.TracebackException.from_exception(error)
    chain = list(_with_causes(whole))
    theirs = [[frame for frame in each.stack if not _is_ours(frame.filename)] for each in chain]
    if any(theirs):  # A StopIteration of theirs comes to us as an error without a frame of theirs.
        for each, frames in zip(chain, theirs, strict=True):
            each.stack = traceback.StackSummary.from_list(frames)
    return "".join(whole.format())


def _with_causes(
    error: traceback.TracebackException,
) -> Iterator[traceback.TracebackException]:
    each: traceback.TracebackException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(OUR_FOLDER) and not path.is_relative_to(USER_LIKE_FOLDER)


def _name_of_key(key: Any) -> str:
    """Return a preview by which two keys cannot be taken for each other."""
    shown = preview(key)
    return f"{shown} ({stable_hash(key):016x})" if shown.endswith("...") else shown


def _preview_record(value: Any) -> str:
    if isinstance(value, TextBlock):
        return f"a block of {len(value.data)} bytes that begins {preview(value.data)}"
    if isinstance(value, Block):
        return f"a block of {len(value)} rows"
    return f"the record {preview(value)}"
