"""Least squares from the Gram matrix: one round over the data, and then none.

The gradient of half the squared error summed over the rows is X'(Xw - y) = (X'X) w - X'y, and its
value is (w'X'Xw - 2 w'X'y + y'y) / 2. So X'X, X'y, y'y and the number of rows, all of them sums
over rows and thus one MapReduce round (Chu et al., NIPS 2006, section 4), are all that a
full-batch descent will ever ask of the data. With k features an iteration costs k^2
multiplications here, however many rows there are.

The steps are those of the rounds up to rounding, about 1e-12 of the weights for scaled features.
The loss is a difference of large numbers, so it is exact to about 1e-16 of the mean squared label:
close to a perfect fit it is less exact than that of the rounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import minimr as mr
from ml.descent import Descent, OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import Linear
from ml.problem import Problem
from ml.vectors import Matrix, Vector

MATRIX_BYTES_MAX = 1 << 30
"""What the matrix may take that every partition sends; 11,583 features."""


class GramRound(mr.Job):
    """Sums Z'Z over the rows, Z = [X, 1, y] with X widened to `features` columns.

    Everything is in that matrix: the row of ones gives the sums for an intercept, and the rows.
    """

    features: int

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Matrix]]:
        yield 0, self._gram(np.asarray(block["X"], np.float64), block["y"])

    @np.errstate(over="ignore", invalid="ignore")  # the descent tells what is not finite
    def _gram(self, X: Matrix, y: Vector) -> Matrix:
        columns, ones, last = X.shape[1], self.features, self.features + 1
        gram = np.zeros((self.features + 2, self.features + 2))
        gram[:columns, :columns] = X.T @ X
        gram[:columns, ones] = gram[ones, :columns] = X.sum(axis=0)
        gram[:columns, last] = gram[last, :columns] = y @ X
        gram[ones, ones] = len(y)
        gram[ones, last] = gram[last, ones] = y.sum()
        gram[last, last] = y @ y
        return gram

    reduce = mr.Sum()


@dataclass(frozen=True)
class Gram:
    """What full-batch least squares needs to know about the data.

    XtX (d, d) and Xty (d,), where d counts a last feature that is 1 if there is an intercept; yty,
    and the number of rows.
    """

    XtX: Matrix
    Xty: Vector
    yty: float
    rows: int

    def sums(self, weights: Vector) -> Vector:
        """[gradient, loss, rows] at these weights (d,), summed over all rows: (d + 2,)."""
        product = self.XtX @ weights
        loss = (weights @ (product - 2.0 * self.Xty) + self.yty) / 2.0
        return np.array([*(product - self.Xty), 0.0 if loss < 0.0 else loss, self.rows])


@np.errstate(over="ignore", invalid="ignore")  # as the sum over the partitions may, too
def gram_sums(data: LabeledData, intercept: bool, features: int | None = None) -> Gram:
    """Sum X'X, X'y, y'y and the rows in one round. `features` is the width, if it is known.

    Raises ArgumentError for rows that are too wide for it.
    """
    width = data.features if features is None else features
    if (size_bytes := 8 * (width + 2) ** 2) > MATRIX_BYTES_MAX:
        raise ArgumentError(
            f'"gram" sends a matrix of {size_bytes >> 20:,} MiB from each partition for {width:,} '
            f'features, over its limit of {MATRIX_BYTES_MAX >> 20:,} MiB; use "sync"'
        )
    [(_, gram)] = data.dataset.round(GramRound(features=width))
    kept = width + 1 if intercept else width
    return Gram(
        gram[:kept, :kept].copy(), gram[:kept, -1].copy(), float(gram[-1, -1]), int(gram[-2, -2])
    )


def gram(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (size,) as `sync` does, with one round for all iterations.

    Raises ArgumentError unless it is least squares over all rows in every step, and for rows that
    are too wide.
    """
    model = problem.model
    if not isinstance(model, Linear) or model.loss != "squared" or model.outputs != 1:
        raise ArgumentError(
            '"gram" is for a linear model with the loss "squared" alone; use "sync"'
        )
    if not problem.batches.whole:
        raise ArgumentError('"gram" takes all rows in every step; leave mini-batches out')
    found = gram_sums(data, model.intercept, problem.features)
    descent = Descent(problem, start, on_step)
    while not descent.ended:
        with np.errstate(over="ignore", invalid="ignore"):  # the descent tells what is not finite
            sums = found.sums(descent.parameters)
        descent.take(sums)
    trace = descent.trace()
    trace.sent_bytes = 8 * data.dataset.partitions * (problem.features + 2) ** 2
    return trace
