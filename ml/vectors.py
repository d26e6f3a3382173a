"""The two array types of `ml`: everything is float64 unless a docstring says otherwise."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]  # one dimension
Matrix = NDArray[np.float64]  # two: rows x columns


def widened(X: Matrix, width: int) -> Matrix:
    """A copy of rows (n, k <= width) with zeros for the columns that they lack: (n, width)."""
    wide = np.zeros((len(X), width))
    wide[:, : X.shape[1]] = X
    return wide
