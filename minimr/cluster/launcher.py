"""Worker processes on this machine: started together, watched, replaced, and never left behind.

They are forked by one process, which is started before there is a coordinator, since it needs a
while to load its code (`worker_process.py`), or waits for us already (`ahead.py`). It holds a
socket to us. When we go, in whatever way, the socket ends; its workers leave, and so does it. It
has a session of its own, so that Ctrl-C in the terminal reaches only the process that can decide
what to do about it.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Protocol

import minimr
from minimr.cluster.fork_server import Born, Died, Forks
from minimr.errors import UsageError
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S

REPLACEMENTS_MAX = 8
SLOTS_MAX = 1_000
"""Of all workers that are started together: each slot is a process, a worker two more."""
LEAVE_TIMEOUT_S = 5.0
# What slots may need, and what tells that they will if it is imported here. `import ml` is for work
# with numpy, and has not loaded it yet.
SHARED_MODULES = {"numpy": ("numpy", "ml")}


class Server(Protocol):
    """The process that forks; a Popen is one."""

    pid: int

    def wait(self, timeout_s: float | None = None, /) -> object:
        """Wait for its end. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it at once."""


class WaitingServer(Server, Protocol):
    """One that was started before anybody knew its arguments."""

    sock: socket.socket

    def begin(self, arguments: Sequence[str]) -> None:
        """Tell it."""

    def close(self) -> None:
        """It is not needed."""


waiting: list[WaitingServer] = []
"""Whoever starts workers takes one of these, if there is one."""


def check_count(workers: int, slots: int = 1) -> None:
    """Raise UsageError for so few or so many that nobody can mean them."""
    if not isinstance(workers, Integral):
        raise UsageError(f"workers is a whole number, not {workers!r}")
    if workers < 1:
        raise UsageError(f"a cluster needs at least one worker, not {workers}")
    if workers * slots > SLOTS_MAX:
        what = f"{workers:,} workers" if slots == 1 else f"{workers * slots:,} slots"
        raise UsageError(
            f"{what} are too many for one machine: minimr starts up to {SLOTS_MAX:,} slots there, "
            "each a process; about one for each processor is enough"
        )


class LocalWorkers:
    """`count` workers; one that dies is replaced, up to a bound. They begin with `join`."""

    def __init__(
        self,
        address_file: Path,
        base: Path,
        count: int,
        slots: int = 1,
        progress_timeout_s: float = PROGRESS_TIMEOUT_S,
    ) -> None:
        arguments = ["--address", str(address_file), "--base", str(base)]
        arguments += ["--slots", str(slots), "--slots-here", str(count * slots)]
        arguments += ["--progress-timeout", str(progress_timeout_s)]
        self._arguments = [*arguments, "--import", *_shared_modules(count * slots)]
        self._count = count
        self._changed = threading.Condition()
        self._serial = 0
        self._pids: dict[int, int] = {}  # By serial; 0 for those that are not born yet.
        self._replacements = 0
        self._closing = False
        self._watcher: threading.Thread | None = None
        self._start_server()

    def join(self, on_fewer: Callable[[int, str], None] = lambda *_: None) -> None:
        """The coordinator is there, its address in the file. When one that died is not replaced,
        `on_fewer` hears how many are left, and why it is not."""
        with self._changed:
            for _ in range(self._count):
                self._spawn()
        self._watcher = threading.Thread(target=self._watch, args=(on_fewer,), daemon=True)
        self._watcher.start()

    @property
    def pids(self) -> list[int]:
        """Of the workers that live; those that are being born are waited for."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or all(self._pids.values()))
            return [*filter(None, self._pids.values())]

    def dismiss(self) -> None:
        """Tell every worker to leave; none is replaced from now on."""
        with self._changed:
            self._closing = True
            self._forks.dismiss()
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all have left; who does not leave in time is killed."""
        self.dismiss()
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        if self._watcher is not None:
            # It sees the end of the socket at once; `wait` with a time limit looks now and then.
            self._watcher.join(LEAVE_TIMEOUT_S)
        try:
            self._server.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._kill_all()
        if self._watcher is not None:
            self._watcher.join()
        self._forks.sock.close()

    def _kill_all(self) -> None:
        for pid in filter(None, self._pids.values()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.kill()
        self._server.wait()

    def _start_server(self) -> None:
        self._server: Server
        if waiting:
            ahead = waiting.pop()
            ahead.begin(self._arguments)
            self._server, self._forks = ahead, Forks(ahead.sock)
            return
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "minimr.cluster.worker_process"]
        with theirs:
            self._server = subprocess.Popen(
                [*command, *self._arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        self._forks = Forks(ours)

    def _spawn(self) -> None:
        self._serial += 1
        self._pids[self._serial] = 0
        with suppress(OSError):  # If the fork server is gone, its end is what is read next.
            self._forks.spawn(self._serial)

    def _watch(self, on_fewer: Callable[[int, str], None]) -> None:
        while True:
            report = self._forks.read_report()
            with self._changed:
                if self._closing:
                    if report is None:
                        return
                    continue
                before = len(self._pids)
                match report:
                    case Born(serial, pid):
                        self._pids[serial] = pid
                    case Died(serial, text):
                        del self._pids[serial]
                        self._replace(1, text)
                    case None:
                        self._pids.clear()
                        self._server.wait()
                        self._forks.sock.close()
                        self._start_server()
                        self._replace(self._count, "left with the process that started it")
                self._changed.notify_all()
                if len(self._pids) < before:
                    on_fewer(len(self._pids), self._why_fewer)
                if not self._pids:
                    return

    def _replace(self, count: int, text: str) -> None:
        self._why_fewer = (
            f"no worker stays alive: {REPLACEMENTS_MAX} were replaced, and the last one {text}; "
            "see its messages above"
        )
        for _ in range(min(count, REPLACEMENTS_MAX - self._replacements)):
            self._replacements += 1
            self._spawn()


def _shared_modules(slots: int) -> list[str]:
    """What is to be imported once, before the slots are born: what they will need, or all that they
    may, if they are so many that they would keep each other waiting for it."""
    crowded = slots > (os.cpu_count() or 1)
    return [
        name
        for name, signs in SHARED_MODULES.items()
        if crowded or any(sign in sys.modules for sign in signs)
    ]


def environment() -> dict[str, str]:
    """Workers import the minimr that we are, installed or not."""
    here, before = home(), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{before}" if before else here}


def home() -> str:
    """The folder that holds minimr."""
    return str(Path(minimr.__file__).resolve().parent.parent)
