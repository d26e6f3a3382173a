"""Stragglers on demand: some partitions take longer than they need.

For experiments alone. A member of a gang, or the map tasks of a round, can be made `factor` times
as slow as they are, always or in a share of the steps. Which steps these are follows from (seed,
iteration, partition), as mini-batches do.
"""

import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Delays:
    """Partitions `first` to before `end` take `factor` times as long, in a `share` of the steps."""

    first: int = 0
    end: int = 0
    factor: float = 1.0
    share: float = 1.0
    seed: int = 42

    def wait(self, began: float, iteration: int, partition_index: int) -> None:
        """Sleep for as long as the rest takes; `began` is from time.perf_counter."""
        if self.first <= partition_index < self.end and self._strikes(iteration, partition_index):
            time.sleep((self.factor - 1.0) * (time.perf_counter() - began))

    def _strikes(self, iteration: int, partition_index: int) -> bool:
        if self.share >= 1.0:
            return True
        generator = np.random.default_rng([self.seed, iteration, partition_index])
        return bool(generator.random() < self.share)


def slow_member(
    rank: int, members: int, partitions: int, factor: float, share: float = 1.0
) -> Delays:
    """Delays for all partitions that member `rank` of a gang of so many owns."""
    first, end = (each * partitions // members for each in (rank, rank + 1))
    return Delays(first, end, factor, share)
