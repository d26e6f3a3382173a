"""Strategies for keys and values, and a comparison that is as strict as the codec must be."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
FLOATS = st.floats(allow_nan=False)

SCALAR_KEYS = [TEXT, st.binary(max_size=8), st.integers(), FLOATS, st.booleans(), st.none()]
KEYS_OF_ONE_KIND = st.one_of(
    *(st.lists(keys, min_size=1, max_size=12) for keys in SCALAR_KEYS),
    st.lists(st.tuples(TEXT, st.integers(-3, 3)), min_size=1, max_size=12),
    st.lists(st.tuples(st.tuples(FLOATS, st.binary(max_size=2))), min_size=1, max_size=12),
)

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary())
DTYPES = ["?", "i1", "<i4", ">i8", "u2", "f2", "<f4", "f8", ">f8", "c8", "c16"]


@st.composite
def arrays(draw: st.DrawFn) -> "np.ndarray[Any, Any]":
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = math.prod(shape)
    numbers = draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    array = np.array(numbers).astype(draw(st.sampled_from(DTYPES))).reshape(shape)
    return array.T if draw(st.booleans()) else array


VALUES = st.recursive(
    SCALARS | arrays(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXT | st.integers() | st.tuples(TEXT), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(left: Any, right: Any) -> bool:
    """Whether two values agree in type, bits and structure; NaN agrees with NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return (left.dtype, left.shape) == (right.dtype, right.shape) and (
            left.tobytes() == right.tobytes()
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    return repr(left) == repr(right)
