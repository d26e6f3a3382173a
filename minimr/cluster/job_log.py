"""The event log of a job that nobody waits for, written by the coordinator beside the job's output.

A thread does it, one for each such job. The disk belongs to the job's user and may be slow, full or
gone; that must not stop the loop, on which every job depends. What the loop adds while the thread
writes becomes the next batch. A log that breaks ends there, and its job goes on.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from minimr.observe.log import Event, EventLog, Timeline, age_s, has_begun, mend


class JobLog:
    """`add` and `close` never block. `on_error(text)` is called once at most, from the thread; or
    at once, where the system has no thread for it: then there is no log."""

    def __init__(self, path: Path, on_error: Callable[[str], None], resume: bool = False) -> None:
        """With `resume`, go on with the file that an earlier coordinator left."""
        self.path = path
        self._on_error = on_error
        self._resume = resume
        self._on_closed: Callable[[], object] = lambda: None
        self._lines: SimpleQueue[Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name="job log", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:  # The system gives us no more threads.
            self._thread = None
            self._say(error)

    def add(self, line: Event) -> None:
        if self._thread is not None:
            self._lines.put(line)

    def close(self, on_closed: Callable[[], object] = lambda: None) -> None:
        """Call `on_closed`, from the thread if there is one, when all that was added is in the
        file."""
        if self._thread is None:
            on_closed()
            return
        self._on_closed = on_closed
        self._lines.put(None)

    def join(self, timeout_s: float) -> None:
        """After `close`: wait for the thread, but not for ever."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:
            # Whatever it is: it is said, and nobody waits for ever for the end of the log.
            self._say(error)
            while self._batch():
                pass
        self._on_closed()

    def _say(self, error: Exception) -> None:
        why = error.strerror if isinstance(error, OSError) else str(error)
        self._on_error(f"the event log {self.path} cannot be written: {why}")

    def _write(self) -> None:
        resume = self._resume and has_begun(self.path)
        timeline = Timeline(mend(self.path) if resume else 0.0, lambda: age_s(self.path))
        with EventLog(self.path, append=resume) as log:
            while batch := self._batch():
                log.append([timeline.place(line) for line in batch])

    def _batch(self) -> list[Event]:
        """At least one line and all that wait behind it, or nothing: the log is closed."""
        batch: list[Event] = []
        line = self._lines.get()
        while line is not None:
            batch.append(line)
            try:
                line = self._lines.get_nowait()
            except Empty:
                return batch
        if batch:
            self._lines.put(None)  # For the next call.
        return batch
