"""How much memory a process and all its descendants hold at once: the peak over many looks.

Pages that several processes share are counted once: a process is charged its proportional share
(PSS), which the kernel computes. Where it may not be read, the resident size stands in, which
counts shared pages once for each process that maps them. A look costs about a millisecond for each
100 MB, so the run that is watched is not the run that is timed.
"""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
LOOK_EVERY_S = 0.01


def descendants(root: int, proc: Path = PROC) -> list[int]:
    """The process ids below `root`, itself not among them."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents(proc):
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, []))
    for pid in found:  # The list grows while it is walked.
        found += children.get(pid, [])
    return found


def memory_bytes(pid: int, proc: Path = PROC) -> int:
    """The proportional share of a process, or its resident size; 0 if it is gone."""
    try:
        for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


class MemoryWatch:
    """Looks at the descendants of this process until it is stopped; `peak_bytes` is the most.

    Everything that was started since the watch began counts, also what lives for less than the run
    and what its parent abandoned, if this process adopts orphans.
    """

    def __init__(self, every_s: float = LOOK_EVERY_S, ignored: Iterable[int] = ()) -> None:
        self.peak_bytes = 0
        self.most_processes = 0
        self._ignored = set(ignored)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(every_s,), daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        pids = [pid for pid in descendants(os.getpid()) if pid not in self._ignored]
        self.peak_bytes = max(self.peak_bytes, sum(map(memory_bytes, pids)))
        self.most_processes = max(self.most_processes, len(pids))

    def _watch(self, every_s: float) -> None:
        come_first()
        while not self._stopped.wait(every_s):
            self.look()


def come_first() -> None:
    """Under `chrt` processes of one priority wait for each other: this thread would see little."""
    policy = os.sched_getscheduler(0)
    if policy in (os.SCHED_FIFO, os.SCHED_RR):
        priority = os.sched_getparam(0).sched_priority + 1
        os.sched_setscheduler(0, policy, os.sched_param(priority))


def _parents(proc: Path) -> Iterable[tuple[int, int]]:
    """(process, its parent) for all there are. A name may hold spaces and brackets."""
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # It ended meanwhile.
            yield int(entry.name), int(after_name[1])
