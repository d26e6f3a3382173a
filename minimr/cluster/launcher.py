"""Worker processes on this machine: started together, watched, replaced, and never left behind.

They are started before there is a coordinator, since they need a while to load their code, and are
told when there is one.

Each worker holds the reading end of a pipe to us as its standard input. When we go, in whatever
way, the pipe ends and the worker leaves. Workers have sessions of their own, so that Ctrl-C in the
terminal reaches only the process that can decide what to do about it.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import minimr
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S

COORDINATOR_THERE = b"!"
DISMISSED = b"."
REPLACEMENTS_MAX = 8
LEAVE_TIMEOUT_S = 5.0


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
        self._address_file, self._base, self._slots = address_file, base, slots
        self._progress_timeout_s = progress_timeout_s
        self._lock = threading.Lock()
        self._closing = False
        self._replacements = 0
        self._slots_here = count * slots
        self._processes = [self._launch() for _ in range(count)]

    def join(self, on_empty: Callable[[str], None] = lambda _: None) -> None:
        """The coordinator is there, its address in the file. When no worker is left, `on_empty`
        hears why."""
        self._on_empty = on_empty
        for process in self._processes:
            self._send(process)

    @property
    def pids(self) -> list[int]:
        with self._lock:
            return [process.pid for process in self._processes]

    def dismiss(self) -> None:
        """Tell every worker to leave by ending its pipe; none is replaced from now on."""
        with self._lock:
            self._closing = True
            for process in self._processes:
                _dismiss(process)

    def close(self) -> None:
        """Wait until all have left; who does not leave in time is killed."""
        self.dismiss()
        for process in self._processes:
            try:
                process.wait(LEAVE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _launch(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "minimr.cluster.worker_process"]
        command += ["--address", str(self._address_file), "--slots", str(self._slots)]
        command += ["--slots-here", str(self._slots_here)]
        command += ["--progress-timeout", str(self._progress_timeout_s)]
        return subprocess.Popen(
            [*command, "--base", str(self._base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )

    def _send(self, process: "subprocess.Popen[bytes]") -> None:
        """Let a worker join the cluster, and keep an eye on it."""
        _tell(process, COORDINATOR_THERE)
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        with self._lock:
            if self._closing:
                return
            _dismiss(process)
            self._processes.remove(process)
            if self._replacements < REPLACEMENTS_MAX:
                self._replacements += 1
                self._processes.append(self._launch())
                self._send(self._processes[-1])
            elif not self._processes:
                self._on_empty(
                    f"no worker stays alive: {REPLACEMENTS_MAX} were replaced, and the last one "
                    f"ended with status {process.returncode}; see its messages above"
                )


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """A last word before the end of the pipe says that we are alive and clean up ourselves."""
    assert process.stdin is not None
    if not process.stdin.closed:
        _tell(process, DISMISSED)
        with suppress(OSError):
            process.stdin.close()


def _tell(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # It may have left already.
        process.stdin.write(word)
        process.stdin.flush()


def environment() -> dict[str, str]:
    """Workers import the minimr that we are, installed or not."""
    here = str(Path(minimr.__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{before}" if before else here}
