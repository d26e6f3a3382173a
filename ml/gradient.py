"""One iteration of gradient descent as one MapReduce round.

The gradient of a loss is a sum over rows, so each partition of the resident dataset adds up its
own rows and the reducer adds up the partitions (Chu et al., NIPS 2006, section 3). A partition
sends a single pair whose value is one vector of d + 2 numbers:

    [gradient_1, ..., gradient_d, loss, rows]

The values of a key reach the reducer in partition order and `Sum` adds from left to right, so the
sum, and with it every later weight, is the same to the last bit on any number of workers.
"""

from collections.abc import Iterator

import numpy as np

import minimr as mr
from ml.losses import Matrix, Vector, least_squares, linear_scores
from ml.sgd import Sums


class GradientRound(mr.Job):
    """Sums gradient, loss and rows of one mini-batch. State: {"weights": (d,), "iteration": i}.

    With `intercept` the last weight belongs to a column of ones that is never stored. A partition
    may be narrower than the weights: the libsvm columns that it lacks are zeros, so their part of
    the gradient is zero too.
    """

    intercept: bool = False
    fraction: float = 1.0
    seed: int = 42

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        rows = self._mini_batch(block)
        yield 0, block_sums(rows["X"], rows["y"], self.state["weights"], self.intercept)

    reduce = mr.Sum()

    def _mini_batch(self, block: mr.Block) -> mr.Block:
        """Keep each row with probability `fraction`, drawn from (seed, iteration, partition)."""
        if self.fraction >= 1.0:
            return block
        generator = np.random.default_rng(
            [self.seed, self.state["iteration"], self.partition_index]
        )
        return block.take(generator.random(len(block)) < self.fraction)


def block_sums(X: Matrix, labels: Vector, weights: Vector, intercept: bool) -> Vector:
    """[gradient (d,), loss, rows] of a block: X (n, k <= d), labels (n,), weights (d,)."""
    rows, columns = X.shape
    sums = np.zeros(len(weights) + 2)
    features, bias = (weights[:-1], weights[-1]) if intercept else (weights, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # the descent reports what is not finite
        loss, slopes = least_squares(linear_scores(X, features, bias), labels)
        sums[:columns] = slopes @ X
        if intercept:
            sums[len(features)] = slopes.sum()
    sums[-2:] = loss, rows
    return sums


def sums_from(vector: Vector) -> Sums:
    """Name the parts of the vector that a round returns."""
    return Sums(gradient=vector[:-2], loss=float(vector[-2]), rows=int(vector[-1]))
