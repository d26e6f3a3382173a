"""Arrays as people pass them to `fit` and `predict`: looked over, and made floats.

The errors are those that scikit-learn's users know, in its words, since its tools look for them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.arguments import real_numbers, refuse_masked, refuse_sparse
from ml.errors import ArgumentError
from ml.scikit import warn_of_column
from ml.vectors import Matrix, Vector

NOT_FINITE = "Input {name} contains NaN or infinity; fill or leave out those rows."
Labels = npt.NDArray[Any]
"""One label for each row, of any kind: (n,)."""


def features_of(X: Any) -> Matrix:
    """X as floats (n, d), n and d at least 1, all finite. Raises ArgumentError, or TypeError."""
    refuse_sparse("X", X)
    refuse_masked(X)
    given = np.asarray(X)
    if np.iscomplexobj(given):
        raise ArgumentError("Complex data not supported: pass real numbers")
    rows = real_numbers(given)
    if rows.ndim != 2:
        raise ArgumentError(
            f"Expected 2D array, got {rows.ndim}D array instead. Reshape your data with "
            "X.reshape(-1, 1) if it is one feature, or X.reshape(1, -1) if it is one row."
        )
    for number, what in zip(rows.shape, ("sample", "feature"), strict=True):
        if number == 0:
            raise ArgumentError(
                f"Found array with 0 {what}(s) (shape={rows.shape}) while a minimum of 1 is "
                "required."
            )
    _check_finite("X", rows)
    return rows


def names_of(X: Any) -> list[str]:
    """What a table, as one of pandas is, calls its columns; empty, if these are no texts."""
    columns = getattr(X, "columns", None)
    names = [] if columns is None else list(columns)
    return names if all(isinstance(name, str) for name in names) else []


def labels_of(y: Any, rows: int) -> Labels:
    """y as an array (rows,) of whatever it holds. A column (rows, 1) is taken with a warning."""
    if y is None:
        raise ArgumentError("fit requires y to be passed, but the target y is None")
    refuse_masked(y)
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warn_of_column()
        labels = labels[:, 0]
    if labels.shape != (rows,):
        raise ArgumentError(
            f"y must hold one label for each of the {rows} rows of X, but its shape is "
            f"{labels.shape}"
        )
    if np.iscomplexobj(labels):
        raise ArgumentError("Complex data not supported: pass real numbers")
    if labels.dtype.kind == "f":
        _check_finite("y", labels)
    return labels


def targets_of(y: Any, rows: int) -> Vector:
    """y as finite numbers (rows,)."""
    numbers = real_numbers(labels_of(y, rows))
    _check_finite("y", numbers)
    return numbers


def class_labels_of(y: Any, rows: int) -> Labels:
    """y as classes (rows,): texts or numbers, but no fractions, and none that is missing."""
    labels = labels_of(y, rows)
    if labels.dtype.kind in "OM":
        _refuse_missing(labels)
    refuse_fractions(labels)
    return labels


def _refuse_missing(labels: Labels) -> None:
    """Raise ArgumentError for objects or dates of which one is missing, or that have no order."""
    try:
        if (labels != labels).any():  # NaN and NaT are unlike themselves: each would be a class.
            raise ArgumentError(NOT_FINITE.format(name="y"))
        np.sort(labels)
    except TypeError:  # pandas' NA does not even say whether it is unlike itself.
        raise ArgumentError(
            "y must hold labels of one kind, all numbers or all texts, and None or NA is neither"
        ) from None


def refuse_fractions(labels: Labels) -> None:
    """Raise ArgumentError for labels that are no classes."""
    numbers = labels
    if labels.dtype.kind == "O":  # As pandas gives them where a column holds other things, too.
        numbers = np.array([each for each in labels if isinstance(each, float | np.floating)])
    if numbers.dtype.kind == "f" and (numbers != np.floor(numbers)).any():
        raise ArgumentError(
            "Unknown label type: continuous. The labels of classes are whole numbers or texts; "
            "for numbers use a regressor."
        )


def refuse_other_width(features: int, expected: int, estimator: object) -> None:
    """Raise ArgumentError if the rows are not as wide as those that were fitted."""
    if features != expected:
        raise ArgumentError(
            f"X has {features} features, but {type(estimator).__name__} is expecting {expected} "
            "features as input."
        )


def _check_finite(name: str, values: npt.NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        raise ArgumentError(NOT_FINITE.format(name=name))
