"""Mini-batches: which rows take part in a step, drawn the same wherever they are.

    all rows        fraction = 1, the default
    Bernoulli       each row with chance `fraction`, as MLlib: drawn from (seed, iteration,
                    partition), so a batch may have any size, even none
    exactly so many `rows` of the whole data, 1 for single samples: drawn from (seed, iteration)

No draw knows the worker. The last one picks row numbers of the whole data, so every partition needs
to know which numbers its own rows have: `offsets` holds the number of the first row of each, and
last the number of all.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

import minimr as mr


@dataclass(frozen=True)
class Batches:
    """The rule by which the mini-batches of a descent are drawn."""

    seed: int = 42
    fraction: float = 1.0
    rows: int | None = None
    offsets: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every step sees all rows."""
        return self.fraction >= 1.0 and self.rows is None

    def of(self, block: mr.Block, iteration: int, partition_index: int) -> mr.Block:
        """The rows of this partition that take part in this iteration, in their order."""
        if self.rows is not None:
            return block.take(self._picked(iteration, partition_index))
        if self.fraction >= 1.0:
            return block
        generator = np.random.default_rng([self.seed, iteration, partition_index])
        return block.take(generator.random(len(block)) < self.fraction)

    def _picked(self, iteration: int, partition_index: int) -> np.ndarray:
        generator = np.random.default_rng([self.seed, iteration])
        numbers = np.sort(generator.choice(self.offsets[-1], self.rows, replace=False))
        first, end = self.offsets[partition_index : partition_index + 2]
        return numbers[(first <= numbers) & (numbers < end)] - first


def offsets_of(rows_of_partitions: list[int]) -> tuple[int, ...]:
    """The number of the first row of each partition, and last that of all rows."""
    return tuple(accumulate(rows_of_partitions, initial=0))
