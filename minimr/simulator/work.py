"""How long things take in a world: the question every world asks, and the answer of a small one.

An attempt is a chain of phases. A phase is asked for when the one before it has ended, so a model
may look at the load of that moment: disks and networks are shared.
"""

# ruff: noqa: ARG002  A model is asked more than it needs to know.

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Phase:
    """A piece of an attempt. `kind` says what its bytes are: input, shuffle, output or other.

    `seconds` are those of a healthy worker; the world stretches them where a worker is slow.
    """

    kind: str
    seconds: float
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a phase moved, for the curves of the paper's figure 3."""

    start: float
    end: float
    kind: str
    size_bytes: int
    worker: int


@dataclass(slots=True)
class Load:
    """How many attempts are in which part right now, in the whole world."""

    maps: int = 0
    fetches: int = 0
    reduces: int = 0


class Costs(Protocol):
    """A cost model. Workers are numbered from 0; each method is called in the order of events."""

    latency_s: float
    """One message, one way."""
    heartbeats: bool
    """Whether workers beat. A large healthy world may do without, and no lease ever runs out."""

    def start_s(self, worker: int) -> float:
        """From the start of a worker to its registration."""

    def slot_start_s(self, worker: int) -> float:
        """From the order to start a slot to its first word."""

    def map_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        """Read a split, map it, store the output."""

    def fetch_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        """Bring the segments of a partition to its reduce attempt."""

    def reduce_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        """Merge, reduce and write."""

    def map_bytes(self, index: int) -> int:
        """The size of a map task's output."""

    def publish_s(self) -> float:
        """The rename at the end."""


class Small:
    """A few machines on a desk: tasks of random lengths, some much longer than others.

    The longest task still is short compared with a lease, so that a healthy world ends soon.
    """

    latency_s = 0.001
    heartbeats = True
    longest_s = 4.0

    def __init__(self, chance: random.Random, typical_s: float = 1.0) -> None:
        self._chance = chance
        self._typical_s = typical_s

    def start_s(self, worker: int) -> float:
        return self._chance.random()

    def slot_start_s(self, worker: int) -> float:
        return 0.02 + 0.1 * self._chance.random()

    def map_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        yield Phase("input", self._task_s())

    def fetch_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        yield Phase("shuffle", 0.002 + 0.05 * self._chance.random())

    def reduce_phases(self, worker: int, index: int, load: Load) -> Iterator[Phase]:
        yield Phase("output", self._task_s())

    def map_bytes(self, index: int) -> int:
        return 1 << 20

    def publish_s(self) -> float:
        return self._task_s() / 8

    def _task_s(self) -> float:
        return min(self.longest_s, self._typical_s * self._chance.expovariate(1.0))
