"""The event log: one JSON object a line, in the order in which things happened.

A log that is only ever appended to needs no lock, survives a crash up to its last whole line, can
be read while it grows, and can be read by any tool that splits lines. Event sourcing rests on the
same idea: keep the facts, and fold them into whatever view somebody asks for later.

The first line says what the file is:

    {"event": "log", "version": 1, "minimr": "0.1.0", "wall": "2026-11-24T05:29:00+00:00"}

Every other line is an event. `t` counts seconds on a monotonic clock from the start of the log, so
that differences between events mean something; the wall clock stands in the first line alone, for
people.

    {"t": 0.125, "event": "attempt_done", "job": "job-1", "task": "map-3", ...}
"""

import errno
import fcntl
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from minimr import __version__
from minimr.errors import BadRecord

Event = dict[str, Any]
_encode = json.JSONEncoder(separators=(",", ":")).encode
LOG_VERSION = 1
MARK = b'{"event":"log",'
"""How every log begins."""


class EventLog:
    """Writes a new log. `append` takes one batch of events, which reaches the file as a whole."""

    def __init__(
        self, path: str | PathLike[str], wall: str | None = None, append: bool = False
    ) -> None:
        """Start the log at `path`, replacing one that is there, or go on with it: `append`.

        `wall` is the wall clock's time in ISO form, by default now; a simulated run gives its own.
        Raises FileExistsError for a file that is no log, BlockingIOError for one that somebody is
        writing.
        """
        self.path = Path(path)
        if not append:
            spare_what_is_no_log(self.path)
        # Without a buffer, a write that failed leaves nothing behind that fails again later.
        self._file = self.path.open("ab", buffering=0)
        try:
            shared = not self.path.is_file()  # A device or a pipe.
            if not shared:
                _lock(self._file, fcntl.LOCK_EX)
            if append:
                return
            if not shared:
                self._file.truncate(0)
        except OSError:
            self._file.close()
            raise
        wall = wall or datetime.now(UTC).isoformat(timespec="seconds")
        first = {"event": "log", "version": LOG_VERSION, "minimr": __version__, "wall": wall}
        try:
            self._write([first])
        except OSError:
            self._file.close()
            raise

    def append(self, events: Iterable[Mapping[str, Any]]) -> None:
        self._write(events)

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        # Escaping everything outside ASCII keeps lone surrogates, which a user's prints may hold.
        text = "".join(_encode(line) + "\n" for line in lines)
        left = memoryview(text.encode("ascii"))
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _lock(file: IO[bytes], kind: int) -> None:
    """Raise BlockingIOError if the file is being written. The lock is the kernel's, so it ends with
    its process; some file systems have none."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EAGAIN, "another run is writing it", str(file.name)) from None
    except OSError:
        pass


def spare_what_is_no_log(path: Path) -> None:
    """Whoever counts the words of app.log into app has given us the name of the input.

    Raises FileExistsError for a file that is no log, BlockingIOError for one that somebody is
    writing.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        _lock(file, fcntl.LOCK_SH)
        begins = file.read(len(MARK))
    if not MARK.startswith(begins):  # A killed writer may have left less than that.
        said = "that file holds something else, which would be lost"
        raise FileExistsError(errno.EEXIST, said, str(path))


class Timeline:
    """Gives events the log's clock: `t` counts from the first event, and never runs backwards.

    The events of a run come from one coordinator's clock. One that was killed and started again has
    another clock, which does not say how long nobody was there. Whoever keeps the timeline may.
    """

    def __init__(self, last_t: float = 0.0, elapsed_s: Callable[[], float] = lambda: 0.0) -> None:
        """Start a timeline, or go on with one whose last event was at `last_t`.

        `elapsed_s` tells how long ago the first event was, by whatever clock there is: the events
        of another coordinator go on from there, and never before the last one.
        """
        self.last_t = last_t
        self._elapsed_s = elapsed_s
        self._zero_t: float | None = None

    def place(self, event: Mapping[str, Any]) -> Event:
        """The event with its `t` on this timeline."""
        t = event["t"]
        restarted = event["event"] == "coordinator_started"
        if self._zero_t is None or (restarted and t - self._zero_t < self.last_t):
            gap = restarted and self.last_t > 0
            self._zero_t = t - (max(self.last_t, self._elapsed_s()) if gap else self.last_t)
        self.last_t = max(self.last_t, round(t - self._zero_t, 6))
        return {**event, "t": self.last_t}


def mend(path: str | PathLike[str]) -> float:
    """Cut off half a line that a killed writer left at the end of a log, so that it can go on.

    Returns the `t` of the last event. Raises BadRecord for a file that is no log, or a damaged one.
    """
    last_t = 0.0
    for event in read_log(path):
        last_t = event["t"]
    with Path(path).open("r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
    return last_t


def age_s(path: str | PathLike[str]) -> float:
    """How many whole seconds ago the log began, by the wall clock; 0.0 if it does not say.

    The wall clock may have been set since. That is good enough for people, and for nothing else.
    """
    try:
        with Path(path).open("rb") as file:
            began = datetime.fromisoformat((_parse_object(file.readline()) or {})["wall"])
        return float((datetime.now(UTC) - began) // timedelta(seconds=1))
    except (OSError, KeyError, TypeError, ValueError):
        return 0.0


def has_begun(path: str | PathLike[str]) -> bool:
    """True if there is a file at `path` with a whole first line. A killed writer may leave none."""
    try:
        with Path(path).open("rb") as file:
            return file.readline().endswith(b"\n")
    except FileNotFoundError:
        return False


def read_log(path: str | PathLike[str]) -> Iterator[Event]:
    """The events of the log at `path`, without its first line.

    A run that was killed may leave half a line at the end. It is left out, and a `note` event says
    so. Anything else that is wrong raises BadRecord with the file and the line.
    """
    with Path(path).open("rb") as file:
        _check_first_line(path, file.readline())
        last_t = 0.0
        for number, line in enumerate(file, start=2):
            event = _parse(line)
            if event is not None:
                last_t = event["t"]
                yield event
            elif line.endswith(b"\n"):
                raise BadRecord(f"{path}, line {number}: not an event; the log is damaged there")
            else:
                text = f"the log ends in half a line ({path}, line {number}), which is left out"
                yield {"t": last_t, "event": "note", "text": text}


def _check_first_line(path: str | PathLike[str], line: bytes) -> None:
    head = _parse_object(line)
    if head is None or head.get("event") != "log":
        raise BadRecord(f"{path} is not an event log of minimr: its first line does not say so")
    if head.get("version") != LOG_VERSION:
        raise BadRecord(
            f"{path} is an event log of version {head.get('version')}, written by minimr "
            f"{head.get('minimr')}; this minimr reads version {LOG_VERSION}"
        )


def _parse(line: bytes) -> Event | None:
    """The event on this line, or None where there is none."""
    event = _parse_object(line)
    if event is None or not isinstance(event.get("event"), str):
        return None
    return event if isinstance(event.get("t"), int | float) else None


def _parse_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # RecursionError: lists within lists without end
        return None
    return value if isinstance(value, dict) else None
