"""Where the time of an empty round goes: `python -m tests.bench.round_costs`.

A round over 8 partitions on 2 workers passes caller, coordinator, worker, slot, worker, coordinator
and client, and ends with the caller, who reduces. For each of them the kernel knows how long it ran
and how often it was woken (/proc/PID/task/TID/schedstat). Then the same with each worker and its
slot bound to one core, as MPI binds its processes: what is left out is waking a core that sleeps.

`chrt -f 10 python -m tests.bench.round_costs`, as root, keeps other processes from interfering.
"""

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import minimr as mr
import ml
from tests.bench.peers.on_minimr import NothingToDo

ROUNDS, WARM_UP = 500, 50


@dataclass(frozen=True)
class Ran:
    """What a thread has done so far."""

    role: str
    seconds: float
    times: int


def main() -> None:
    with mr.Cluster(workers=2) as cluster:
        data = cluster.load(ml.DIABETES, "libsvm", partitions=8)
        medians_ms(data, WARM_UP)
        before = threads(cluster.worker_pids)
        median_ms = medians_ms(data, ROUNDS)
        after = threads(cluster.worker_pids)
        print(f"An empty round: {median_ms:.2f} ms (median of {ROUNDS})")
        show(before, after)
        bind(cluster.worker_pids)
        print(f"Each worker bound to a core: {medians_ms(data, ROUNDS):.2f} ms")


def medians_ms(data: mr.Dataset, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        data.round(NothingToDo)
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def threads(workers: list[int]) -> dict[int, Ran]:
    """All threads of the cluster, by their numbers."""
    here = {thread.native_id: thread.name for thread in threading.enumerate()}
    here[threading.main_thread().native_id] = "caller"
    found = {task: _ran(os.getpid(), task, role) for task, role in here.items()}
    for number, worker in enumerate(workers, 1):
        for pid in _with_children(worker):
            role = f"worker {number}" if pid == worker else f"slot of worker {number}"
            for task in Path(f"/proc/{pid}/task").iterdir():
                found[int(task.name)] = _ran(pid, int(task.name), role)
    return found


def show(before: dict[int, Ran], after: dict[int, Ran]) -> None:
    seconds: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for task, ran in after.items():
        first = before.get(task, Ran(ran.role, 0.0, 0))
        seconds[ran.role] += ran.seconds - first.seconds
        times[ran.role] += ran.times - first.times
    print("  microseconds of CPU a round, in how many turns")
    for role, total in seconds.most_common():
        if total / ROUNDS > 5e-6:
            print(f"  {role:20} {total / ROUNDS * 1e6:6.0f} {times[role] / ROUNDS:6.1f}")
    print(f"  {'all':20} {seconds.total() / ROUNDS * 1e6:6.0f} {times.total() / ROUNDS:6.1f}")


def bind(workers: list[int]) -> None:
    """Each worker, with its slot, to a core of its own; this process to the last one's."""
    cores = sorted(os.sched_getaffinity(0))
    for core, worker in zip(cores, workers, strict=False):
        for pid in (*_with_children(worker), os.getpid()):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _with_children(int(child))


def _ran(pid: int, task: int, role: str) -> Ran:
    nanoseconds, _, turns = Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()
    return Ran(role, int(nanoseconds) / 1e9, int(turns))


if __name__ == "__main__":
    main()
