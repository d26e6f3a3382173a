"""Merging sorted segments into groups, the heart of the shuffle (OSDI 2004, section 3.1, step 5).

Each map task left a segment sorted by key. Merging takes them in the order of the map tasks and
gives each key once, in increasing order, with all its values: first those of map task 0 in the
order it emitted them, then those of map task 1, and so on. That order is a promise: floating-point
sums depend on it, and it is what makes the result independent of workers and of failures.

Two ways, one result. In memory, a dict groups and one sort orders the keys. Otherwise a k-way
merge streams: a heap holds the next run of equal keys of each segment, as (key, segment, values),
and whatever the segments' size, one block of each is in memory. With thousands of segments that is
still much, so they are merged in several passes (passes.py).
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from minimr.errors import BadRecord
from minimr.keys import key_kind, preview
from minimr.shuffle.pairs import Pairs

Group = tuple[Any, Iterator[Any]]
Run = tuple[Any, int, list[Any]]
"""A key, the number of the segment it came from, and some of its values there."""


def merge(segments: Sequence[Iterator[Pairs]], in_memory: bool) -> Iterator[Group]:
    """Yield (key, iterator over its values) in increasing order of keys.

    A group's iterator ends when the next group is asked for. Raises BadRecord if two blocks have
    keys of different kinds.
    """
    kinds = _KindCheck()
    checked = [map(kinds.check, segment) for segment in segments]
    return _merge_in_memory(checked) if in_memory else _merge_streams(checked)


def _merge_in_memory(segments: Sequence[Iterator[Pairs]]) -> Iterator[Group]:
    groups: dict[Any, list[Any]] = {}
    find = groups.get
    for segment in segments:
        for keys, values in segment:
            for key, value in zip(keys, values, strict=True):
                found = find(key)
                if found is None:
                    groups[key] = [value]
                else:
                    found.append(value)
    for key in sorted(groups):
        yield key, iter(groups.pop(key))


def _merge_streams(segments: Sequence[Iterator[Pairs]]) -> Iterator[Group]:
    runs = [_runs(number, segment) for number, segment in enumerate(segments)]
    # A name for the last of these would hold its key until the end of the merge.
    heap = list(filter(None, (next(run, None) for run in runs)))
    heapq.heapify(heap)
    while heap:
        key = heap[0][0]
        values = _values_of(key, heap, runs)
        yield key, values
        for _ in values:  # whatever the reducer left unread lies before the next key
            pass


def _values_of(key: Any, heap: list[Run], runs: Sequence[Iterator[Run]]) -> Iterator[Any]:
    """Yield the values of the least key, advancing the heap past it."""
    while heap and heap[0][0] == key:
        equal_key, number, values = heap[0]
        if equal_key is not key:  # One of them will do, should they be large.
            heap[0] = key, number, values
            equal_key = None
        yield from values
        values.clear()  # before a block is loaded in their place
        following = next(runs[number], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, following)
        following = None  # Its key may give way to an equal one.


def _runs(number: int, segment: Iterator[Pairs]) -> Iterator[Run]:
    """Yield the runs of equal keys within each block of one segment."""
    for keys, values in segment:
        if not keys:
            continue
        start, key = 0, keys[0]
        for end in range(1, len(keys)):
            if keys[end] != key:
                yield key, number, values[start:end]
                start, key = end, keys[end]
        last = [(key, number, values[start:])]
        keys, values, key = [], [], None  # Only whoever is given the last run still holds it.
        yield last.pop()


class _KindCheck:
    """All keys of a stage are of one kind; a map task checked its own, so one per block will do."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.example = ""

    def check(self, block: Pairs) -> Pairs:
        if block[0]:
            key = block[0][0]
            kind = key_kind(key)
            if self.kind is None:
                self.kind, self.example = kind, preview(key)
            elif kind != self.kind:
                raise BadRecord(
                    f"Keys of two kinds meet in one job: {self.example} ({self.kind}) and "
                    f"{preview(key)} ({kind}). Make map yield one kind of key."
                )
        return block
