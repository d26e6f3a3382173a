"""What work costs on the cluster of the paper (Dean and Ghemawat, OSDI 2004, section 5.1).

A simulated attempt runs no user code: it lasts as long as its bytes need. This file says how long,
from the hardware the paper describes. There are three kinds of resource:

- *A machine's own pace*: scanning input, sorting, writing. Every attempt has its machine's pace to
  itself, because a machine of the paper runs one task of a kind at a time.
- *The disks of all machines together*, which serve map output to the reducers. A reducer reads from
  everywhere, so the machines' disks are one pool, shared alike by all that fetch (processor
  sharing). The segments are small, 17 kB in the sort, and the disks spend their time seeking.
- *The root of the network*, shared alike by all that cross it.

Shares change when attempts come and go. An exact model would recompute every rate at every change.
This one moves data in pieces: an attempt asks for its rate, keeps it for `STEP_S`, and asks again.
The error is that of one step in a task of several minutes.

Slow machines are a part of the hardware: section 3.6 blames bad disks that read at 1 MB/s, other
jobs on the machine, and processors with their caches switched off. See `paces`.

Each constant names its source. Eight are calibrated. For four of them the paper's figures leave
only a narrow range (PROGRAM_S, SCAN, SPILL, WRITE), for the others it gives no number (RAMP_S,
SORT, SPREAD, SLOW_PACE). One calibration serves all experiments.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from minimr.simulator.work import Load, Phase

MB: Final = 1_000_000.0

LATENCY_S = 0.0005
"""One message, one way. Section 5.1: any two machines are less than a millisecond apart."""

NETWORK_CARD = 125 * MB
"""Bytes per second of a machine. Section 5.1: a gigabit link."""

ROOT_SHARE = 18_750 * MB / 1800
"""A machine's part of the root. Section 5.1: 100 to 200 Gbit/s (here 150) for 1,800 machines."""

FETCH_S = 2 * LATENCY_S
"""A reducer asks for each segment, so a segment takes it one round trip at least."""

SEEK_S = 0.013
"""To the middle of nowhere on an IDE disk of 2004: 9 ms for the arm, 4 ms for half a turn."""

DISK = 30 * MB
"""Bytes per second of one disk that reads on. Section 3.6: a healthy one reads at 30 MB/s."""

DISKS = 2
"""Section 5.1: two 160 GB disks a machine."""

PROGRAM_S = 67.0
"""Before the first worker is there. Section 5.2: about a minute passes while the program travels
to all machines and the file system opens 1,000 files. Calibration: grep's end."""

RAMP_S = 54.0
"""From the first worker to the last. Section 5.2: the scan gains speed as machines are assigned. It
is over about 80 s after it began, and 33 s would do at full speed. Calibration: grep's scan."""

SCAN = 20.0 * MB
"""Input bytes per second of a map task. Section 5.2: above 30 GB/s with 1,764 workers is at least
17 MB/s each, with slow machines and gaps between tasks not counted. Calibration: grep's peak."""

SPILL = 12.0 * MB
"""Map output bytes per second: partition, sort, write to the local disk. Section 5.3: the sort's
input peaks at 13 GB/s, 7.5 MB/s a machine, of which scanning explains half. Calibration: that."""

SORT = 10 * MB
"""Bytes per second of a reduce task's sort. Section 5.3 mentions a delay for it between shuffle and
output, without a number. Calibration: about the gap that its figure 3 shows."""

WRITE = 1.63 * MB
"""Output bytes per second of a reduce task, to a file system that keeps two replicas. Section 5.3:
2 to 4 GB/s, which is 1.1 to 2.3 MB/s for each of 1,746 machines. Calibration: the sort's end."""

SPREAD = 0.1
"""Healthy machines differ by that much up and down. An assumption; it blurs the waves of tasks."""

SLOW_SHARE = 5 / 1746
"""Section 5.4: without backup tasks, five reduce tasks were still running after 960 s."""

SLOW_PACE = 5.5
"""How many times as long a slow machine takes for its own work; what it fetches comes from other
machines. Section 3.6 has a disk at a thirtieth of its speed. Calibration: the end of the sort
without backups."""

SLOT_S = 1.0
"""A slot's process on a machine that has the program. It matters after a kill only."""

STEP_S = 2.0
"""How long an attempt keeps a share of something before it asks again."""

PUBLISH_S = 1.0
"""Renaming the output: one operation of the file system's master."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The bytes of a job. `segments` is how many map outputs one reduce task reads.

    A small copy of a job (`cut`) keeps the size of every task and every segment, and has fewer of
    them: on a cluster that is smaller by the same factor it takes the same time.
    """

    maps: int
    reduces: int
    split_bytes: int
    map_output_bytes: int
    part_bytes: int
    segments: int

    @property
    def segment_bytes(self) -> float:
        return self.part_bytes / self.segments

    def cut(self, factor: int) -> "Workload":
        reduces = max(1, self.reduces // factor)
        return replace(self, maps=self.maps // factor, reduces=reduces)


def paces(workers: int, seed: int) -> list[float]:
    """How many times as long each machine takes, compared with the average healthy one.

    The share of slow machines is exact (one at least) and the healthy ones lie evenly in their
    range; only who is who is drawn. So two seeds differ in luck, not in hardware.
    """
    slow = max(1, round(SLOW_SHARE * workers))
    healthy = workers - slow
    result = [1 - SPREAD + 2 * SPREAD * (i + 0.5) / healthy for i in range(healthy)]
    result += [SLOW_PACE] * slow
    random.Random(seed).shuffle(result)
    return result


class PaperCosts:
    """The costs of one job on `workers` machines of the paper."""

    latency_s = LATENCY_S
    heartbeats = False

    def __init__(self, work: Workload, workers: int, seed: int = 0) -> None:
        self.work = work
        self.workers = workers
        self.paces = paces(workers, seed)

    def start_s(self, worker: int) -> float:
        """From the submission of the job to the worker's registration."""
        return PROGRAM_S + RAMP_S * worker / self.workers

    def slot_start_s(self, worker: int) -> float:  # noqa: ARG002
        return SLOT_S

    def publish_s(self) -> float:
        return PUBLISH_S

    def map_bytes(self, index: int) -> int:  # noqa: ARG002
        return self.work.map_output_bytes

    def map_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:  # noqa: ARG002
        """Read the split from a local disk (section 3.4: locality), then spill the output."""
        pace = self.paces[worker]
        yield Phase("input", pace * self.work.split_bytes / SCAN, self.work.split_bytes)
        yield Phase("other", pace * self.work.map_output_bytes / SPILL)

    def fetch_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:  # noqa: ARG002
        """Bring one segment of every map output: the first part of a reduce attempt."""
        return pieces("shuffle", self.work.part_bytes, lambda: self.fetch_rate(load))

    def reduce_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:  # noqa: ARG002
        """Sort what was fetched, then write it; a replica of each byte crosses the network."""
        pace = self.paces[worker]
        yield Phase("other", pace * self.work.part_bytes / SORT)
        rate = min(WRITE, self._root_rate(load))
        yield Phase("output", pace * self.work.part_bytes / rate, self.work.part_bytes)

    def fetch_rate(self, load: Load) -> float:
        """Bytes per second of one of the reducers that fetch now: the narrowest of four places."""
        segment = self.work.segment_bytes
        served = DISKS * segment / (SEEK_S + segment / DISK)
        disks = self.workers * served / max(load.fetches, 1)
        return min(segment / FETCH_S, NETWORK_CARD, disks, self._root_rate(load))

    def _root_rate(self, load: Load) -> float:
        return self.workers * ROOT_SHARE / max(load.fetches + load.reduces, 1)


def pieces(kind: str, size_bytes: int, rate: Callable[[], float]) -> Iterator[Phase]:
    """Move `size_bytes` at a rate (bytes per second) that is asked for anew every `STEP_S`."""
    left = size_bytes
    while left > 0:
        now = rate()
        size = min(left, max(1, round(now * STEP_S)))
        left -= size
        yield Phase(kind, size / now, size)
