"""LabeledData in this process: arrays that are small enough to need no cluster.

A round is what the serial runner would make of it, without files in between: a job of its own for
each partition and one for the reduce, pairs grouped by key in the order of the partitions. So all
that asks a LabeledData a question, or trains on it with "sync", works here too. Gangs do not.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import minimr as mr
from ml.labeled_data import LabeledData
from ml.vectors import Matrix, Vector


class LocalDataset:
    """What a minimr Dataset is, over blocks in this process."""

    members_max = 1

    def __init__(self, blocks: Sequence[mr.Block]) -> None:
        self._blocks = blocks
        self.partitions = len(blocks)

    def round(self, job: mr.Job, state: Any = None) -> list[tuple[Any, Any]]:
        """One map and reduce, with `state` for every task."""
        values = defaultdict(list)
        for index, block in enumerate(self._blocks):
            for key, value in _task(job, index, state).map_block(block):
                values[key].append(value)
        reducer = _task(job, 0, state)
        return [pair for key in sorted(values) for pair in reducer.reduce(key, iter(values[key]))]

    def transform(self, job: mr.Job) -> "LocalDataset":
        """A new dataset: partition i is what `job.map_block` makes of partition i."""
        blocks = enumerate(self._blocks)
        return LocalDataset([_task(job, index, None).map_block(block) for index, block in blocks])

    def close(self) -> None:
        """There is nothing to give back."""


def local_data(X: Matrix, y: Vector) -> LabeledData:
    """Rows X (n, k) and labels y (n,) as one partition in this process; they are not copied."""
    dataset = LocalDataset([mr.Block({"X": X, "y": y})])
    return LabeledData(cast(mr.Dataset, dataset))


def _task(job: mr.Job, index: int, state: Any) -> Any:
    """A fresh job, as each task has one."""
    fresh = type(job)(**job.options())
    fresh.state, fresh.partition_index = state, index
    return fresh
