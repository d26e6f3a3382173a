"""One attempt at a reduce task: merge its segments, reduce each key, write a part.

Only the part file is left, under the attempt's own name; whether it becomes *the* part is decided
elsewhere, by the commit. A collected result (a round's, or that of a job without an output
directory) goes back as encoded pairs instead.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minimr.aggregates import Aggregate
from minimr.counters import check_counters
from minimr.formats.committer import attempt_name
from minimr.formats.output import open_writer
from minimr.job import Job
from minimr.shuffle.merge import Group, merge
from minimr.shuffle.pairs import (
    BLOCK_BYTES,
    Pairs,
    StoredPairs,
    block_records,
    encode_columns,
    encode_pairs,
)
from minimr.shuffle.secondary_sort import one_call_each
from minimr.tasks.combine import reducer_of
from minimr.tasks.emitted import as_iterable, blocks_of, check_pair, checked_pairs
from minimr.tasks.failure import NO_KEY, Position, Reporting, position_of
from minimr.tasks.reduce_input import PAIR_BYTES, Passes, first, largest_block, loaded
from minimr.tasks.sizes import LARGE_BYTES
from minimr.tasks.skip import Skipper, skipper_of
from minimr.tasks.spec import ReduceResult, ReduceTask
from minimr.tasks.watcher import NOBODY, Pace, Watcher

COLUMNS_PAIRS_MIN = 1_000
"""Below that numpy's fixed costs are larger than what it saves."""
LOOK_SHARE = 16
"""The part of the memory that blocks may take which are only looked at."""


def run_reduce(
    job: Job,
    task: ReduceTask,
    segments: Sequence[Iterator[Pairs]],
    in_memory: bool,
    watcher: Watcher = NOBODY,
    directory: Path | None = None,
) -> ReduceResult:
    """Run a reduce task with a fresh job over its partition's segments, in order of map tasks.

    `in_memory` says whether all their pairs are expected to fit into the task's memory. If they do
    not and are many, merged runs go to `directory` (None: where Python puts temporary files).

    Raises TaskFailed for whatever goes wrong in user code or with its pairs, and MinimrError if a
    disk is full; CorruptData and InputLost from the segments pass. A failed attempt leaves no file.
    """
    position = position_of(f"reduce task {task.index}", task.careful, watcher)
    position.step, position.path = "reduce", f"reduce-{task.index}"
    job.partition_index = task.index
    with Reporting(job, position):
        segments = list(segments)
        runs = [_count(segment, position) for segment in segments]
        skipper = skipper_of(job, task, position)
        by_columns, runs = _goes_by_columns(job, skipper, runs, task.memory_bytes)
        if in_memory:
            pair_bytes = 0 if by_columns else PAIR_BYTES
            in_memory, runs = loaded(runs, task.memory_bytes, pair_bytes)
        with Passes(by_columns, task.memory_bytes, task.compress, directory, watcher) as passes:
            if not in_memory:
                runs = passes.few_enough(runs, largest_block(segments))
            made = _made(job, runs, in_memory, by_columns, position, skipper, task.memory_bytes)
            store = _write if task.output["kind"] == "files" else _collect
            result = store(job, task, made, position, by_columns)
        return result if skipper is None else replace(result, skipped=skipper.skipped)


def _made(
    job: Job,
    runs: list[Iterator[Pairs]],
    in_memory: bool,
    by_columns: bool,
    position: Position,
    skipper: Skipper | None,
    memory_bytes: int,
) -> Iterator[Any]:
    """Return what the job makes of the runs: (keys, values) columns, or (key, value) pairs."""
    if by_columns:
        from minimr.tasks.column_reduce import reduced_columns

        return reduced_columns(job, runs, in_memory, position, memory_bytes)
    groups = merge(runs, in_memory)
    if job.secondary_sort:
        groups = one_call_each(groups)
    return checked_pairs(_reduced(job, groups, position, skipper), "reduce")


def _count(segment: Iterator[Pairs], position: Position) -> Iterator[Pairs]:
    def counted(block: Pairs) -> Pairs:
        position.records += block.records if isinstance(block, StoredPairs) else len(block[0])
        position.watcher.tick()
        return block

    return map(counted, segment)  # A loop would hold each block until the next one is there.


def _goes_by_columns(
    job: Job, skipper: Skipper | None, segments: list[Iterator[Pairs]], memory_bytes: int
) -> tuple[bool, list[Iterator[Pairs]]]:
    """Tell whether to reduce by columns, to judge by the first blocks; return the segments whole.

    A job whose `reduce` has no vectorised form goes key by key, and so does one that skips bad
    groups. The answer does not depend on the way; it is not worth it where numpy is not loaded, or
    for a few pairs, such as the partial results of a round, or for few and large ones.
    """
    if skipper is not None or job.secondary_sort or not (job.reduce_block or _is_vectorised(job)):
        return False, segments
    if job.reduce_block is not None:
        return True, segments
    if "numpy" not in sys.modules:
        return False, segments
    whole = list(segments)
    pairs, left_bytes = 0, memory_bytes // LOOK_SHARE
    for number, segment in enumerate(segments):
        block = next(segment, None)
        if block is None:
            continue
        whole[number] = first(deque([block]), segment)
        if not (isinstance(block, StoredPairs) and block.has_typed_keys):
            return False, whole
        pairs += block.records
        left_bytes -= block.size_bytes
        if pairs >= COLUMNS_PAIRS_MIN:
            return True, whole
        if left_bytes < 0:
            return False, whole
    return False, whole


def _is_vectorised(job: Job) -> bool:
    return isinstance(job.reduce, Aggregate) or type(job).reduce is Job.reduce


def _reduced(
    job: Job, groups: Iterator[Group], position: Position, skipper: Skipper | None
) -> Iterator[Any]:
    """Yield what the job's `reduce` yields over the groups, unchecked."""
    reduce = reducer_of(job)
    if skipper is not None:
        reduce = skipper.guarded_reduce(reduce)
    pace, due = Pace(position.watcher), 1
    for count, (key, values) in enumerate(groups, 1):
        position.key = key
        yield from as_iterable(reduce(key, values), "reduce")
        if count == due:
            due = pace.next(count)


def _write(
    job: Job, task: ReduceTask, made: Iterator[Any], position: Position, by_columns: bool
) -> ReduceResult:
    """Write (key, value) pairs, or (keys, values) columns, as a part file."""
    path = Path(task.output["directory"]) / attempt_name(task.index, task.attempt)
    with open_writer(task.output["format"], path) as writer:
        if by_columns:
            for columns in made:
                writer.write_columns(*columns)
                del columns  # the next ones need the room
        else:
            pace, count, due = Pace(position.watcher), 0, 1
            for key, value in made:  # enumerate would hold a pair until the next one is there.
                if writer.write(key, value) > LARGE_BYTES:
                    check_pair(key, value, task.memory_bytes)
                del key, value
                count += 1  # noqa: SIM113
                if count == due:
                    due = pace.next(count)
        counters = check_counters(job.counters)
        part = writer.close()
    return ReduceResult(
        part=part,
        pairs=None,
        records_in=position.records,
        records_out=part.records,
        bytes_out=part.bytes,
        counters=counters,
    )


def _collect(
    job: Job, task: ReduceTask, made: Iterator[Any], position: Position, by_columns: bool
) -> ReduceResult:
    """Encode (key, value) pairs, or (keys, values) columns, as pair-blocks."""
    if by_columns:
        blocks = [encode_columns(*each) for each in made]
    else:
        blocks = [_encoded(*each, task, position) for each in blocks_of(made)]
    data = b"".join(blocks)
    return ReduceResult(
        part=None,
        pairs=data,
        records_in=position.records,
        records_out=sum(map(block_records, blocks)),
        bytes_out=len(data),
        counters=check_counters(job.counters),
    )


def _encoded(keys: list[Any], values: list[Any], task: ReduceTask, position: Position) -> bytes:
    """Encode a block's pairs. Raises BadRecord if one is too large; the block then is, too."""
    block = encode_pairs(keys, values)
    if len(block) > BLOCK_BYTES:
        position.key = NO_KEY  # the last key's: others may be meant
        for key, value in zip(keys, values, strict=True):
            check_pair(key, value, task.memory_bytes)
    return block
