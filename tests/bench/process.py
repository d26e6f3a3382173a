"""One whole process, from before it is started until it has ended, and what it cost.

The processes that it leaves behind are part of the cost: they become children of this one (a
"subreaper" adopts orphans), get a moment to leave, and are then ended; their CPU time counts.
"""

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process_tree import MemoryWatch, descendants

PR_SET_CHILD_SUBREAPER = 36
LEAVE_S = 5.0
LAST_WORDS_BYTES = 2000


class CandidateFailed(Exception):
    """The process left with an error, or took too long; the message holds its last words."""


@dataclass(frozen=True)
class Cost:
    """`peak_bytes` and `processes` are None if nobody watched the memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int | None = None
    processes: int | None = None


def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    limit_s: float,
    watch_memory: bool,
) -> Cost:
    """Run `command` in `folder`, which receives what it prints. Raises CandidateFailed."""
    others = set(descendants(os.getpid()))
    said = folder / "said"
    with adopting_orphans(others), said.open("wb") as output:
        before = _cpu_s()
        watch = MemoryWatch(ignored=others)
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # A wait with a time limit would look only every so often, and so be late.
        late = threading.Timer(limit_s, _kill, args=(process.pid,))
        late.daemon = True
        late.start()
        if watch_memory:
            with watch:
                status = process.wait()
        else:
            status = process.wait()
        wall_s = time.perf_counter() - started
        late.cancel()
    if status != 0:
        reason = f"took more than {limit_s:g} s" if wall_s >= limit_s else f"ended with {status}"
        raise CandidateFailed(f"{reason}: {last_words(said)}")
    cpu_s = _cpu_s() - before
    if not watch_memory:
        return Cost(wall_s, cpu_s)
    return Cost(wall_s, cpu_s, watch.peak_bytes, watch.most_processes)


def last_words(file: Path) -> str:
    return file.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip()


@contextmanager
def adopting_orphans(others: set[int]) -> Iterator[None]:
    """Orphans of our descendants become our children; at the end none is left."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _wait_for_the_rest(others)
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _wait_for_the_rest(others: set[int]) -> None:
    deadline = time.monotonic() + LEAVE_S
    while rest := [pid for pid in descendants(os.getpid()) if pid not in others]:
        if time.monotonic() > deadline:
            for pid in rest:
                _kill(pid)
        for pid in rest:
            with suppress(ChildProcessError):  # Not (yet) a child of ours.
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _cpu_s() -> float:
    """Seconds of all children that have ended and been waited for, and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
