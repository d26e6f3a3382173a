"""Is a model's gradient the slope of its loss? Central differences say so, without any calculus.

    (f(w + h e_j) - f(w - h e_j)) / 2h = df/dw_j + O(h^2)

Rounding adds an error of about epsilon |f| / h, so the best h is near the cube root of epsilon,
6e-6, and some ten digits of the slope are right (Nocedal and Wright 2006, section 8.1). At a
corner, as the hinge has, there is no slope: choose parameters that put no row on one.
"""

import numpy as np
import numpy.typing as npt

from ml.arguments import start_vector
from ml.errors import ArgumentError
from ml.models import Model
from ml.vectors import Vector

STEP = 6e-6


def check_gradient(
    model: Model, parameters: npt.ArrayLike, X: npt.ArrayLike, y: npt.ArrayLike
) -> float:
    """The largest difference between `model.sums` and central differences of its own loss.

    parameters (size,), X (n, d), y (n,). It is relative to the largest entry of the gradient, or
    absolute below 1: 1e-6 and less is right, 1e-3 and more is a mistake. Raises ArgumentError for
    rows without labels, and for parameters that are not the model's, if it tells how many it has.
    """
    rows, labels = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise ArgumentError(
            f"X must be (rows, features) and y (rows,), but they are {rows.shape} and "
            f"{labels.shape}"
        )
    size = model.size(rows.shape[1]) if hasattr(model, "size") else np.size(parameters)
    at = start_vector("parameters", parameters, size, "parameters")
    gradient = model.sums(at, rows, labels)[:-2]
    differences = np.array([_difference(model, at, j, rows, labels) for j in range(len(at))])
    scale = max(float(np.abs(gradient).max(initial=0.0)), 1.0)
    return float(np.abs(gradient - differences).max(initial=0.0)) / scale


def _difference(model: Model, at: Vector, j: int, X: Vector, y: Vector) -> float:
    step = np.zeros(len(at))
    step[j] = STEP * max(abs(float(at[j])), 1.0)
    above, below = model.sums(at + step, X, y)[-2], model.sums(at - step, X, y)[-2]
    return float(above - below) / (2.0 * float(step[j]))
