"""A job on ten workers with a fault in it, timed from when all workers are there.

python with_faults.py none|kill|slow OUT

The tasks wait instead of computing, so that two cores can stand for ten machines.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
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
    """Kills one of the ten workers when half of the maps are done, once it is armed."""

    def __init__(self) -> None:
        self.done, self.victim = 0, 0

    def __call__(self, event: dict[str, Any]) -> None:
        self.done += event["event"] == "attempt_done"
        if self.victim and self.done == KILL_AFTER:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = 0


def main(fault: str, out: Path) -> None:
    folder = out / "in"
    folder.mkdir()
    for number in range(MAPS):
        (folder / f"{number:03}.txt").write_text(f"{number}\n")
    options = {"slow": str(out / "slow") if fault == "slow" else ""}
    killer = KillsOne()
    with mr.Cluster(WORKERS, on_event=killer) as cluster:
        warm(cluster, folder, out)
        killer.done, killer.victim = 0, cluster.worker_pids[0] if fault == "kill" else 0
        started = time.perf_counter()
        result = cluster.run(
            Waits, [str(folder)], out / "result", reducers=REDUCES, options=options
        )
        seconds = time.perf_counter() - started
    (out / "figure.json").write_text(json.dumps(seconds))
    (out / "answer").write_text(json.dumps(sorted(result)))


def warm(cluster: mr.Cluster, folder: Path, out: Path) -> None:
    """All workers are there before the clock starts."""
    while len(cluster.status()["workers"]) < WORKERS:
        time.sleep(0.01)
    cluster.run(Waits, [str(folder / "00*.txt")], out / "warm", reducers=2)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
