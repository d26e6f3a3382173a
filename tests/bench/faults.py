"""What faults cost: the same job on ten workers that are well, with one killed, with one slow.

The tasks wait instead of computing, so that two cores can stand for ten machines.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minimr as mr

WORKERS, MAPS, REDUCES = 10, 80, 10
TASK_S = 0.25
SLOW = 10
KILL_AFTER = MAPS // 2


class Waits(mr.Job):
    """Each task takes a quarter of a second; at the worker named in the file `slow`, ten times."""

    slow: str = ""

    def map(self, offset: int, line: str) -> Iterator[tuple[str, int]]:
        self.wait()
        yield line, 1

    def reduce(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:
        if int(key) < REDUCES:  # One key of each partition.
            self.wait()
        yield key, sum(values)

    def partition(self, key: str, partitions: int) -> int:
        return int(key) % partitions

    def wait(self) -> None:
        time.sleep(TASK_S * (SLOW if self.slow and self.is_slow() else 1))

    def is_slow(self) -> bool:
        """The first worker that asks is the slow one; slots of a worker have one parent."""
        me = str(os.getppid())
        try:
            with Path(self.slow).open("x") as file:
                file.write(me)
        except FileExistsError:
            pass
        return Path(self.slow).read_text() == me


class KillsOne:
    """Kills one of the ten workers when half of the maps are done."""

    def __init__(self, cluster: mr.Cluster) -> None:
        self.cluster, self.done, self.armed = cluster, 0, False

    def __call__(self, event: dict[str, Any]) -> None:
        self.done += event["event"] == "attempt_done"
        if self.armed and self.done == KILL_AFTER:
            self.armed = False
            os.kill(self.cluster.worker_pids[0], signal.SIGKILL)


@contextmanager
def with_faults() -> Iterator[dict[str, Callable[[], tuple[float, Any]]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for number in range(MAPS):
            (folder / "in" / f"{number:03}.txt").write_text(f"{number}\n")

        def run(slow: bool = False, kill: bool = False) -> tuple[float, Any]:
            marker = folder / "slow"
            marker.unlink(missing_ok=True)
            killer: list[KillsOne] = []
            with mr.Cluster(WORKERS, on_event=lambda event: killer[0](event)) as cluster:
                killer.append(KillsOne(cluster))
                warm(cluster, folder)
                killer[0].done, killer[0].armed = 0, kill
                started = time.perf_counter()
                result = cluster.run(
                    Waits,
                    [str(folder / "in")],
                    reducers=REDUCES,
                    options={"slow": str(marker) if slow else ""},
                )
                return time.perf_counter() - started, sorted(result)

        yield {
            "ten workers, one killed": lambda: run(kill=True),
            "ten workers, one ten times slow": lambda: run(slow=True),
            "ten workers, all well": run,
        }


def warm(cluster: mr.Cluster, folder: Path) -> None:
    """All workers are there before the clock starts."""
    while len(cluster.status()["workers"]) < WORKERS:
        time.sleep(0.01)
    cluster.run(Waits, [str(folder / "in" / "00*.txt")], reducers=2)
