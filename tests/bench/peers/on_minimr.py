"""minimr by its public names, where the command line does not reach: warm rounds, empty tasks.

python on_minimr.py CASE OUT INPUT...
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import minimr as mr

ROUNDS, WARM_UP = 200, 20
WORKERS = 2
MINIMR = (sys.executable, "-P", "-m", "cli.main")


class NothingToDo(mr.Job):
    """The emptiest round there is: every partition emits one number, one task adds them up."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, int]]:
        yield 0, 1

    reduce = mr.Sum()


class Empty(mr.Job):
    """The emptiest job: each of many maps emits one number, which is counted."""

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[int, int]]:
        yield 0, 1

    reduce = mr.Sum()


def rounds(out: Path, _: list[str]) -> None:
    data = out / "data.libsvm"
    data.write_text("".join(f"{row} 1:{row}\n" for row in range(800)))
    with mr.Cluster(WORKERS) as cluster:
        dataset = cluster.load(data, "libsvm", partitions=8)
        times, answer = [], 0
        for _ in range(WARM_UP + ROUNDS):
            started = perf_counter()
            ((_, answer),) = dataset.round(NothingToDo)
            times.append((perf_counter() - started) * 1e3)
        figure(out, median(times[WARM_UP:]), answer)


def tasks(out: Path, folders: list[str]) -> None:
    """A job with a map task for each file of a folder, timed when the workers are warm."""
    with mr.Cluster(WORKERS) as cluster:
        time_tasks(cluster, out, folders[0])


def tasks_with_journal(out: Path, folders: list[str]) -> None:
    journal = ("--journal", str(out / "journal"))
    with standing(out, *journal) as (address, _), mr.Cluster(address=address) as cluster:
        time_tasks(cluster, out, folders[0])


def time_tasks(cluster: mr.Cluster, out: Path, folder: str) -> None:
    first = min(Path(folder).iterdir())
    for turn in range(2):
        cluster.run(Empty, [first], out / f"warm-{turn}", reducers=1)
    started = perf_counter()
    result = cluster.run(Empty, [folder], out / "result", reducers=1)
    figure(out, perf_counter() - started, dict(result)[0])


def coordinator_memory(out: Path, folders: list[str]) -> None:
    """Bytes by which a coordinator's peak grows with each task, from a small job to a large one."""
    peaks, counts = [], []
    for number, folder in enumerate(folders):
        place = out / str(number)
        place.mkdir()
        with standing(place) as (address, pid), mr.Cluster(address=address) as cluster:
            result = cluster.run(Empty, [folder], place / "result", reducers=1)
            counts.append(dict(result)[0])
            peaks.append(peak_bytes(pid))
    figure(out, (peaks[0] - peaks[1]) / (counts[0] - counts[1]), counts[0])


def peak_bytes(pid: int) -> int:
    """The most that was ever resident of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


@contextmanager
def standing(place: Path, *options: str) -> Iterator[tuple[Path, int]]:
    """A coordinator in a process of its own, and workers: (its connection file, its pid)."""
    address = place / "cluster.json"
    at = ["--address", str(address)]
    coordinator = subprocess.Popen([*MINIMR, "coordinator", *at, *options])
    processes = [coordinator]
    try:
        while not address.exists():
            if coordinator.poll() is not None:
                sys.exit("the coordinator did not start")
            sleep(0.01)
        processes += [subprocess.Popen([*MINIMR, "worker", *at]) for _ in range(WORKERS)]
        yield address, coordinator.pid
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def figure(out: Path, value: float, answer: int) -> None:
    (out / "figure.json").write_text(json.dumps(value))
    (out / "answer").write_text(json.dumps(answer))


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
