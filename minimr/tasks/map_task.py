"""One attempt at a map task: read a split, map, and leave one output of R segments.

The output is the task's only effect, and it depends on the split and the job alone; so an attempt
may be thrown away and made again anywhere (OSDI 2004, section 3.3). A small output stays in memory
and rides inside the completion message, for a round of an iterative job must not touch the disk.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimr.block import Pairs
from minimr.counters import check_counters
from minimr.job import Job
from minimr.shuffle.compression import NONE, Compressing
from minimr.shuffle.digest import segments_digest
from minimr.shuffle.pairs import block_records, encode_pairs
from minimr.shuffle.segments import write_map_output
from minimr.tasks.collector import Collector, PartitionBlocks
from minimr.tasks.emitted import checked_pairs
from minimr.tasks.failure import Position, Reporting, position_of
from minimr.tasks.keep import keep
from minimr.tasks.reduce_input import first
from minimr.tasks.sizes import is_large
from minimr.tasks.skip import skipper_of
from minimr.tasks.source import emitted, open_source
from minimr.tasks.spec import MapResult, MapTask
from minimr.tasks.watcher import NOBODY, Watcher

if TYPE_CHECKING:
    from minimr.tasks.column_collector import ColumnCollector

OUTPUT_NAME = "map-output"
RAW_COUNTER, STORED_COUNTER = "map output bytes before compression", "map output bytes stored"


def run_map(job: Job, task: MapTask, directory: Path, watcher: Watcher = NOBODY) -> MapResult:
    """Run a map task with a fresh job; spills and the output go to `directory`, which exists.

    Raises TaskFailed for whatever goes wrong in user code or with its records, CorruptData if a
    resident partition cannot be read (it must then be made again), and MinimrError if an input
    cannot be read or a disk is full.
    """
    position = position_of(f"map task {task.index}", task.careful, watcher)
    with Reporting(job, position):
        source = open_source(job, task, position)
        if task.keep is not None:
            return keep(job, source, Path(task.keep), position)
        skipper = skipper_of(job, task, position)
        yielded = emitted(job, source, position, skipper)
        if task.partitions == 1 and task.input["kind"] == "resident" and _leaves_pairs_alone(job):
            looked_at = deque(islice(yielded, 2))
            if _is_small_pair(looked_at):
                [(key, value)] = checked_pairs(looked_at, "map")
                block = encode_pairs([key], [value])
                return _store(job, task, iter([(0, block)]), directory, position)
            yielded = first(looked_at, yielded)
        collector_type, yielded = _collector_for(yielded)
        collector = collector_type(
            job,
            task.partitions,
            task.memory_bytes,
            directory,
            position,
            task.boundaries,
            task.compress,
        )
        with closing(collector):
            collector.add(yielded)
            store = _store if task.compress == NONE else _store_compressed
            result = store(job, task, collector.blocks(), directory, position)
            if hot := collector.hot.found():
                result = replace(result, hot=hot)
            return result if skipper is None else replace(result, skipped=skipper.skipped)


def _leaves_pairs_alone(job: Job) -> bool:
    """Whether a pair of this job's `map_block` is stored as it is, if it is the only one."""
    plain = job.combine is None and type(job).partition is Job.partition and not job.secondary_sort
    return plain and job.map_block is not None


def _is_small_pair(yielded: "deque[Any]") -> bool:
    """Whether this is a single pair: most rounds give one, with nothing to group or to sort."""
    return len(yielded) == 1 and type(yielded[0]) is tuple and not any(map(is_large, yielded[0]))


def _collector_for(
    yielded: Iterator[Any],
) -> "tuple[type[Collector | ColumnCollector], Iterator[Any]]":
    """Return what collects pairs, or Pairs, to judge by the first; and all that is to be collected.

    Should the other kind follow, it is an error in either. numpy is loaded for Pairs alone.
    """
    looked_at = deque(islice(yielded, 1))
    are_pairs = any(isinstance(each, Pairs) for each in looked_at)
    everything = first(looked_at, yielded)
    if not are_pairs:
        return Collector, everything
    from minimr.tasks.column_collector import ColumnCollector

    return ColumnCollector, everything


def _store(
    job: Job, task: MapTask, blocks: PartitionBlocks, directory: Path, position: Position
) -> MapResult:
    """Hold the blocks as long as they are few; write a file once they are too many."""
    held: deque[tuple[int, bytes]] = deque()
    held_bytes = 0
    for item in blocks:
        held.append(item)
        held_bytes += len(item[1])
        if held_bytes > task.inline_bytes:
            del item
            everything = first(held, blocks)
            return _store_in_file(job, task, everything, directory / OUTPUT_NAME, position)
    segments = [b""] * task.partitions
    for partition, block in held:
        segments[partition] += block
    parts = ((len(each), zlib.crc32(each)) for each in segments)
    return MapResult(
        path=None,
        segments=segments,
        segment_bytes=[len(segment) for segment in segments],
        records_in=position.records,
        records_out=sum(block_records(block) for _, block in held),
        bytes_out=held_bytes,
        counters=check_counters(job.counters),
        digest=segments_digest(parts) if task.digest else None,
    )


def _store_compressed(
    job: Job, task: MapTask, blocks: PartitionBlocks, directory: Path, position: Position
) -> MapResult:
    """Store the blocks compressed; count what that saves.

    The digest is that of the pairs: a compressor of another version gives other bytes.
    """
    compressing = Compressing(task.compress)
    result = _store(job, task, compressing.blocks(blocks), directory, position)
    job.count(RAW_COUNTER, compressing.raw_bytes)
    job.count(STORED_COUNTER, compressing.stored_bytes)
    if result.digest is None:
        return result
    return replace(result, digest=segments_digest(compressing.segments(task.partitions)))


def _store_in_file(
    job: Job, task: MapTask, blocks: PartitionBlocks, path: Path, position: Position
) -> MapResult:
    index = write_map_output(path, task.partitions, blocks)
    return MapResult(
        path=str(path),
        segments=None,
        segment_bytes=[segment.length for segment in index.segments],
        records_in=position.records,
        records_out=index.records,
        bytes_out=index.size_bytes,
        counters=check_counters(job.counters),
        digest=segments_digest((each.length, each.crc) for each in index.segments),
    )
