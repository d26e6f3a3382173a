"""Whether a task can take the pairs that lie in two columns; one by one it is told by emitted.py.

Columns that are small as a whole are not looked into.
"""

from typing import Any

import numpy as np

from minimr.shuffle.columns import Column, Tuples, cut, example, row_bytes, size_bytes
from minimr.shuffle.passes import check_size, record_bytes_max
from minimr.tasks.sizes import exact_size_of


def check_pairs(keys: Column, values: Column, memory_bytes: int) -> None:
    """Raise BadRecord for the largest of some pairs if a task of that memory cannot take it."""
    if size_bytes(keys) + size_bytes(values) <= record_bytes_max(memory_bytes):
        return
    pair_bytes = _bytes_of_each(keys) + _bytes_of_each(values)
    largest = int(np.argmax(pair_bytes))  # the first one, if all take the same
    key = example(cut(keys, largest, largest + 1))
    check_size(key, int(np.max(pair_bytes)), memory_bytes)


def _bytes_of_each(column: Column) -> Any:
    """The bytes of each item, (n,) int64, or one number if all take the same."""
    if isinstance(column, Tuples):
        return sum(map(_bytes_of_each, column.places))
    if isinstance(column, list):
        return np.fromiter(map(exact_size_of, column), np.int64, len(column))
    each = row_bytes(column)
    return size_bytes(column) // len(column) if each is None else each
