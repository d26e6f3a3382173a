"""The map side of the shuffle: group, combine, spill, store (OSDI 2004, sections 3.1 and 4.3).

Emitted pairs are grouped by key in a dict, values in order of emission. From time to time the
combiner shrinks every group in place. When the groups outgrow their memory they are spilled: as
a run sorted by partition and key, in the same file format as the final output. At the end the
runs are merged. Without spills nothing but the final sort of the distinct keys remains to be done.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from minimr.job import Job
from minimr.keys import key_kind
from minimr.shuffle.merge import Group, merge
from minimr.shuffle.pairs import BLOCK_BYTES, RECORDS_MAX, encode_groups
from minimr.shuffle.partition import checked_partition, partitions_of
from minimr.shuffle.segments import MapOutputFile, write_map_output
from minimr.tasks.combine import combiner_of, lift_of
from minimr.tasks.emitted import KeyGate, as_pair
from minimr.tasks.failure import Position
from minimr.tasks.sizes import GROUP_BYTES, POINTER_BYTES, size_of

COMBINE_EVERY = 100_000
"""Values emitted between two runs of the combiner, at least."""
SAMPLE_EVERY = 16
"""Groups of which one is measured when the combiner has run."""
BATCH_MAX = 256
"""Pairs taken in between two looks at the memory."""

PartitionBlocks = Iterator[tuple[int, bytes]]
"""Pair-blocks with their partition, in increasing order of partition, then of key."""


class Collector:
    """Takes a map task's pairs and gives them back sorted, as pair-blocks by partition."""

    def __init__(
        self, job: Job, partitions: int, memory_bytes: int, directory: Path, position: Position
    ) -> None:
        self._partitions = partitions
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._position = position
        self._combine = combiner_of(job)
        self._lift = lift_of(job)
        self._choose = _chooser(job, partitions, position)
        self._gate = KeyGate("map")
        self._groups: dict[Any, list[Any]] = {}
        self._held_bytes = 0
        self._record_bytes = 64
        self._values_since_combining = 0
        self._spills: list[Path] = []

    def add(self, pairs: Iterator[Any]) -> None:
        """Take all pairs that an iterator yields. Raises BadRecord for what is no pair or key."""
        batch, batch_bytes = 16, min(BLOCK_BYTES, self._memory_bytes // 16)
        while True:
            groups_before = len(self._groups)
            last = self._take(islice(pairs, batch))
            if last is None:
                return
            self._account(last, batch, len(self._groups) - groups_before)
            self._position.watcher.tick()
            batch = max(1, min(BATCH_MAX, batch_bytes // self._record_bytes))

    def blocks(self) -> PartitionBlocks:
        """Yield all that was added; the groups are empty afterwards."""
        self._combine_groups()
        if not self._spills:
            yield from self._sorted_blocks()
        else:
            self._spill()
            yield from self._merged_blocks()

    def close(self) -> None:
        """Remove the spills, whether the task went well or not."""
        for path in self._spills:
            path.unlink(missing_ok=True)

    def _take(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        """Group some pairs and return the last one: the loop that every record goes through."""
        groups, lift = self._groups, self._lift
        find, fast_type = groups.get, self._gate.fast_type
        key = value = pair = None
        for pair in pairs:
            if type(pair) is not tuple:
                pair = as_pair(pair, "map")
            try:
                key, value = pair
            except ValueError:
                as_pair(pair, "map")  # raises: the tuple is too long or too short
            if type(key) is not fast_type:
                key = self._gate.admit(key)
                fast_type = self._gate.fast_type
            if lift is not None:
                value = lift(value)
            values = find(key)
            if values is not None:
                values.append(value)
            elif key != key:
                key_kind(key)  # raises: a NaN is equal to nothing, not even itself
            else:
                groups[key] = [value]
        return None if pair is None else (key, value)

    def _account(self, last: tuple[Any, Any], values: int, new_groups: int) -> None:
        """Take the last pair as typical of its batch; combine and spill when it is time."""
        key, value = last
        self._record_bytes = size_of(key) + size_of(value)
        self._held_bytes += values * (POINTER_BYTES + size_of(value))
        self._held_bytes += new_groups * (GROUP_BYTES + size_of(key))
        self._values_since_combining += values
        full = self._held_bytes > self._memory_bytes
        due = self._values_since_combining >= max(COMBINE_EVERY, len(self._groups))
        if full or due:
            self._combine_groups()
        if full and self._held_bytes > self._memory_bytes // 2:
            self._spill()

    def _combine_groups(self) -> None:
        """Shrink every group in place and estimate anew what is held."""
        combine, groups = self._combine, self._groups
        self._values_since_combining = 0
        if combine is None:
            return
        sampled_bytes = 0
        with self._position.during("combine"):
            for number, (key, values) in enumerate(groups.items()):
                if len(values) > 1:
                    self._position.key = key
                    values = groups[key] = combine(key, values)
                if number % SAMPLE_EVERY == 0:
                    sampled_bytes += GROUP_BYTES + size_of(key) + size_of(values)
        self._held_bytes = sampled_bytes * SAMPLE_EVERY

    def _spill(self) -> None:
        if self._groups:
            path = self._directory / f"spill-{len(self._spills):04}"
            write_map_output(path, self._partitions, self._sorted_blocks())
            self._spills.append(path)
        self._held_bytes = 0

    def _sorted_blocks(self) -> PartitionBlocks:
        """Yield what the groups hold, and empty them."""
        groups, self._groups = self._groups, {}
        by_partition: list[list[Any]] = [[] for _ in range(self._partitions)]
        with self._position.during("partition"):
            for key, partition in zip(groups, self._choose(list(groups)), strict=True):
                by_partition[partition].append(key)
        for partition, keys in enumerate(by_partition):
            keys.sort()
            sorted_groups = ((key, groups.pop(key)) for key in keys)
            for block in encode_groups(sorted_groups, self._records_per_block()):
                self._position.watcher.tick()
                yield partition, block

    def _merged_blocks(self) -> PartitionBlocks:
        """Yield what the spills hold, each partition merged and combined once more."""
        files = [MapOutputFile(path) for path in self._spills]
        for partition in range(self._partitions):
            merged = merge([file.read_segment(partition) for file in files], in_memory=False)
            for block in encode_groups(self._regroup(merged), self._records_per_block()):
                self._position.watcher.tick()
                yield partition, block

    def _regroup(self, groups: Iterable[Group]) -> Iterator[tuple[Any, list[Any]]]:
        """Yield the values of each key as lists: combined, or in pieces that fit a block."""
        for key, values in groups:
            if self._combine is None:
                while piece := list(islice(values, self._records_per_block())):
                    yield key, piece
            else:
                with self._position.during("combine"):
                    self._position.key = key
                    combined = self._combine(key, values)
                yield key, combined

    def _records_per_block(self) -> int:
        return max(1, min(RECORDS_MAX, BLOCK_BYTES // self._record_bytes))


def _chooser(job: Job, partitions: int, position: Position) -> Callable[[list[Any]], list[int]]:
    """Return what tells the partition of each of many keys."""
    if type(job).partition is Job.partition:
        return lambda keys: partitions_of(keys, partitions)

    def choose(keys: list[Any]) -> list[int]:
        chosen = []
        for key in keys:
            position.key = key
            chosen.append(checked_partition(job.partition(key, partitions), key, partitions))
        return chosen

    return choose
