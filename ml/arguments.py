"""Checks of the arguments of `train`: each error names the argument, its range and the value."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TypeVar

import numpy as np

from ml.errors import ArgumentError
from ml.vectors import Vector

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


def choice(name: str, value: object, choices: Sequence[Choice]) -> Choice:
    """Return the one of `choices` that equals `value`, or raise ArgumentError."""
    for allowed in choices:
        if type(value) is type(allowed) and value == allowed:
            return allowed
    names = ", ".join(repr(allowed) for allowed in choices)
    raise ArgumentError(f"must be one of {names}, but is {value!r}", name)


def refuse_sparse(name: str, value: object) -> None:
    """Raise ArgumentError for one of scipy's sparse matrices."""
    if hasattr(value, "toarray"):
        raise ArgumentError(
            f"sparse matrices are not taken: pass {name}.toarray(), or the name of a libsvm file"
        )


def start_vector(name: str, value: object, size: int, of: str) -> Vector:
    """Return a checked copy (size,) of `value`, one number for each of the `of`."""
    try:
        vector = np.array(value, dtype=np.float64)
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
