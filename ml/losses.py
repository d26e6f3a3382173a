"""What the rows of a block cost at given scores, and the slope of that cost.

A linear model gives row x the score z = w.x. A loss maps score and label to a cost, and by the
chain rule its gradient with respect to w is slope(z, y) * x. So a loss is two things per row, its
value and its slope, and the gradient of a whole block is one product, slopes @ X. That is the
summation form of Chu et al. (NIPS 2006): a sum over rows splits into sums over partitions.
"""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]  # one dimension
Matrix = NDArray[np.float64]  # two: rows x columns


def linear_scores(X: Matrix, weights: Vector, intercept: float) -> Vector:
    """z = X w + intercept, (n,), for X (n, k) and weights (d,) with d >= k.

    A block of a libsvm file may be narrower than the model: the columns it lacks are zeros.
    """
    scores: Vector = X @ weights[: X.shape[1]] + intercept
    return scores


def least_squares(scores: Vector, labels: Vector) -> tuple[float, Vector]:
    """(z - y)^2 / 2 summed over the rows, and its slope z - y for each row. Both inputs (n,)."""
    residuals = scores - labels
    return 0.5 * float(residuals @ residuals), residuals
