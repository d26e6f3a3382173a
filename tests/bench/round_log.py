"""What it costs to follow rounds, for decision 0012: `python -m tests.bench.round_log`.

Empty rounds over 8 partitions on 2 workers, in three ways that take turns round by round: without
any record of them, with one line each in the event log (as minimr does), and with all events. The
coordinator is a thread of this process, so it can be changed from here.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import minimr as mr
from minimr.cluster.jobs import JobEntry
from minimr.cluster.performer import Performer
from tests.bench.peers.on_minimr import NothingToDo

ROUNDS = 1500
WARM_UP = 50

record, told = Performer.record, JobEntry.told


def record_no_rounds(self: Performer, event: str, job: str | None, fields: dict[str, Any]) -> None:
    if job is None or not job.startswith("round"):
        record(self, event, job, fields)


WAYS = {
    "no record": (record_no_rounds, lambda *_: []),
    "one line": (record, told),
    "all events": (record, lambda entry, _ended: list(entry.log)),
}


def main() -> None:
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.libsvm"
        data.write_text("".join(f"{row} 1:{row}\n" for row in range(800)))
        with mr.Cluster(2, log=Path(folder) / "rounds.log") as cluster:
            dataset = cluster.load(data, "libsvm", partitions=8)
            for _ in range(WARM_UP + ROUNDS):
                for way, (Performer.record, JobEntry.told) in WAYS.items():
                    started = time.perf_counter()
                    dataset.round(NothingToDo)
                    times[way].append((time.perf_counter() - started) * 1e3)
    show({way: statistics.quantiles(each[WARM_UP:], n=4) for way, each in times.items()})


def show(quartiles: dict[str, list[float]]) -> None:
    first, median, _ = quartiles["no record"]
    print("ms a round      first quartile      median")
    for way, (lower, middle, _) in quartiles.items():
        more = f"({lower / first - 1:+5.1%})  {middle:8.3f} ({middle / median - 1:+5.1%})"
        print(f"  {way:12} {lower:8.3f} {more}")


if __name__ == "__main__":
    main()
