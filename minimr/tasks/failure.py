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
from typing import Any, Literal

from minimr.block import Block, TextBlock
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.job import Job
from minimr.keys import preview

OUR_FOLDER = Path(__file__).resolve().parent.parent
USER_LIKE_FOLDER = OUR_FOLDER / "jobs"
"""The built-in jobs are user code like any other."""


NO_KEY = object()
"""Stands for "before the first key"; None is a key."""


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
    """

    task: str
    path: str = ""
    step: Literal["map", "combine", "partition", "reduce"] = "map"
    record: tuple[Any, Any] | None = None
    key: Any = NO_KEY
    records: int = 0

    @contextmanager
    def during(self, step: Literal["combine", "partition", "reduce"]) -> Iterator[None]:
        """Be at another step inside; when an error leaves it, the step stays, for the report."""
        before, self.step = self.step, step
        yield
        self.step = before

    def name(self) -> str | None:
        """Return the position in short, or None if there is none."""
        if self.step != "map" and self.key is not NO_KEY:
            return f"{self.step} of key {preview(self.key)}"
        if self.record is None:
            return None
        return f"{self.path}:{preview(self.record[0])}"

    def sentence(self) -> str:
        """Return the position for people: where, and on which record."""
        if self.step != "map" and self.key is not NO_KEY:
            return f"in {self.task}, in {self.step} of the key {preview(self.key)}"
        if self.record is None:
            return f"in {self.task}"
        return f"in {self.task} at {self.name()}, on {_preview_record(self.record[1])}"


@contextmanager
def reporting(job: Job, position: Position) -> Iterator[None]:
    """Turn what goes wrong in user code, or with its records, into TaskFailed.

    Our other errors pass, since the user's code did nothing wrong: a disk is full, or an input
    (CorruptData, InputLost) must be made again. So does KeyboardInterrupt.
    """
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if isinstance(error, MinimrError) and not isinstance(error, BadRecord | UsageError):
            raise
        raise TaskFailed(describe(error, job, position)) from error


def describe(error: BaseException, job: Job, position: Position) -> Failure:
    """Put an exception that left a task into words."""
    message = _message(error)
    lines = [f"{type(job).__name__} failed {position.sentence()}:"]
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
    return Failure(kind, message, "\n".join(lines), name)


def _message(error: BaseException) -> str:
    if isinstance(error, MinimrError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"The job called sys.exit({error.code!r}); a task must return instead."
    return traceback.format_exception_only(error)[-1].strip()


def _traceback(error: BaseException) -> str:
    """Format the exception and its causes without our frames; with them if there are no others."""
    whole = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = whole
    while each is not None:
        theirs = [frame for frame in each.stack if not _is_ours(frame.filename)]
        if theirs:
            each.stack = traceback.StackSummary.from_list(theirs)
        each = each.__cause__ or each.__context__
    return "".join(whole.format())


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(OUR_FOLDER) and not path.is_relative_to(USER_LIKE_FOLDER)


def _preview_record(value: Any) -> str:
    if isinstance(value, TextBlock):
        return f"a block of {len(value.data)} bytes that begins {preview(value.data)}"
    if isinstance(value, Block):
        return f"a block of {len(value)} rows"
    return f"the record {preview(value)}"
