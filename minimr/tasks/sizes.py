"""Estimates of how much memory Python values take.

A map task must know roughly what it holds, without asking after each record. It asks after some,
in a way that depends on the data alone: where a combiner written by hand adds floats, the moment of
a spill can show in the last bits of the result, so it must come at the same record on every run.
"""

from sys import getsizeof
from typing import Any

POINTER_BYTES = 8
ENTRY_BYTES = 110
"""A key's share of a dict that has just grown, and of the one that it grew from."""
GROUP_BYTES = 200
"""The same, and the key's list."""

LARGE_BYTES = 64 << 10
"""A key or value beyond this is accounted for by itself; smaller ones are typical of each other."""
SIZED_TYPES = frozenset((str, bytes))
"""Types whose size is known at once."""
NESTED_TYPES = (tuple, list)
LEVELS_MAX = 2_000
"""What lies deeper in a value is not counted; nothing so deep can be encoded."""

SHARED_INTS = range(-5, 257)
"""The ints that Python keeps once and for all; each costs its pointer alone."""


def own_size_of(value: Any) -> int:
    """Estimate the bytes that are there because of this value: none for an int that is shared."""
    return 0 if type(value) is int and value in SHARED_INTS else size_of(value)


def size_of(value: Any) -> int:
    """Estimate a value's size in bytes; the items of a container count as its first one does."""
    size_bytes, count = getsizeof(value), 1
    for _ in range(LEVELS_MAX):
        kind = type(value)
        if kind in NESTED_TYPES and value:
            count, value = count * len(value), value[0]
        elif kind is dict and value:
            count, (key, value) = count * len(value), next(iter(value.items()))
            size_bytes += count * size_of(key)
        else:
            break
        size_bytes += count * getsizeof(value)
    return size_bytes


def is_large(value: Any) -> bool:
    """Tell whether a value, or an item of a tuple or list, takes more than LARGE_BYTES."""
    if getsizeof(value) > LARGE_BYTES:
        return True
    return type(value) in NESTED_TYPES and any(getsizeof(item) > LARGE_BYTES for item in value)


def stands_out(value: Any, careful: bool) -> bool:
    """Tell whether a value is_large; unless `careful`, look only at texts and bytes.

    To look into each tuple would cost as much as to take it, and so that is left until a large
    value has been met.
    """
    if type(value) in SIZED_TYPES:
        return len(value) > LARGE_BYTES
    return careful and is_large(value)


def exact_size_of(value: Any) -> int:
    """Estimate a value's size in bytes, that of a tuple or list from each of its items."""
    if type(value) in NESTED_TYPES:
        return getsizeof(value) + sum(map(size_of, value))
    return size_of(value)
