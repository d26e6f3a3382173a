"""The map side of the shuffle for Pairs: buffer, sort, combine, spill, store, all by columns.

The same road as in collector.py, taken by millions of pairs at a time. Columns are buffered as they
come; the keys are put in order once; a named aggregate combines each group vectorised; each
partition's pairs leave as typed pair-blocks.

What was combined stays in the buffer, before what comes later, so that the next combining goes on
from it, from left to right. Once a buffer was spilled that is not so any more: then only *exact*
folds (see shuffle/column_folds.py) combine the later ones, and the last merge does the rest. So the
result is the same bits whatever the memory.

Memory: sorting needs the buffer twice, joined, and some numbers of 8 bytes for each pair.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.aggregates import Aggregate
from minimr.block import Groups, Pairs
from minimr.errors import BadRecord
from minimr.job import Job
from minimr.keys import preview
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.column_folds import Fold
from minimr.shuffle.columns import (
    Column,
    columns_of,
    concat,
    cut,
    example,
    items,
    order,
    size_bytes,
    starts,
    take,
)  # fmt: skip
from minimr.shuffle.compression import NONE, compressed
from minimr.shuffle.hot_keys import KEPT_MAX, LARGE_GROUP, HotKeys
from minimr.shuffle.merge_columns import (
    Chunk,
    KeysAndValues,
    block_cuts,
    in_blocks,
    merge_columns,
)
from minimr.shuffle.order import field, order_of_fields
from minimr.shuffle.pairs import StoredPairs, encode_columns
from minimr.shuffle.partition import checked_partition, column_partitions
from minimr.shuffle.passes import block_bytes_for, fan_in_for, next_pass
from minimr.shuffle.range_partition import range_borders
from minimr.shuffle.secondary_sort import groups_of
from minimr.shuffle.segments import MapOutputFile, write_map_output
from minimr.tasks.column_sizes import check_pairs
from minimr.tasks.combine import combiner_of
from minimr.tasks.emitted import KeyGate
from minimr.tasks.failure import Position

Ints = npt.NDArray[np.int64]
PartitionBlocks = Iterator[tuple[int, bytes]]

COMBINE_ROWS = 1 << 20
"""Pairs that come in between two runs of the combiner, at least; sorting so many is cheapest."""
COPIES = 2
SORT_BYTES, SORT_STRING_BYTES = 32, 128
"""What sorting needs for each pair: digits, places, the places of the last round; for strings of
different lengths, a word of each, their lengths and the ties as well."""


def fold_of(job: Job) -> Fold | None:
    """Return the job's combiner as a fold, or None if it has none."""
    combine = combiner_of(job)
    if combine is None:
        return None
    return Fold(combine, job.combine if isinstance(job.combine, Aggregate) else None)


@dataclass(frozen=True)
class _Sorted:
    """Pairs by partition, then key: partition r has places[borders[r]:borders[r + 1]]."""

    keys: Column
    values: Column
    places: Ints | None
    borders: list[int]

    def part(self, start: int, end: int) -> KeysAndValues:
        if self.places is None:
            return cut(self.keys, start, end), cut(self.values, start, end)
        if end - start == 1:  # perhaps a huge one, so do not copy it
            place = int(self.places[start])
            return cut(self.keys, place, place + 1), cut(self.values, place, place + 1)
        places = self.places[start:end]
        return take(self.keys, places), take(self.values, places)


class ColumnCollector:
    """Takes a map task's Pairs and gives them back sorted, as pair-blocks by partition."""

    def __init__(
        self,
        job: Job,
        partitions: int,
        memory_bytes: int,
        directory: Path,
        position: Position,
        boundaries: list[Any] | None = None,
        compress: str = NONE,
    ) -> None:
        self._partitions = partitions
        self._memory_bytes = memory_bytes
        self._block_bytes = block_bytes_for(memory_bytes)
        self._directory = directory
        self._compress = compress
        self._position = position
        self._fold = fold_of(job)
        self._borders = _borders_of(job, partitions, position, boundaries)
        self._gate = KeyGate("map_block", secondary_sort=job.secondary_sort)
        self._held: list[KeysAndValues] = []
        self._held_bytes = 0
        self._rows_since_combining = 0
        self._combined_rows = 0
        self._exact = True
        self._only_exact = job.splits_hot_keys
        self._spills: list[Path] = []
        self._spills_made = 0
        self._largest_block = 0
        self._by_group = job.secondary_sort
        self.hot = HotKeys()

    def add(self, yielded: Iterator[Any]) -> None:
        """Take all Pairs that an iterator yields. Raises BadRecord for anything else."""
        for pairs in yielded:
            if not isinstance(pairs, Pairs):
                raise BadRecord(
                    f"map_block yielded {preview(pairs)} after Pairs; a job yields either Pairs "
                    "or single pairs, never both."
                )
            if len(pairs):
                self._take(*columns_of(pairs))
            del pairs  # or they would be there while the next ones are made
            self._position.watcher.tick()

    def blocks(self) -> PartitionBlocks:
        """Yield all that was added; the buffer is empty afterwards."""
        if not self._spills:
            yield from self._encoded(self._sorted())
            return
        self._spill()
        anyhow = self._exact or not self._only_exact
        yield from self._merged_blocks(self._few_enough(), self._fold if anyhow else None)

    def close(self) -> None:
        """Remove the spills, whether the task went well or not."""
        for path in self._spills:
            path.unlink(missing_ok=True)

    def _take(self, keys: Column, values: Column) -> None:
        """Buffer columns, in pieces if they are larger than the memory."""
        self._gate.admit(example(keys))
        if self._fold is not None:
            values = self._fold.lift(values)
            self._exact = self._exact and self._fold.is_exact(values)
        check_pairs(keys, values, self._memory_bytes)
        row_bytes = _held_bytes(keys, values) // len(keys)
        step = max(1, self._memory_bytes // row_bytes)
        for start in range(0, len(keys), step):
            piece = cut(keys, start, start + step), cut(values, start, start + step)
            added_bytes = len(piece[0]) * row_bytes
            if self._held and self._held_bytes + added_bytes > self._memory_bytes:
                self._make_room(added_bytes)
            self._held.append(piece)
            self._held_bytes += added_bytes
            self._rows_since_combining += len(piece[0])
            del piece
            if self._held_bytes > self._memory_bytes:  # a single row is larger
                self._make_room(0)
            if self._rows_since_combining >= max(COMBINE_ROWS, 2 * self._combined_rows):
                self._combine()

    def _make_room(self, needed_bytes: int) -> None:
        """Combine; spill if that does not free at least a half."""
        self._combine()
        if self._held_bytes + needed_bytes > self._memory_bytes // 2:
            self._spill()

    def _combine(self) -> None:
        """Replace the buffer by its groups' states, if the combiner may run now."""
        if self._may_combine() and self._held:
            keys, states = self._folded(*self._joined())
            self._held = [(keys, states)]
            self._combined_rows = len(keys)
            self._held_bytes = _held_bytes(keys, states)
        self._rows_since_combining = 0

    def _may_combine(self) -> bool:
        first = not (self._spills_made or self._only_exact)
        return self._fold is not None and (self._exact or first)

    def _joined(self) -> KeysAndValues:
        """Empty the buffer into one pair of columns; each column's pieces go before the next."""
        held, self._held = self._held, []
        self._held_bytes = self._combined_rows = 0
        key_pieces, value_pieces = [each[0] for each in held], [each[1] for each in held]
        held.clear()
        keys = concat(key_pieces)
        key_pieces.clear()
        return keys, concat(value_pieces)

    def _folded(self, keys: Column, values: Column) -> KeysAndValues:
        """Return the states of unsorted pairs, sorted by key."""
        assert self._fold is not None
        places = order(keys)
        keys, values = take(keys, places), take(values, places)
        del places
        with self._position.during("combine"):
            return self._fold.groups(Groups(keys, values, starts(keys)))

    def _sorted(self) -> _Sorted:
        """Empty the buffer in order."""
        keys, values = self._joined()
        places = None
        if self._may_combine() and len(keys):
            keys, values = self._folded(keys, values)
            ordered = keys
        elif len(keys) == 1:
            ordered = keys
        else:
            places = order(keys)
            ordered = take(keys, places)
        if self._fold is None:
            _count_groups(self._routed_by(ordered), self.hot)
        by_partition, borders = self._borders(self._routed_by(ordered))
        if by_partition is not None:
            places = by_partition if places is None else places[by_partition]
        return _Sorted(keys, values, places, borders)

    def _routed_by(self, keys: Column) -> Column:
        """Return the part of each key that chooses its partition."""
        return groups_of(keys) if self._by_group else keys

    def _encoded(self, pairs: _Sorted) -> PartitionBlocks:
        cuts = block_cuts(pairs.keys, pairs.values, self._block_bytes, pairs.places)
        for partition in range(self._partitions):
            end = pairs.borders[partition + 1]
            for start, upto in cuts(pairs.borders[partition], end):
                self._position.watcher.tick()
                yield partition, encode_columns(*pairs.part(start, upto))

    def _spill(self) -> None:
        if self._held:
            self._write_spill(self._encoded(self._sorted()))
            self._rows_since_combining = 0

    def _write_spill(self, blocks: PartitionBlocks) -> Path:
        path = self._directory / f"spill-{self._spills_made:04}"
        written = write_map_output(path, self._partitions, compressed(blocks, self._compress))
        self._largest_block = max(self._largest_block, written.largest_block)
        self._spills_made += 1
        self._spills.append(path)
        return path

    def _few_enough(self) -> list[Path]:
        """Merge neighbouring spills into longer ones until one merge can take them all."""
        fan_in = fan_in_for(self._memory_bytes, self._block_bytes, self._largest_block)
        fold = self._fold if self._exact else None
        runs = list(self._spills)
        while len(runs) > fan_in:
            merged = []
            for group in next_pass(len(runs), fan_in):
                members = runs[group.start : group.stop]
                if len(members) > 1:
                    path = self._write_spill(self._merged_blocks(members, fold))
                    for member in members:
                        member.unlink()
                        self._spills.remove(member)
                    members = [path]
                merged += members
            runs = merged
        return runs

    def _merged_blocks(self, runs: list[Path], fold: Fold | None) -> PartitionBlocks:
        """Yield what the runs hold, each partition merged and, by a fold, combined."""
        files = [MapOutputFile(path) for path in runs]
        for partition in range(self._partitions):
            columns = [map(StoredPairs.columns, file.read_segment(partition)) for file in files]
            chunks = merge_columns(columns, in_memory=False)
            for pair in in_blocks(_states(chunks, fold), self._block_bytes):
                self._position.watcher.tick()
                yield partition, encode_columns(*pair)
                del pair  # the next ones need the room


def _held_bytes(keys: Column, values: Column) -> int:
    """Return what the columns will take when they are sorted, at the most."""
    has_offsets = isinstance(keys, ByteStrings) and keys.rows is None
    sort_bytes = SORT_STRING_BYTES if has_offsets else SORT_BYTES
    return (size_bytes(keys) + size_bytes(values)) * COPIES + len(keys) * sort_bytes


def _states(chunks: Iterator[Chunk], fold: Fold | None) -> Iterator[KeysAndValues]:
    if fold is None:
        return map(attrgetter("keys", "values"), chunks)
    return fold.chunks(chunks)


def _count_groups(keys: Column, hot: HotKeys) -> None:
    """Tell which keys, in order, fill the longest runs."""
    begins = starts(keys)
    lengths = np.diff(begins, append=len(keys))
    longest = np.sort(np.argsort(lengths, kind="stable")[-KEPT_MAX:])
    longest = longest[lengths[longest] >= LARGE_GROUP]
    hot.add(
        zip(items(take(keys, begins[longest])), lengths[longest].tolist(), strict=True), len(keys)
    )


Borders = Callable[[Column], tuple[Ints | None, list[int]]]
"""Sorted keys to their order by partition (None: they are) and the partitions' borders in it."""


def _borders_of(
    job: Job, partitions: int, position: Position, boundaries: list[Any] | None
) -> Borders:
    """Return what cuts sorted keys into partitions."""
    if boundaries is not None:
        return lambda keys: (None, range_borders(keys, boundaries, partitions))
    if type(job).partition is Job.partition:
        return lambda keys: _by_number(column_partitions(keys, partitions), partitions)

    def chosen(keys: Column) -> tuple[Ints | None, list[int]]:
        begins = starts(keys)
        numbers = []
        with position.during("partition"):
            for key in items(take(keys, begins)):
                position.key = key
                number = job.partition(key, partitions)
                numbers.append(checked_partition(number, key, partitions))
        lengths = np.diff(begins, append=len(keys))
        return _by_number(np.repeat(np.array(numbers, np.int64), lengths), partitions)

    return chosen


def _by_number(numbers: Ints, partitions: int) -> tuple[Ints | None, list[int]]:
    counts = np.bincount(numbers, minlength=partitions)
    borders = [0, *np.cumsum(counts).tolist()]
    if partitions == 1:
        return None, borders
    return order_of_fields([field(numbers.astype(np.uint64))], len(numbers)), borders
