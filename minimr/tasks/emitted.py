"""What user code yields: it must be pairs, with keys of one kind. Loops inline the common case.

A yielded two-letter string unpacks like a pair, and `1`, `1.0` and `True` would share a group in
a dict. Both are errors at the first record.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, starmap
from types import GeneratorType
from typing import Any

from minimr.block import Pairs
from minimr.errors import BadRecord
from minimr.job import Pair
from minimr.keys import KIND_NAMES, key_kind, plain_key, preview
from minimr.shuffle.pairs import BLOCK_BYTES, RECORDS_MAX, encode_pairs
from minimr.shuffle.passes import check_size
from minimr.shuffle.secondary_sort import check_key
from minimr.tasks.sizes import exact_size_of, size_of

_NESTED_OR_NAN = (tuple, float)


def as_iterable(yielded: Any, function: str) -> Iterable[Any]:
    """Return what a user's function returned, or raise BadRecord if it can yield nothing."""
    if type(yielded) is GeneratorType or hasattr(yielded, "__iter__"):
        iterable: Iterable[Any] = yielded
        return iterable
    raise BadRecord(
        f"{function} returned {preview(yielded)}; it must yield (key, value) pairs, "
        "or return an iterable of them."
    )


def as_pair(pair: Any, function: str) -> tuple[Any, Any]:
    """Return a yielded tuple or list of two as a pair; raise BadRecord for anything else."""
    if (type(pair) is tuple or isinstance(pair, tuple | list)) and len(pair) == 2:
        return pair[0], pair[1]
    if isinstance(pair, Pairs):
        raise BadRecord(
            f"{function} yielded {pair!r} after single pairs; a job yields either Pairs or single "
            "pairs, never both."
        )
    raise BadRecord(f"{function} yielded {preview(pair)}, which is no pair (key, value).")


def one_by_one(yielded: Iterable[Any]) -> Iterator[Any]:
    """Yield what user code yielded, whole Pairs taken apart."""
    for each in yielded:
        if isinstance(each, Pairs):
            yield from each
        else:
            yield each


class KeyGate:
    """Lets keys of one kind through: that of the first.

    `fast_type` is the one type whose keys need no further look (but for NaN); a loop tests it
    inline and calls `admit` for all other keys.
    """

    def __init__(self, function: str, *, secondary_sort: bool = False) -> None:
        self.function = function
        self.secondary_sort = secondary_sort
        self.fast_type: type | None = None
        self.kind: str | None = None
        self._shapes: set[tuple[type, ...]] = set()

    def admit(self, key: Any) -> Any:
        """Return the key, numpy scalars made plain. Raises BadRecord if it is not of the kind."""
        if type(key) is tuple and tuple(map(type, key)) in self._shapes:
            return key
        key = plain_key(key)
        kind = key_kind(key)
        if self.kind is None:
            if self.secondary_sort:  # all keys are of the first one's kind, so one look will do
                check_key(key, self.function)
            self.kind = kind
            self.fast_type = type(key) if type(key) in KIND_NAMES else None
        elif kind != self.kind:
            raise BadRecord(
                f"{self.function} yielded the key {preview(key)} ({kind}) after keys of the kind "
                f"{self.kind}; a stage must keep to one kind."
            )
        if type(key) is tuple and not any(type(item) in _NESTED_OR_NAN for item in key):
            self._shapes.add(tuple(map(type, key)))
        return key


def checked_pairs(
    yielded: Iterable[Any], function: str, gate: KeyGate | None = None
) -> Iterator[Pair]:
    """Yield the pairs among which all keys are of one kind. Raises BadRecord at the first other.

    The kind is that of the keys which the gate, if one is given, has let through before.
    """
    gate = gate or KeyGate(function)
    for pair in yielded:
        key, value = as_pair(pair, function)
        if type(key) is not gate.fast_type:
            key = gate.admit(key)
        elif key != key:
            key_kind(key)  # raises: a NaN is equal to nothing, not even itself
        yield key, value
        pair = key = value = None  # the next one needs the room


def encoded(pairs: Iterator[Pair]) -> Iterator[bytes]:
    """Encode pairs in the order in which they come, in blocks of about BLOCK_BYTES."""
    return starmap(encode_pairs, blocks_of(pairs))


def blocks_of(pairs: Iterator[Pair]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield the keys and the values of pairs in blocks of about BLOCK_BYTES."""
    records = 16
    while block := list(islice(pairs, records)):
        keys, values = map(list, zip(*block, strict=True))
        yield keys, values
        record_bytes = max(1, size_of(keys[-1]) + size_of(values[-1]))
        records = max(1, min(RECORDS_MAX, BLOCK_BYTES // record_bytes))


def check_pair(key: Any, value: Any, memory_bytes: int) -> None:
    """Raise BadRecord if a task of that memory cannot take the pair."""
    check_size(key, exact_size_of(key) + exact_size_of(value), memory_bytes)


def measured(groups: Iterable[tuple[Any, Iterable[Any]]], block_bytes: int) -> Iterator[bytes]:
    """Encode (key, its values) groups as blocks of about `block_bytes`.

    Every record is measured, none is taken as typical: it costs more time than
    `pairs.encode_groups`, but a few large records among small ones do not meet in a block.
    """
    keys: list[Any] = []
    values: list[Any] = []
    held_bytes = 0
    for key, group in groups:
        key_bytes = exact_size_of(key)
        for value in group:
            keys.append(key)
            values.append(value)
            held_bytes += key_bytes + exact_size_of(value)
            if held_bytes >= block_bytes or len(keys) == RECORDS_MAX:
                yield encode_pairs(keys, values)
                keys, values, held_bytes = [], [], 0
    if keys:
        yield encode_pairs(keys, values)
