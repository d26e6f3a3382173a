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
from minimr.errors import CorruptData
from minimr.job import Job
from minimr.runners.cluster import ROUND_INLINE_BYTES, collected
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


def reduced(job: Job, outputs: Sequence[Blob], partitions: int) -> list[tuple[Any, Any]] | None:
    """The pairs that a reduce task would yield; None if it would fail, or outputs are missing."""
    from minimr.shuffle.segments import read_segment_bytes
    from minimr.tasks.reduce_task import run_reduce

    if len(outputs) < partitions:
        return None
    fresh = type(job)(**job.options())
    segments = [read_segment_bytes(each.data) for each in outputs]
    try:
        result = run_reduce(fresh, ReduceTask(0), segments, in_memory=True)
    except (TaskFailed, CorruptData):
        return None
    assert result.pairs is not None
    return collected([Blob(result.pairs)])
