"""The two array types of `ml`: everything is float64 unless a docstring says otherwise."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]  # one dimension
Matrix = NDArray[np.float64]  # two: rows x columns
