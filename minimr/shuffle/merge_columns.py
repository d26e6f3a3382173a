"""Merging sorted runs of columns: what merge.py does key by key, a block at a time.

A k-way merge takes the least key of all runs, over and over. With columns that would be slow, but
one look tells about a whole block: whatever is not greater than the *bound*, the least of the runs'
last loaded keys, can be taken at once, since no run can bring anything smaller any more. Those rows
are joined in the order of the runs and sorted stably, and so each key's values stand in the order
of the map tasks. Every row is sorted once; of each run a block is in memory.

A key that goes on at the beginning of a run's next block is not complete yet: then the chunk that
ends with it is *open*. Its values follow in chunks of that key alone, run by run, however many they
are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.errors import BadRecord
from minimr.keys import preview
from minimr.shuffle.columns import (
    Column,
    comparable,
    concat,
    count_below,
    count_upto,
    cut,
    example,
    kind_of,
    least,
    order,
    row_bytes,
    size_bytes,
    take,
)  # fmt: skip
from minimr.shuffle.pairs import RECORDS_MAX

KeysAndValues = tuple[Column, Column]
Ints = npt.NDArray[np.int64]

HUGE_BYTES = 1 << 20
UNEVEN = 4
"""A block may be so many times as large as it should be before its rows are measured one by one."""


@dataclass(frozen=True)
class Chunk:
    """Some pairs in order of key. If it is `open`, the last key may go on in the next chunk."""

    keys: Column
    values: Column
    open: bool = False


def merge_columns(
    runs: Sequence[Iterable[KeysAndValues]], in_memory: bool, piece_bytes: int | None = None
) -> Iterator[Chunk]:
    """Yield all pairs of the runs, each of which is sorted by key, in chunks.

    With `in_memory` there is one chunk; or, for who does not care where a key ends, pieces of about
    `piece_bytes`, so that the sorted whole is never there at once. Raises BadRecord if two blocks
    have keys of two kinds.
    """
    kinds = _OneKind()
    checked = [map(kinds.check, run) for run in runs]
    if not in_memory:
        return _merge_streams(checked)
    return _merge_in_memory(checked, piece_bytes)


def _merge_in_memory(
    runs: Sequence[Iterable[KeysAndValues]], piece_bytes: int | None
) -> Iterator[Chunk]:
    blocks = [block for run in runs for block in run if len(block[0])]
    if not blocks:
        return
    if piece_bytes is None:
        yield _sorted(blocks)
        return
    keys, values = concat([block[0] for block in blocks]), concat([block[1] for block in blocks])
    blocks.clear()
    places = order(keys)
    both_bytes = size_bytes(keys) + size_bytes(values)
    step = max(1, len(keys) * piece_bytes // max(1, both_bytes))
    for start in range(0, len(keys), step):
        piece = places[start : start + step]
        yield Chunk(take(keys, piece), take(values, piece))


def _sorted(parts: Sequence[KeysAndValues]) -> Chunk:
    keys, values = _joined(parts)
    if len(parts) == 1:
        return Chunk(keys, values)
    places = order(keys)
    return Chunk(take(keys, places), take(values, places))


class _Run:
    """One run, of which one block is loaded; `keys` is empty at its end."""

    def __init__(self, blocks: Iterable[KeysAndValues]) -> None:
        self._blocks = iter(blocks)
        self.keys: Column = []
        self.values: Column = []
        self.last: Any = None
        self.load()

    def load(self) -> None:
        """Load the next block that is not empty; the one before is let go first."""
        self._clear()
        for keys, values in self._blocks:
            if len(keys):
                self.keys, self.values = keys, values
                self.last = comparable(keys, len(keys) - 1)
                return

    def _clear(self) -> None:
        self.keys, self.values, self.last = [], [], None

    def take_below(self, bound: Any) -> KeysAndValues:
        """Remove and return the loaded pairs with smaller keys."""
        return self._take(count_below(self.keys, bound))

    def take_upto(self, bound: Any) -> KeysAndValues:
        """Remove and return the loaded pairs with keys that are not greater."""
        return self._take(count_upto(self.keys, bound))

    def _take(self, end: int) -> KeysAndValues:
        count = len(self.keys)
        if end == count:
            taken = self.keys, self.values
            self._clear()
            return taken
        taken = cut(self.keys, 0, end), cut(self.values, 0, end)
        self.keys, self.values = cut(self.keys, end, count), cut(self.values, end, count)
        return taken

    def goes_on_with(self, key: Any) -> bool:
        """Load the next block if this one is used up; tell whether it begins with the key."""
        if not len(self.keys):
            self.load()
        return len(self.keys) > 0 and bool(comparable(self.keys, 0) == key)


def _merge_streams(runs: Sequence[Iterable[KeysAndValues]]) -> Iterator[Chunk]:
    live = [run for run in map(_Run, runs) if len(run.keys)]
    while live:
        bound = least(run.last for run in live)
        below = [run.take_below(bound) for run in live]
        below = [part for part in below if len(part[0])]
        equal = [run.take_upto(bound) for run in live]
        if any(map(_is_huge, equal)) or any(run.goes_on_with(bound) for run in live):
            if below:
                yield _sorted(below)
            yield from _one_key(bound, live, deque(_taken_out_of(equal)))
        else:
            yield _sorted_with(below, equal)
        del below, equal
        live = [run for run in live if len(run.keys)]


def _sorted_with(below: list[KeysAndValues], equal: list[KeysAndValues]) -> Chunk:
    """Sort what is below the bound, and put what equals it behind."""
    equal = [part for part in equal if len(part[0])]
    if below:
        chunk = _sorted(below)
        equal = [(chunk.keys, chunk.values), *equal]
    return Chunk(*_joined(equal))


def _taken_out_of(parts: list[KeysAndValues]) -> list[KeysAndValues]:
    """Return the parts as another list, of which alone it depends how long they are there."""
    taken = parts[:]
    parts.clear()
    return taken


def _is_huge(part: KeysAndValues) -> bool:
    """Tell whether a part is one pair that is too large to be copied without need."""
    return len(part[0]) == 1 and _bytes_of(part) >= HUGE_BYTES


def _bytes_of(part: KeysAndValues) -> int:
    return size_bytes(part[0]) + size_bytes(part[1])


def _one_key(key: Any, runs: list[_Run], taken: deque[KeysAndValues]) -> Iterator[Chunk]:
    """Yield all pairs of one key in the order of the runs, given what was taken of each already.

    A run's next block is loaded when its part is yielded and gone.
    """
    for run in runs:
        if len(taken[0][0]):
            yield Chunk(*taken.popleft(), open=True)
        else:
            taken.popleft()
        while run.goes_on_with(key):
            yield Chunk(*run.take_upto(key), open=True)


def rows_per_block(keys: Column, values: Column, block_bytes: int) -> int:
    """Return how many such pairs make a block of about `block_bytes`."""
    row_bytes = (size_bytes(keys) + size_bytes(values)) // max(1, len(keys))
    return max(1, min(RECORDS_MAX, block_bytes // max(1, row_bytes)))


def pair_bytes(keys: Column, values: Column) -> Ints | None:
    """Return how much memory each pair takes, (n,) int64, or None if all take the same."""
    key_bytes, value_bytes = row_bytes(keys), row_bytes(values)
    if key_bytes is None and value_bytes is None:
        return None
    if key_bytes is None:
        key_bytes = np.full(len(keys), size_bytes(keys) // len(keys))
    if value_bytes is None:
        value_bytes = np.full(len(keys), size_bytes(values) // len(keys))
    return key_bytes + value_bytes


Cuts = Callable[[int, int], Iterator[tuple[int, int]]]
"""From the start and the end of a stretch of pairs to those of its blocks."""


def block_cuts(keys: Column, values: Column, block_bytes: int, places: Ints | None = None) -> Cuts:
    """Return what cuts pairs, in the order of `places`, into blocks of about `block_bytes`.

    Where some are much larger than most, a block ends before it becomes too large.
    """
    rows = rows_per_block(keys, values, block_bytes)
    sizes = pair_bytes(keys, values) if rows < len(keys) else None
    if sizes is not None and int(sizes.max()) * rows > UNEVEN * block_bytes:
        ends = np.cumsum(sizes if places is None else sizes[places])
        return partial(_cuts_by_size, ends, block_bytes)
    return lambda start, end: ((first, min(first + rows, end)) for first in range(start, end, rows))


def _cuts_by_size(ends: Ints, block_bytes: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        limit = (int(ends[start - 1]) if start else 0) + block_bytes
        upto = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        upto = min(end, upto, start + RECORDS_MAX)
        yield start, upto
        start = upto


def in_blocks(parts: Iterable[KeysAndValues], block_bytes: int) -> Iterator[KeysAndValues]:
    """Join and cut columns so that each of them fills a block; the last may be smaller."""
    waiting: list[KeysAndValues] = []
    count = 0
    for part in parts:
        if _is_huge(part):
            if count:
                yield _joined(waiting)
            waiting, count = [], 0
            yield part
            del part  # the next one needs the room
            continue
        waiting.append(part)
        count += len(part[0])
        rows = rows_per_block(*part, block_bytes)
        if count < rows:
            continue
        joined = _joined(waiting)
        blocks = [_cut(joined, *each) for each in block_cuts(*joined, block_bytes)(0, count)]
        is_full = len(blocks[-1][0]) >= rows or _bytes_of(blocks[-1]) >= block_bytes
        waiting = [] if is_full else [blocks.pop()]
        count = sum(len(block[0]) for block in waiting)
        yield from blocks
    if count:
        yield _joined(waiting)


def _cut(part: KeysAndValues, start: int, end: int) -> KeysAndValues:
    return cut(part[0], start, end), cut(part[1], start, end)


def _joined(parts: Sequence[KeysAndValues]) -> KeysAndValues:
    return concat([part[0] for part in parts]), concat([part[1] for part in parts])


class _OneKind:
    """All keys of a stage are of one kind; a map task checked its own, so one per block will do."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.example = ""

    def check(self, block: KeysAndValues) -> KeysAndValues:
        kind = kind_of(block[0])
        if kind is not None and kind != self.kind:
            shown = preview(example(block[0]))  # The key itself may be large.
            if self.kind is not None:
                raise BadRecord(
                    f"Keys of two kinds meet in one job: {self.example} ({self.kind}) and "
                    f"{shown} ({kind}). Make map yield one kind of key."
                )
            self.kind, self.example = kind, shown
        return block
