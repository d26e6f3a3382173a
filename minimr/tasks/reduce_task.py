"""One attempt at a reduce task: merge its segments, reduce each key, write a part.

Only the part file is left, under the attempt's own name; whether it becomes *the* part is decided
elsewhere, by the commit. A collected result (a round's, or that of a job without an output
directory) goes back as encoded pairs instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minimr.formats.committer import attempt_name
from minimr.formats.output import open_writer
from minimr.job import Job, Pair
from minimr.shuffle.merge import Group, merge
from minimr.shuffle.pairs import Pairs, block_records
from minimr.tasks.combine import reducer_of
from minimr.tasks.emitted import as_iterable, checked_pairs, encoded
from minimr.tasks.failure import Position, position_of, reporting
from minimr.tasks.skip import Skipper, skipper_of
from minimr.tasks.spec import ReduceResult, ReduceTask
from minimr.tasks.watcher import NOBODY, Pace, Watcher


def run_reduce(
    job: Job,
    task: ReduceTask,
    segments: Sequence[Iterator[Pairs]],
    in_memory: bool,
    watcher: Watcher = NOBODY,
) -> ReduceResult:
    """Run a reduce task with a fresh job over its partition's segments, in order of map tasks.

    Raises TaskFailed for whatever goes wrong in user code or with its pairs, and MinimrError if a
    disk is full; CorruptData and InputLost from the segments pass. A failed attempt leaves no file.
    """
    position = position_of(f"reduce task {task.index}", task.careful, watcher)
    position.step, position.path = "reduce", f"reduce-{task.index}"
    job.partition_index = task.index
    with reporting(job, position):
        counted = [_count(segment, position) for segment in segments]
        skipper = skipper_of(job, task, position)
        reduced = _reduced(job, merge(counted, in_memory), position, skipper)
        pairs = checked_pairs(reduced, "reduce")
        store = _write if task.output["kind"] == "files" else _collect
        result = store(job, task, pairs, position)
        return result if skipper is None else replace(result, skipped=skipper.skipped)


def _count(segment: Iterator[Pairs], position: Position) -> Iterator[Pairs]:
    for block in segment:
        position.records += len(block[0])
        position.watcher.tick()
        yield block


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


def _write(job: Job, task: ReduceTask, pairs: Iterator[Pair], position: Position) -> ReduceResult:
    path = Path(task.output["directory"]) / attempt_name(task.index, task.attempt)
    with open_writer(task.output["format"], path) as writer:
        pace, due = Pace(position.watcher), 1
        for count, (key, value) in enumerate(pairs, 1):
            writer.write(key, value)
            if count == due:
                due = pace.next(count)
        part = writer.close()
    return ReduceResult(
        part=part,
        pairs=None,
        records_in=position.records,
        records_out=part.records,
        bytes_out=part.bytes,
        counters=job.counters,
    )


def _collect(
    job: Job, _task: ReduceTask, pairs: Iterator[Pair], position: Position
) -> ReduceResult:
    blocks = list(encoded(pairs))
    data = b"".join(blocks)
    return ReduceResult(
        part=None,
        pairs=data,
        records_in=position.records,
        records_out=sum(map(block_records, blocks)),
        bytes_out=len(data),
        counters=job.counters,
    )
