"""Checks of arguments, those of `train` above all: each error names the argument and its range."""

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml.errors import ArgumentError
from ml.vectors import Matrix, Vector

Choice = TypeVar("Choice")


def number(name: str, value: object, allowed: Callable[[float], bool], allowed_text: str) -> float:
    """Return `value` as a float, or raise ArgumentError unless it is a finite number allowed."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            as_float = float(value)
        except OverflowError:  # a whole number that no float holds
            as_float = math.inf
        if math.isfinite(as_float) and allowed(as_float):
            return as_float
    raise ArgumentError(f"must be a number {allowed_text}, but is {value!r}", name)


def whole_number(name: str, value: object, least: int = 0) -> int:
    """Return `value` as an int, or raise ArgumentError unless it is a whole number >= `least`."""
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return int(value)
    raise ArgumentError(f"must be a whole number >= {least}, but is {value!r}", name)


def yes_or_no(name: str, value: object) -> bool:
    """Return `value` as a bool, or raise ArgumentError unless it is True, False, 1 or 0."""
    if isinstance(value, bool | np.bool_ | Integral) and value in (0, 1):
        return bool(value)
    raise ArgumentError(f"must be True or False, but is {value!r}", name)


def keep_plain(frozen: object, fields: dict[str, float]) -> None:
    """Set fields of a frozen dataclass that was just made, to what their checks returned.

    numpy's float32 computes in its own precision here, and in a slot, where it comes as a plain
    float, in that of a float.
    """
    for name, value in fields.items():
        object.__setattr__(frozen, name, value)


def choice(name: str, value: object, choices: Sequence[Choice]) -> Choice:
    """Return the one of `choices` that equals `value`, or raise ArgumentError."""
    for allowed in choices:
        if type(value) is type(allowed) and value == allowed:
            return allowed
    names = ", ".join(repr(allowed) for allowed in choices)
    raise ArgumentError(f"must be one of {names}, but is {value!r}", name)


def real_numbers(values: Any) -> NDArray[np.float64]:
    """An array of floats, of any shape. Raises TypeError or ValueError for what is none."""
    refuse_masked(values)
    kind = np.asarray(values).dtype.kind
    if kind == "c":
        raise TypeError("complex numbers are not taken")
    if kind in "mM":  # A missing one would be a number, too: -2^63.
        raise ArgumentError(
            "dates and times are no numbers: pass how many days or seconds they are from one of "
            "them"
        )
    try:
        return np.asarray(values, dtype=np.float64)
    except OverflowError:
        raise ArgumentError("a whole number is too large for a float; scale it down") from None


def number_pairs(name: str, value: Iterable[Any], meaning: str) -> Matrix:
    """Return pairs of numbers (n, 2), or raise ArgumentError, which says their `meaning`."""
    try:
        both = real_numbers(value if isinstance(value, np.ndarray) else list(value))
    except (TypeError, ValueError):
        both = np.ones(1)
    if both.size and (both.ndim != 2 or both.shape[1] != 2):
        raise ArgumentError(f"must be ({meaning}) pairs of numbers", name)
    return both.reshape(-1, 2)


def refuse_sparse(name: str, value: object) -> None:
    """Raise ArgumentError for one of scipy's sparse matrices."""
    if hasattr(value, "toarray"):
        raise ArgumentError(
            f"sparse matrices are not taken: pass {name}.toarray(), or the name of a libsvm file"
        )


def refuse_masked(value: object) -> None:
    """Raise ArgumentError for one of numpy's masked arrays, if something is behind the mask: as an
    array it would be what is there."""
    if np.ma.is_masked(value):
        raise ArgumentError("what is masked is missing: fill or leave out those rows")


def start_vector(name: str, value: Any, size: int, of: str) -> Vector:
    """Return a checked copy (size,) of `value`, one number for each of the `of`."""
    try:
        vector = real_numbers(value).copy()
    except (TypeError, ValueError):
        raise ArgumentError("must be a list or array of numbers", name) from None
    if vector.shape != (size,):
        raise ArgumentError(
            f"must hold one number for each of the {size} {of}, but its shape is {vector.shape}",
            name,
        )
    if not np.isfinite(vector).all():
        raise ArgumentError("must hold finite numbers only", name)
    return vector
