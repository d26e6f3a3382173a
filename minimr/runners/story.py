"""The story of a run on its way to those who follow it: the event log, a view, or just stderr.

Whoever waits for a job writes its log. A job that nobody waits for, as `minimr submit` starts it,
has its log written by the coordinator (`minimr/cluster/job_log.py`).
"""

import errno
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from minimr.errors import JobFailed, NoCoordinator, UsageError
from minimr.observe.default_logs import new_log
from minimr.observe.log import EventLog, Timeline, spare_what_is_no_log

OnEvent = Callable[[dict[str, Any]], None]


class Story:
    """`add` takes events as they come; their clock starts at the first one. Thread-safe.

    The log is the file `log`, or else one at the default place, called after `name`; without
    either there is none. Raises UsageError if `log` cannot be written. A default place that cannot
    be written, or a disk that fills up later, ends the log and not the run: a `note` says so.

    Whoever gives no `on_event` still sees notes and what the job's code prints, on stderr.
    """

    def __init__(
        self, on_event: OnEvent | None, log: Path | None = None, name: str | None = None
    ) -> None:
        self._on_event = on_event or show_on_stderr
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._first_at: float | None = None
        self._timeline = Timeline(elapsed_s=lambda: time.monotonic() - (self._first_at or 0.0))
        self._untold: deque[dict[str, Any]] = deque()
        self._telling = False
        self._log: EventLog | None = None
        if log is not None:
            self._log = _open(log)
        elif name is not None:
            self._open_default(name)
        self.log_path = self._log.path if self._log is not None else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, *events: dict[str, Any]) -> None:
        """Events that came together reach the log with one write."""
        self.take(deque(events))

    def take(self, arrived: deque[dict[str, Any]]) -> None:
        """Add what has arrived; whoever shares it with other threads finds its order in the log.

        `on_event` hears of all in that order, too, from one thread at a time: from this one, or
        from another that is at it.
        """
        with self._lock:
            self._first_at = self._first_at or time.monotonic()
            placed = [self._timeline.place(arrived.popleft()) for _ in range(len(arrived))]
            problem = self._write(placed)
            self._untold.extend(placed)
            if problem is not None:
                self._untold.append(problem)
        self._tell()

    def point_out(self, error: JobFailed) -> None:
        """Let the error say where the log is."""
        if self.log_path is not None:
            error.add_note(f"The event log: {self.log_path}")

    def break_off(self, error: NoCoordinator) -> None:
        """What has begun may have no end in the log: say there why."""
        with self._lock:
            if self._first_at is not None:
                self._write([_note(self._timeline.last_t, f"the log breaks off: {error}")])

    def close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            try:
                log.close()
            except OSError as error:  # On some file systems a write fails that late.
                self._on_event(self._end_of_log(error))

    def __enter__(self) -> "Story":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, JobFailed):
            self.point_out(error)
        elif isinstance(error, NoCoordinator):
            self.break_off(error)
        self.close()

    def _tell(self) -> None:
        """Tell what is untold, unless that is being done."""
        while (event := self._next_to_tell()) is not None:
            try:
                self._on_event(event)
            finally:
                self._telling = False

    def _next_to_tell(self) -> dict[str, Any] | None:
        with self._lock:
            if self._telling or not self._untold:
                return None
            self._telling = True
            return self._untold.popleft()

    def _open_default(self, name: str) -> None:
        try:
            self._log = new_log(name)
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._on_event(_note(0.0, f"no event log: ~/.minimr/logs cannot be written ({why})"))

    def _write(self, events: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Returns a note of what went wrong, once."""
        if self._log is None:
            return None
        try:
            self._log.append(events)
        except OSError as error:
            with suppress(OSError):
                self._log.close()
            self._log = None
            return self._end_of_log(error)
        return None

    def _end_of_log(self, error: OSError) -> dict[str, Any]:
        text = f"the event log {self.log_path} ends too early: {error.strerror}"
        return _note(self._timeline.last_t, text)


def show_on_stderr(event: dict[str, Any]) -> None:
    """What user code printed, marked with its task, and notes."""
    match event["event"]:
        case "task_printed":
            for line in event["text"].splitlines():
                print(f"[{event['task']}] {line}", file=sys.stderr)
        case "note":
            print(event["text"], file=sys.stderr)


def spare_files(path: Path, inputs: Iterable[str], other: str = "file") -> None:
    """Raise UsageError if an event log at `path` would replace an input, or what is no log.

    `other` is what to choose another of.
    """
    try:
        spare_what_is_no_log(path)
        if path.is_file() and path.resolve() in {Path(each).resolve() for each in inputs}:
            raise FileExistsError(errno.EEXIST, "it is an input of the job", str(path))
    except OSError as error:
        raise _cannot_write(path, error, other) from None


def _open(path: Path) -> EventLog:
    try:
        return EventLog(path)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError, other: str = "file") -> UsageError:
    return UsageError(
        f"the event log {path} cannot be written: {error.strerror}; choose another {other}"
    )


def _note(t: float, text: str) -> dict[str, Any]:
    return {"t": t, "event": "note", "job": None, "text": text}
