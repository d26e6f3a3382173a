"""The map side of the shuffle: group, combine, spill, store (OSDI 2004, sections 3.1 and 4.3).

Emitted pairs are held by key, values in order of emission, or only their aggregate's state (see
held.py). When they outgrow their memory they are spilled: as a run sorted by partition and key, in
the same file format as the final output. At the end the runs are merged, in several passes if they
are many. Without spills nothing but the final sort of the distinct keys remains to be done.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from minimr.aggregates import Aggregate
from minimr.job import Job
from minimr.shuffle.compression import NONE, compressed
from minimr.shuffle.hot_keys import HotKeys
from minimr.shuffle.merge import Group, merge
from minimr.shuffle.pairs import BLOCK_BYTES, RECORDS_MAX, encode_groups
from minimr.shuffle.partition import checked_partition, partitions_of
from minimr.shuffle.passes import block_bytes_for, check_size, fan_in_for, next_pass
from minimr.shuffle.range_partition import range_partitions
from minimr.shuffle.secondary_sort import by_group
from minimr.shuffle.segments import MapOutputFile, write_map_output
from minimr.tasks.combine import combiner_of
from minimr.tasks.emitted import KeyGate, measured
from minimr.tasks.failure import Position
from minimr.tasks.held import held_for
from minimr.tasks.sizes import is_large, size_of

COMBINE_EVERY = 100_000
"""Values emitted between two runs of the combiner, at least."""
BATCH_MAX = 256
"""Pairs taken in between two looks at the memory."""
PARTITION_AT_ONCE = 65_536
"""Keys that are partitioned by one call."""

PartitionBlocks = Iterator[tuple[int, bytes]]
"""Pair-blocks with their partition, in increasing order of partition, then of key."""


class Collector:
    """Takes a map task's pairs and gives them back sorted, as pair-blocks by partition."""

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
        self._job = job
        self._partitions = partitions
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._compress = compress
        self._block_bytes = block_bytes_for(memory_bytes)
        self._position = position
        self._combine = combiner_of(job)
        self._choose = _chooser(job, partitions, position, boundaries)
        if job.secondary_sort:
            self._choose = by_group(self._choose)
        self._gate = KeyGate("map", secondary_sort=job.secondary_sort)
        self._held = held_for(job, self._gate, position, first=not job.splits_hot_keys)
        self._record_bytes = 64
        self._largest_bytes = 0
        self._values_since_combining = 0
        self._spills: list[Path] = []
        self._spills_made = 0
        self._exact = True
        self.hot = HotKeys(by_group=job.secondary_sort)

    def add(self, pairs: Iterator[Any]) -> None:
        """Take all pairs that an iterator yields. Raises BadRecord for what is no pair or key."""
        batch, batch_bytes = 1, min(BLOCK_BYTES, self._memory_bytes // 16)
        while True:
            last = self._held.take(islice(pairs, batch), batch)
            if last is None:
                return
            self._look(last, batch)
            del last  # the next one needs the room
            self._position.watcher.tick()
            batch = max(1, min(BATCH_MAX, batch_bytes // self._record_bytes))

    def blocks(self) -> PartitionBlocks:
        """Yield all that was added; nothing is held afterwards."""
        self._held.shrink(self._exact)
        if not self._spills:
            yield from self._sorted_blocks()
            return
        self._spill()
        yield from self._merged_blocks(self._few_enough(), last=True)

    def close(self) -> None:
        """Remove the spills, whether the task went well or not."""
        for path in self._spills:
            path.unlink(missing_ok=True)

    def _look(self, last: tuple[Any, Any], values: int) -> None:
        """Take the last pair as typical of its batch; combine and spill when it is time.

        Sizes that have become smaller are believed little by little.
        """
        if not (is_large(last[0]) or is_large(last[1])):
            last_bytes = size_of(last[0]) + size_of(last[1])
            self._record_bytes = max(1, last_bytes, self._record_bytes * 7 // 8)
        self._largest_bytes = max(self._largest_bytes, self._held.largest_bytes)
        check_size(last[0], self._largest_bytes, self._memory_bytes)
        self._values_since_combining += values
        most_bytes = self._memory_bytes - self._largest_bytes  # there may be one more like it
        full = self._held.size_bytes > max(most_bytes, self._memory_bytes // 2)
        if full or self._values_since_combining >= max(COMBINE_EVERY, len(self._held)):
            self._held.shrink(self._exact)
            self._values_since_combining = 0
        if full and self._held.size_bytes > self._memory_bytes // 2:
            self._spill()

    def _spill(self) -> None:
        if len(self._held):
            self._exact = self._exact and self._held.is_exact()
            self._write_spill(self._sorted_blocks())
            self._held = held_for(self._job, self._gate, self._position, first=False)

    def _write_spill(self, blocks: PartitionBlocks) -> Path:
        path = self._directory / f"spill-{self._spills_made:04}"
        write_map_output(path, self._partitions, compressed(blocks, self._compress))
        self._spills_made += 1
        self._spills.append(path)
        return path

    def _sorted_blocks(self) -> PartitionBlocks:
        """Yield what is held, and hold nothing."""
        held = self._held
        for partition, keys in enumerate(self._by_partition(held.keys())):
            keys.sort()
            groups: Iterator[tuple[Any, list[Any]]] = ((key, held.pop(key)) for key in keys)
            if self._combine is None:
                groups = self.hot.counting(groups)
            yield from self._ticking(partition, groups)

    def _ticking(self, partition: int, groups: Iterable[tuple[Any, list[Any]]]) -> PartitionBlocks:
        for block in self._encoded(groups):
            self._position.watcher.tick()
            yield partition, block
            del block  # the next one needs the room

    def _by_partition(self, keys: Iterable[Any]) -> list[list[Any]]:
        if self._partitions == 1 and type(self._job).partition is Job.partition:
            return [list(keys)]
        by_partition: list[list[Any]] = [[] for _ in range(self._partitions)]
        rest = iter(keys)
        with self._position.during("partition"):
            while some := list(islice(rest, PARTITION_AT_ONCE)):
                for key, partition in zip(some, self._choose(some), strict=True):
                    by_partition[partition].append(key)
        return by_partition

    def _few_enough(self) -> list[Path]:
        """Merge neighbouring spills into longer ones until one merge can take them all."""
        fan_in = fan_in_for(self._memory_bytes, max(self._block_bytes, self._largest()))
        runs = list(self._spills)
        while len(runs) > fan_in:
            groups = next_pass(len(runs), fan_in)
            runs = [self._one_run(runs[group.start : group.stop]) for group in groups]
        return runs

    def _one_run(self, runs: list[Path]) -> Path:
        if len(runs) == 1:
            return runs[0]
        merged = self._write_spill(self._merged_blocks(runs, last=False))
        for run in runs:
            run.unlink()
            self._spills.remove(run)
        return merged

    def _merged_blocks(self, runs: list[Path], *, last: bool) -> PartitionBlocks:
        """Yield what the runs hold, each partition merged and combined once more."""
        files = [MapOutputFile(path) for path in runs]
        for partition in range(self._partitions):
            merged = merge([file.read_segment(partition) for file in files], in_memory=False)
            anyhow = last and not self._job.splits_hot_keys
            groups = self._combined(merged) if anyhow else self._shrunk(merged)
            yield from self._ticking(partition, groups)

    def _combined(self, groups: Iterable[Group]) -> Iterator[tuple[Any, list[Any]]]:
        """Yield the values of each key as lists: combined, or in pieces that fit a block."""
        if self._combine is None:
            yield from self._pieces(groups)
            return
        for key, values in groups:
            with self._position.during("combine"):
                self._position.key = key
                combined = self._combine(key, values)
            yield key, combined

    def _shrunk(self, groups: Iterable[Group]) -> Iterator[tuple[Any, list[Any]]]:
        """Yield the same, combined only where it leaves no trace."""
        aggregate = self._job.combine
        if not isinstance(aggregate, Aggregate):
            yield from self._combined(groups)
            return
        for key, piece in self._pieces(groups):
            yield key, aggregate.merge(key, piece) if self._exact else piece

    def _pieces(self, groups: Iterable[Group]) -> Iterator[tuple[Any, list[Any]]]:
        for key, values in groups:
            while piece := list(islice(values, self._records_per_block())):
                yield key, piece

    def _encoded(self, groups: Iterable[tuple[Any, list[Any]]]) -> Iterator[bytes]:
        if self._largest_bytes:
            return measured(groups, self._block_bytes)
        return encode_groups(groups, self._records_per_block())

    def _largest(self) -> int:
        return max(self._largest_bytes, self._record_bytes)

    def _records_per_block(self) -> int:
        return max(1, min(RECORDS_MAX, self._block_bytes // self._largest()))


def _chooser(
    job: Job, partitions: int, position: Position, boundaries: list[Any] | None
) -> Callable[[list[Any]], list[int]]:
    """Return what tells the partition of each of many keys."""
    if boundaries is not None:
        return lambda keys: range_partitions(keys, boundaries)
    if type(job).partition is Job.partition:
        return lambda keys: partitions_of(keys, partitions)

    def choose(keys: list[Any]) -> list[int]:
        chosen = []
        for key in keys:
            position.key = key
            chosen.append(checked_partition(job.partition(key, partitions), key, partitions))
        return chosen

    return choose
