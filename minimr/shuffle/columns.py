"""Columns: n keys or n values as one object, typed where that is possible.

Columns are what makes a shuffle fast: one array of a million ints is hashed, sorted, stored and
added up by a handful of calls, a million Python ints are not. A column is one of

    numpy (n,) int64, float64 or bool      item i is an int, a float, a bool
    numpy (n, ...) of any numeric dtype    item i is a row: a vector, a matrix
    ByteStrings                            item i is a bytes or a str
    Tuples                                 item i is a tuple, of one column for each place
    list                                   anything else

and what a column means is its list of items: wherever two columns do not go together, both become
lists, and nothing but speed is lost. All functions here keep to that.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from minimr.block import Pairs
from minimr.errors import BadRecord
from minimr.keys import KIND_NAMES, key_kind, plain_key, preview
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.order import order_of

__all__ = ["ByteStrings", "Column", "Tuples", "concat", "items", "order", "starts", "take"]

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

INT64_MAX = (1 << 63) - 1
POINTER_BYTES = 8
EXAMPLE_BYTES = 1_000


@dataclass(frozen=True)
class Tuples:
    """n tuples of one length, as one column for each place."""

    places: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.places[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple(item(place, index) for place in self.places)

    def tolist(self) -> list[tuple[Any, ...]]:
        """Return the items as Python tuples."""
        return list(zip(*map(items, self.places), strict=True))


Column = Array | ByteStrings | Tuples | list[Any]


def is_array(column: Column, *dtypes: type) -> TypeGuard[Array]:
    """Tell whether a column is a 1-D array, of one of these dtypes if any are given."""
    return (
        isinstance(column, np.ndarray)
        and column.ndim == 1
        and (not dtypes or column.dtype.type in dtypes)
    )


def item(column: Column, index: int) -> Any:
    """Return one item as a Python object (or a row)."""
    return column[index].item() if is_array(column) else column[index]


def comparable(column: Column, index: int) -> Any:
    """Return what compares as the item does, without a copy of a long one."""
    return column.comparable(index) if isinstance(column, ByteStrings) else item(column, index)


def items(column: Column) -> list[Any]:
    """Return the items as Python objects, rows as arrays."""
    if isinstance(column, np.ndarray):
        return column.tolist() if column.ndim == 1 else list(column)
    return column if isinstance(column, list) else column.tolist()


def example(column: Column) -> Any:
    """Return the first item, or if that is long, one that is like it: its beginning."""
    if isinstance(column, ByteStrings) and column.rows is None:
        start, end = column.offsets[:2].tolist()
        if end - start > EXAMPLE_BYTES:
            data = column.buffer[start : start + EXAMPLE_BYTES].tobytes()
            return data.decode("utf-8", "replace") if column.text else data
    return item(column, 0)


def row_bytes(column: Column) -> Ints | None:
    """Return how much memory each item takes, (n,) int64, or None if all take the same."""
    if isinstance(column, np.ndarray):
        return None
    if isinstance(column, ByteStrings):
        return column.lengths() + POINTER_BYTES if column.rows is None else None
    if isinstance(column, Tuples):
        each = [sizes for sizes in map(row_bytes, column.places) if sizes is not None]
        return np.sum(each, axis=0, dtype=np.int64) if each else None
    return np.fromiter(map(_deep_size, column), np.int64, len(column))


def size_bytes(column: Column) -> int:
    """Return how much memory the items take; what a list's hold is judged by its first and last."""
    if isinstance(column, Tuples):
        return sum(map(size_bytes, column.places))
    if isinstance(column, list):
        inner = max(map(_inner_size, column[:1] + column[-1:]), default=0)
        return len(column) * (POINTER_BYTES + inner) + sum(map(getsizeof, column))
    return column.nbytes


def _deep_size(value: Any) -> int:
    return getsizeof(value) + _inner_size(value)


def _inner_size(value: Any) -> int:
    inner = value[:1] if type(value) in (list, tuple) else ()
    return sum(len(value) * _deep_size(each) for each in inner)


def take(column: Column, indices: Array) -> Column:
    """Return the items at these indices (int64), or those that a boolean mask picks."""
    if isinstance(column, np.ndarray):
        taken: Array = column[indices]
        return taken
    if isinstance(column, ByteStrings):
        return column.take(indices)
    if isinstance(column, Tuples):
        return Tuples(tuple(take(place, indices) for place in column.places))
    if indices.dtype == np.bool_:
        indices = np.flatnonzero(indices)
    return [column[index] for index in indices.tolist()]


def cut(column: Column, start: int, end: int) -> Column:
    """Return items `start` to `end` - 1, without a copy where that is possible."""
    if isinstance(column, ByteStrings):
        return column.slice(start, end)
    if isinstance(column, Tuples):
        return Tuples(tuple(cut(place, start, end) for place in column.places))
    return column[start:end]


def concat(columns: Sequence[Column]) -> Column:
    """Join columns end to end; no columns make an empty list.

    Columns that do not go together (ints and floats, rows of two shapes) become one list: an int
    stays an int, whatever it meets.
    """
    if len(columns) == 1:
        return columns[0]
    filled = [column for column in columns if len(column)] or list(columns[:1])
    if len(filled) == 1:
        return filled[0]
    first = filled[0] if filled else []
    if isinstance(first, np.ndarray) and all(map(_shape_of(first), filled)):
        joined: Array = np.concatenate(filled)  # type: ignore[arg-type]
        return joined
    strings = [column for column in filled if isinstance(column, ByteStrings)]
    if len(strings) == len(filled) > 0 and len({each.text for each in strings}) == 1:
        return ByteStrings.concat(strings)
    tuples = [column.places for column in filled if isinstance(column, Tuples)]
    if len(tuples) == len(filled) > 0 and len(set(map(len, tuples))) == 1:
        return Tuples(tuple(map(concat, zip(*tuples, strict=True))))
    return [each for column in filled for each in items(column)]


def _shape_of(first: Array) -> Any:
    def agrees(column: Column) -> bool:
        return (
            isinstance(column, np.ndarray)
            and column.dtype.str == first.dtype.str
            and column.shape[1:] == first.shape[1:]
        )

    return agrees


def order(keys: Column) -> Ints:
    """Return the indices that sort keys of one kind stably, (n,) int64."""
    if isinstance(keys, list | Tuples):
        each = items(keys)
        if each and each[0] is None:  # then all are, and None has no order of its own
            return np.arange(len(each), dtype=np.int64)
        return np.array(sorted(range(len(each)), key=each.__getitem__), np.int64)
    return order_of(keys)


def count_below(sorted_keys: Column, key: Any) -> int:
    """Return how many of the keys are less than `key`, which is of their kind."""
    if len(sorted_keys) == 1:
        return int(_ranked(comparable(sorted_keys, 0)) < _ranked(key))
    return bisect_left(sorted_keys, (key,), key=_ranked)


def count_upto(sorted_keys: Column, key: Any) -> int:
    """Return how many of the keys are not greater than `key`."""
    if len(sorted_keys) == 1:
        return int(not _ranked(key) < _ranked(comparable(sorted_keys, 0)))
    return bisect_right(sorted_keys, (key,), key=_ranked)


def least(keys: Iterable[Any]) -> Any:
    """Return the smallest of some Python keys of one kind."""
    return min(map(_ranked, keys))[0]


def _ranked(key: Any) -> tuple[Any]:
    """Return what compares as the key does, even if it is None."""
    return (key,)


def starts(sorted_keys: Column) -> Ints:
    """Return the index of the first key of each run of equal keys, (groups,) int64."""
    count = len(sorted_keys)
    if count == 0:
        return np.zeros(0, np.int64)
    changes = np.ones(count, np.bool_)
    changes[1:] = _changes(sorted_keys)
    return np.flatnonzero(changes)


def _changes(keys: Column) -> Array:
    """Return, for each key but the first, whether it differs from the one before."""
    if isinstance(keys, np.ndarray):
        return np.asarray(keys[1:] != keys[:-1])
    if not isinstance(keys, ByteStrings):
        each = items(keys)
        return np.fromiter(map(_differ, each[:-1], each[1:]), np.bool_, len(each) - 1)
    return _string_changes(keys)


def _differ(left: Any, right: Any) -> bool:
    return bool(left != right)


def _string_changes(keys: ByteStrings) -> Array:
    if keys.rows is not None:
        return np.asarray((keys.rows[1:] != keys.rows[:-1]).any(axis=1))
    lengths = keys.lengths()
    changes: Array = lengths[1:] != lengths[:-1]
    number = 0
    alike = np.flatnonzero(~changes & (lengths[1:] > 0))
    while len(alike):
        if number == 8:  # long strings: compare the rest of each pair at once
            changes[alike] = [keys[at] != keys[at + 1] for at in alike.tolist()]
            break
        differ = keys.words(number, alike) != keys.words(number, alike + 1)
        changes[alike[differ]] = True
        number += 1
        alike = alike[~differ & (lengths[alike] > 8 * number)]
    return changes


def typed(column: Column) -> Column:
    """Return a list as the best column that holds the same items, and any other column as it is."""
    if not isinstance(column, list) or not column:
        return column
    kinds = set(map(type, column))
    kind = kinds.pop()
    if kinds:
        return column
    if kind is int:
        try:
            return np.array(column, np.int64)
        except OverflowError:
            return column
    if kind is float or kind is bool:
        return np.array(column, np.float64 if kind is float else np.bool_)
    if kind is str or kind is bytes:
        return ByteStrings.of(column)
    if kind is tuple and column[0] and len(set(map(len, column))) == 1:
        return Tuples(tuple(typed(list(place)) for place in zip(*column, strict=True)))
    if kind is np.ndarray and len({(each.dtype.str, each.shape) for each in column}) == 1:
        return np.stack(column) if column[0].ndim else column
    return column


def as_column(given: Any, role: str) -> Column:
    """Return what a user gave for a column as one of the kinds above.

    Narrower ints and floats are widened to 64 bits, unsigned ints beyond them become a list.
    Raises BadRecord for what is no column; `role` is "keys" or "values".
    """
    if isinstance(given, list | ByteStrings | Tuples):
        return given
    if isinstance(given, tuple | range):
        return list(given)
    if not isinstance(given, np.ndarray):
        raise BadRecord(
            f"The {role} of Pairs must be a numpy array, ByteStrings or a list, not "
            f"{preview(given)}."
        )
    if given.ndim == 0:
        raise BadRecord(f"The {role} of Pairs must be a column, not the single value {given!r}.")
    if given.ndim > 1:
        if given.dtype.kind not in "biufc":
            raise BadRecord(f"The {role} of Pairs are a matrix of {given.dtype}, not of numbers.")
        return given
    return _as_vector(given, role)


def _as_vector(given: Array, role: str) -> Column:
    kind = given.dtype.kind
    if kind == "u" and given.dtype.itemsize == 8 and len(given) and int(given.max()) > INT64_MAX:
        return list(given.tolist())
    if kind in "iu":
        return given.astype(np.int64, copy=False)
    if kind == "f" and given.dtype.itemsize <= 8:
        return given.astype(np.float64, copy=False)
    if kind == "b":
        return given.astype(np.bool_, copy=False)
    if kind in "SUO":
        return list(given.tolist())
    raise BadRecord(f"The {role} of Pairs are of the dtype {given.dtype}; use ints or floats.")


def as_keys(given: Any) -> Column:
    """Return a column of keys, all of one kind. Raises BadRecord, naming the first bad key."""
    keys = as_column(given, "keys")
    if isinstance(keys, np.ndarray) and keys.ndim > 1:
        raise BadRecord(f"The keys of Pairs are an array of shape {keys.shape}; it must be (n,).")
    if is_array(keys, np.float64) and np.isnan(keys).any():
        key_kind(float("nan"))  # raises
    if isinstance(keys, Tuples):
        keys = keys.tolist()
    return _list_keys(keys) if isinstance(keys, list) else keys


def columns_of(pairs: Pairs) -> tuple[Column, Column]:
    """Return the columns of Pairs that a user made. Raises BadRecord for what are none."""
    keys, values = as_keys(pairs.keys), as_column(pairs.values, "values")
    if len(keys) != len(values):
        raise BadRecord(
            f"Pairs hold {len(keys):,} keys and {len(values):,} values; their columns must not be "
            "changed afterwards."
        )
    return keys, values


def _list_keys(keys: list[Any]) -> Column:
    kinds = set(map(type, keys))
    if len(kinds) > 1 or not kinds <= KIND_NAMES.keys() or float in kinds:
        keys = list(map(plain_key, keys))
        first = key_kind(keys[0]) if keys else ""
        for key in keys:
            if key_kind(key) != first:
                raise BadRecord(
                    f"Pairs hold the key {preview(key)} ({key_kind(key)}) after keys of the kind "
                    f"{first}; a stage must keep to one kind."
                )
    return typed(keys) if not keys or type(keys[0]) is not tuple else keys


def kind_of(keys: Column) -> str | None:
    """Return the kind of a column of keys (see minimr/keys.py), or None if it is empty."""
    if not len(keys):
        return None
    return key_kind(example(keys))
