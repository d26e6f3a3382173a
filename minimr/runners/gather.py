"""Gather: a round whose pairs are reduced by its caller, and not by a reduce task.

The answer of a round goes to its caller, who makes the next state of it. Where one reduce task
would add up a few small vectors, sending these to a slot, and the sum from there by worker and
coordinator to the caller, is half of the way that messages take in a round. So the outputs of the
maps come to the caller, who reduces them by the code that a slot runs, in the order of the
partitions: the answer is the same to the last bit. Others do so, too: the action `reduce` of Spark
ends in the driver, MPI_Reduce at its root.

This runs no code of users at the caller, as little as at the coordinator: the reduce is one of
minimr's own aggregates. Whatever is out of the ordinary is done again by a reduce task: outputs
that are too large to be sent around, and errors, which a worker's slot retries and the log tells.
"""

from collections.abc import Sequence
from typing import Any

from minimr import aggregates
from minimr.cluster.wire import Blob
from minimr.errors import MinimrError
from minimr.job import Job, Pair
from minimr.runners.cluster import ROUND_INLINE_BYTES, collected
from minimr.shuffle import codec
from minimr.tasks.combine import reducer_of
from minimr.tasks.failure import TaskFailed
from minimr.tasks.spec import ReduceTask

PARTITIONS_MAX = 1_000
GATHERED_BYTES_MAX = 64 << 20


def suits(job: Job, partitions: int) -> bool:
    """Whether the reduce is minimr's own, and the outputs are not too many for one message."""
    own = type(job.reduce).__module__ == aggregates.__name__
    return own and job.reduce_block is None and partitions <= PARTITIONS_MAX


def inline_bytes(partitions: int) -> int:
    """How large a map's output may be to come to the caller."""
    return min(ROUND_INLINE_BYTES, GATHERED_BYTES_MAX // partitions)


def reduced(job: Job, outputs: Sequence[Blob], partitions: int) -> list[Pair] | None:
    """The pairs that a reduce task would yield; None if it would fail, or outputs are missing."""
    if len(outputs) < partitions:
        return None
    try:
        pairs = collected(outputs)
        return _one_group(job, pairs) if _have_one_key(pairs) else _groups(job, outputs)
    except (MinimrError, TaskFailed, ArithmeticError, Warning):
        return None  # A reduce task will meet it, too, and tell.


def _have_one_key(pairs: Sequence[Pair]) -> bool:
    first = pairs[0][0] if pairs else None
    return bool(pairs) and all(type(key) is type(first) and key == first for key, _ in pairs)


def _one_group(job: Job, pairs: Sequence[Pair]) -> list[Pair]:
    """What most rounds are: a sum for each partition, and nothing to sort or to merge."""
    made = list(reducer_of(job)(pairs[0][0], iter([value for _, value in pairs])))
    if all(_comes_back_as_it_is(value) for _, value in made):
        return made
    found: list[Pair] = codec.loads(codec.dumps(made))  # Of the types that all pairs come back as.
    return found


def _comes_back_as_it_is(value: Any) -> bool:
    """Whether it is a number of Python's or an array, as messages bring them."""
    return type(value) in (int, float) or getattr(value, "ndim", 0) > 0


def _groups(job: Job, outputs: Sequence[Blob]) -> list[Pair]:
    from minimr.shuffle.segments import read_segment_bytes
    from minimr.tasks.reduce_task import run_reduce

    fresh = type(job)(**job.options())
    segments = [read_segment_bytes(each.data) for each in outputs]
    result = run_reduce(fresh, ReduceTask(0), segments, in_memory=True)
    assert result.pairs is not None
    return collected([Blob(result.pairs)])
