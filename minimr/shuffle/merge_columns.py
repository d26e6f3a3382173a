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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from minimr.errors import BadRecord
from minimr.keys import preview
from minimr.shuffle.columns import (
    Column,
    concat,
    count_below,
    count_upto,
    cut,
    item,
    kind_of,
    least,
    order,
    size_bytes,
    take,
)  # fmt: skip
from minimr.shuffle.pairs import RECORDS_MAX

KeysAndValues = tuple[Column, Column]


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
        self.load()

    def load(self) -> None:
        """Load the next block that is not empty."""
        for keys, values in self._blocks:
            if len(keys):
                self.keys, self.values = keys, values
                self.last = item(keys, len(keys) - 1)
                return
        self.keys, self.values, self.last = [], [], None

    def take_below(self, bound: Any) -> KeysAndValues:
        """Remove and return the loaded pairs with smaller keys."""
        return self._take(count_below(self.keys, bound))

    def take_upto(self, bound: Any) -> KeysAndValues:
        """Remove and return the loaded pairs with keys that are not greater."""
        return self._take(count_upto(self.keys, bound))

    def _take(self, end: int) -> KeysAndValues:
        count = len(self.keys)
        taken = cut(self.keys, 0, end), cut(self.values, 0, end)
        self.keys, self.values = cut(self.keys, end, count), cut(self.values, end, count)
        return taken

    def goes_on_with(self, key: Any) -> bool:
        """Load the next block if this one is used up; tell whether it begins with the key."""
        if not len(self.keys):
            self.load()
        return len(self.keys) > 0 and bool(item(self.keys, 0) == key)


def _merge_streams(runs: Sequence[Iterable[KeysAndValues]]) -> Iterator[Chunk]:
    live = [run for run in map(_Run, runs) if len(run.keys)]
    while live:
        bound = least(run.last for run in live)
        below = [run.take_below(bound) for run in live]
        below = [part for part in below if len(part[0])]
        equal = [run.take_upto(bound) for run in live]
        more = [run.goes_on_with(bound) for run in live]
        if not any(more):
            yield _sorted_with(below, equal)
        else:
            if below:
                yield _sorted(below)
            yield from _one_key(bound, live, equal)
        live = [run for run in live if len(run.keys)]


def _sorted_with(below: list[KeysAndValues], equal: list[KeysAndValues]) -> Chunk:
    """Sort what is below the bound, and put what equals it behind."""
    equal = [part for part in equal if len(part[0])]
    if below:
        chunk = _sorted(below)
        equal = [(chunk.keys, chunk.values), *equal]
    return Chunk(*_joined(equal))


def _one_key(key: Any, runs: list[_Run], taken: list[KeysAndValues]) -> Iterator[Chunk]:
    """Yield all pairs of one key in the order of the runs, given what was taken of each already."""
    for run, (keys, values) in zip(runs, taken, strict=True):
        if len(keys):
            yield Chunk(keys, values, open=True)
        while run.goes_on_with(key):
            yield Chunk(*run.take_upto(key), open=True)


def rows_per_block(keys: Column, values: Column, block_bytes: int) -> int:
    """Return how many such pairs make a block of about `block_bytes`."""
    row_bytes = (size_bytes(keys) + size_bytes(values)) // max(1, len(keys))
    return max(1, min(RECORDS_MAX, block_bytes // max(1, row_bytes)))


def in_blocks(parts: Iterable[KeysAndValues], block_bytes: int) -> Iterator[KeysAndValues]:
    """Join and cut columns so that each of them fills a block; the last may be smaller."""
    waiting: list[KeysAndValues] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part[0])
        rows = rows_per_block(*part, block_bytes)
        if count < rows:
            continue
        keys, values = _joined(waiting)
        whole = count - count % rows
        for start in range(0, whole, rows):
            yield cut(keys, start, start + rows), cut(values, start, start + rows)
        waiting = [(cut(keys, whole, count), cut(values, whole, count))]
        count -= whole
    if count:
        yield _joined(waiting)


def _joined(parts: Sequence[KeysAndValues]) -> KeysAndValues:
    return concat([part[0] for part in parts]), concat([part[1] for part in parts])


class _OneKind:
    """All keys of a stage are of one kind; a map task checked its own, so one per block will do."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.example: Any = None

    def check(self, block: KeysAndValues) -> KeysAndValues:
        kind = kind_of(block[0])
        if kind is not None and kind != self.kind:
            if self.kind is not None:
                raise BadRecord(
                    f"Keys of two kinds meet in one job: {preview(self.example)} ({self.kind}) and "
                    f"{preview(item(block[0], 0))} ({kind}). Make map yield one kind of key."
                )
            self.kind, self.example = kind, item(block[0], 0)
        return block
