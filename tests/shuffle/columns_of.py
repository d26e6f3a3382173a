"""Lists of keys of one kind, in every form of column that can hold them."""

import numpy as np
from hypothesis import strategies as st

from minimr.shuffle.columns import ByteStrings, Tuples, typed

TEXTS = ["", "\0", "a", "a\0", "é", "\ud800", "\ue000", "\U00010000", "a" * 8, "a" * 8 + "\0"]
KEYS = {
    "int": st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63), 2**40]),
    "huge": st.sampled_from([1, 2**63, -(2**70), 5]),
    "float": st.sampled_from([0.0, -0.0, 1.5, -2.25, float("inf"), float("-inf"), 5e-324]),
    "bool": st.booleans(),
    "text": st.sampled_from([*TEXTS, "a" * 7, "a" * 9, "a" * 63 + "b", "a" * 64, "a" * 70 + "b"]),
    "bytes": st.sampled_from([b"", b"\0", b"\0" * 8, b"\0" * 9, b"\xff" * 8, b"\xff" * 9, b"ab"]),
    "eight bytes": st.binary(min_size=8, max_size=8) | st.sampled_from([b"\0" * 8, b"a" * 8]),
    "nine bytes": st.sampled_from([b"a" * 8 + b"\0", b"a" * 9, b"\0" * 9, b"\xff" * 9]),
    "None": st.none(),
    "tuple": st.tuples(st.integers(0, 1), st.sampled_from(["x", "y"])),
    "tuple with None": st.tuples(st.none(), st.sampled_from([b"x", b""])),
}
KINDS = st.sampled_from(sorted(KEYS))


def sort_key(key):
    """What sorts keys of one kind, None too."""
    return (key,)


def forms(keys):
    """The columns that hold these keys."""
    yield keys
    column = typed(keys)
    if isinstance(column, Tuples) and all(isinstance(each, list) for each in column.places):
        return
    yield column
    if keys and type(keys[0]) is bytes and len(set(map(len, keys))) == 1:
        yield ByteStrings.fixed(np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1))


def form_of(keys, number):
    """One of the forms."""
    columns = list(forms(keys))
    return columns[number % len(columns)]
