"""The reduce half by columns: Groups for `reduce_block`, vectorised aggregates, plain sorting.

A job that gives `reduce_block` wants columns whatever its map yielded. A job whose reducer is a
named aggregate, or the default, is reduced by columns if its keys came as columns; the result is
the same as key by key. Everything else goes key by key (reduce_task.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from minimr.aggregates import Aggregate
from minimr.block import Pairs
from minimr.errors import BadRecord
from minimr.job import Job
from minimr.keys import preview
from minimr.shuffle.column_folds import Fold
from minimr.shuffle.columns import (
    Column,
    as_keys,
    columns_of,
    concat,
    cut,
    example,
    is_array,
    item,
    items,
    starts,
    take,
)  # fmt: skip
from minimr.shuffle.groups import LongGroup, whole_groups
from minimr.shuffle.merge_columns import Chunk, KeysAndValues, merge_columns
from minimr.shuffle.pairs import StoredPairs
from minimr.tasks.column_sizes import check_pairs
from minimr.tasks.combine import reducer_of
from minimr.tasks.emitted import KeyGate, as_iterable, checked_pairs
from minimr.tasks.failure import NO_KEY, Position

Chunks = Iterator[Chunk]
Run = Iterator[KeysAndValues]
BATCH_PAIRS = 4096
"""Single pairs that become a column together."""
PIECE_BYTES = 1 << 20
"""What only passes through goes in pieces that the processor's cache holds."""


def reduced_columns(
    job: Job,
    segments: Sequence[Iterable[Any]],
    in_memory: bool,
    position: Position,
    memory_bytes: int,
) -> Iterator[KeysAndValues]:
    """Yield the keys and values that the job makes of a partition's segments, in map order."""
    piece_bytes = PIECE_BYTES if _changes_nothing(job) else None
    runs = [map(as_columns, segment) for segment in segments]
    chunks = merge_columns(runs, in_memory, piece_bytes)
    gate = KeyGate("reduce")
    for keys, values in _reduced(job, chunks, position, memory_bytes):
        position.watcher.tick()
        if len(keys):
            gate.admit(example(keys))
            check_pairs(keys, values, memory_bytes)
            yield keys, values
        del keys, values  # the next ones need the room


def _changes_nothing(job: Job) -> bool:
    return job.reduce_block is None and type(job).reduce is Job.reduce


def as_columns(block: Any) -> KeysAndValues:
    """Return the keys and the values of a block that was read or made by hand."""
    return block.columns() if isinstance(block, StoredPairs) else (block[0], block[1])


def _reduced(
    job: Job, chunks: Chunks, position: Position, memory_bytes: int
) -> Iterator[KeysAndValues]:
    reducer: Any = job.reduce
    if job.reduce_block is not None:
        return _by_block(job, chunks, position, memory_bytes)
    if isinstance(reducer, Aggregate):
        return _folded(Fold(reducer.merge, reducer), chunks, lifted=reducer == job.combine)
    return _unchanged(chunks)


def _folded(fold: Fold, chunks: Chunks, lifted: bool) -> Iterator[KeysAndValues]:
    if not lifted:
        chunks = (Chunk(each.keys, fold.lift(each.values), each.open) for each in chunks)
    for keys, states in fold.chunks(chunks):
        yield fold.finish(keys, states)


def _unchanged(chunks: Chunks) -> Iterator[KeysAndValues]:
    """The default reduce: each pair as it came, with the first of equal keys (0.0 and -0.0)."""
    last: Column | None = None
    for chunk in chunks:
        keys = chunk.keys
        if isinstance(keys, list) or is_array(keys, np.float64):
            keys = _firsts_repeated(keys, last)
            last = cut(keys, len(keys) - 1, len(keys))
        yield keys, chunk.values
        del keys, chunk  # the next ones need the room


def _firsts_repeated(keys: Column, last: Column | None) -> Column:
    joined = keys if last is None else concat([last, keys])
    begins = starts(joined)
    repeated = take(joined, np.repeat(begins, np.diff(begins, append=len(joined))))
    return cut(repeated, len(joined) - len(keys), len(joined))


def _by_block(
    job: Job, chunks: Chunks, position: Position, memory_bytes: int
) -> Iterator[KeysAndValues]:
    """Yield what `reduce_block` yields, called with whole groups, many at once."""
    assert job.reduce_block is not None
    for groups in whole_groups(chunks, memory_bytes):
        if isinstance(groups, LongGroup):
            position.key = item(groups.keys, 0)
            yield from _one_by_one(job, groups, memory_bytes)
            position.key = NO_KEY
        else:
            made = job.reduce_block(groups)
            del groups
            for pairs in [made] if isinstance(made, Pairs) else as_iterable(made, "reduce_block"):
                yield _checked(pairs)
            made = pairs = None  # the next ones need the room


def _checked(pairs: Any) -> KeysAndValues:
    if not isinstance(pairs, Pairs):
        raise BadRecord(f"reduce_block yielded {preview(pairs)}; it must yield or return Pairs.")
    return columns_of(pairs)


def _one_by_one(job: Job, group: LongGroup, memory_bytes: int) -> Iterator[KeysAndValues]:
    """Reduce a group that is larger than the memory by the job's `reduce`."""
    key = item(group.keys, 0)
    if type(job).reduce is Job.reduce:
        raise BadRecord(
            f"The values of the key {preview(key)} take more than the task's memory of "
            f"{memory_bytes >> 20} MiB. Give the job a reduce(key, values) beside reduce_block, "
            "which gets them one by one, or allow more memory."
        )
    values = chain.from_iterable(map(items, group.pieces))
    pairs = checked_pairs(as_iterable(reducer_of(job)(key, values), "reduce"), "reduce")
    while batch := list(islice(pairs, BATCH_PAIRS)):
        keys, results = zip(*batch, strict=True)
        yield as_keys(list(keys)), list(results)
