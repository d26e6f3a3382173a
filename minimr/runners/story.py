"""The story of a run on its way to those who follow it: the event log, a view, or just stderr."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from minimr.errors import UsageError
from minimr.observe.log import EventLog

OnEvent = Callable[[dict[str, Any]], None]


class Story:
    """`add` takes events as they come; their clock starts at the first one.

    Whoever gives no `on_event` still sees what the job's code prints, on stderr.
    """

    def __init__(self, on_event: OnEvent | None, log: Path | None = None) -> None:
        self._on_event = on_event or show_prints
        self._first_t: float | None = None
        self._started = time.monotonic()
        try:
            self._log = EventLog(log) if log is not None else None
        except OSError as error:
            raise UsageError(
                f"the event log {log} cannot be written: {error.strerror}; choose another file"
            ) from None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, event: dict[str, Any]) -> None:
        if self._first_t is None:
            self._first_t = event["t"]
        event["t"] = round(event["t"] - self._first_t, 6)
        if self._log is not None:
            self._log.append([event])
        self._on_event(event)

    def __enter__(self) -> "Story":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._log is not None:
            self._log.close()


def show_prints(event: dict[str, Any]) -> None:
    """What user code printed, marked with its task."""
    if event["event"] == "task_printed":
        for line in event["text"].splitlines():
            print(f"[{event['task']}] {line}", file=sys.stderr)
