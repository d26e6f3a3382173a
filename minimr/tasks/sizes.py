"""Estimates of how much memory Python values take.

A map task must know roughly what it holds, without asking after each record. It asks after some,
in a way that depends on the data alone: where a combiner adds floats, the moment of a spill can
show in the last bits of the result, so it must come at the same record on every run.
"""

from sys import getsizeof
from typing import Any

POINTER_BYTES = 8
GROUP_BYTES = 200
"""A key's share of the dict, and its list."""


def size_of(value: Any) -> int:
    """Estimate a value's size in bytes; the items of a container count as its first one does."""
    size_bytes = getsizeof(value)
    if type(value) in (list, tuple) and value:
        return size_bytes + len(value) * size_of(value[0])
    if type(value) is dict and value:
        key, item = next(iter(value.items()))
        return size_bytes + len(value) * (size_of(key) + size_of(item))
    return size_bytes
