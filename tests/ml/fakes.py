"""A cluster in one process: the same calls as minimr.Cluster and minimr.Dataset, and no more.

Partitions are cut as the real one cuts them; state, options and values pass through the real codec,
so a test sees the types that a job sees behind a wire.
"""

from collections import defaultdict
from typing import Any

import numpy as np

import minimr as mr
from minimr.formats.libsvm import read_libsvm
from minimr.formats.splits import plan_splits
from minimr.shuffle.codec import dumps, loads
from ml.labeled_data import LabeledData


class FakeDataset:
    def __init__(self, blocks: list[mr.Block]) -> None:
        self.blocks = blocks
        self.rounds = 0

    @property
    def partitions(self) -> int:
        return len(self.blocks)

    def round(self, job: mr.Job, state: Any = None, reducers: int = 1) -> list[tuple[Any, Any]]:
        assert reducers == 1
        self.rounds += 1
        values = defaultdict(list)
        for index, block in enumerate(self.blocks):
            for key, value in attempt(job, index, state).map_block(block):
                values[key].append(loads(dumps(value)))
        reducer = attempt(job, 0, state)
        pairs = (pair for key in sorted(values) for pair in reducer.reduce(key, iter(values[key])))
        return [loads(dumps(pair)) for pair in pairs]

    def transform(self, job: mr.Job) -> "FakeDataset":
        blocks = enumerate(self.blocks)
        return FakeDataset([attempt(job, index, None).map_block(block) for index, block in blocks])

    def close(self) -> None:
        pass


class FakeCluster:
    def load(self, path: str, format: str, partitions: int) -> FakeDataset:
        assert format == "libsvm"
        splits = plan_splits([path], split_bytes=1 << 40, minimum=partitions)
        return FakeDataset([read_libsvm(split) for split in splits])

    def close(self) -> None:
        pass


def attempt(job: mr.Job, index: int, state: Any) -> Any:
    """A fresh job, as each task makes one from the class and the options."""
    fresh = type(job)(**loads(dumps(job.options())))
    fresh.state = loads(dumps(state))
    fresh.partition_index = index
    return fresh


def labeled_data(*parts: tuple[Any, Any]) -> LabeledData:
    """LabeledData with one partition for each pair (X, labels)."""
    blocks = [
        mr.Block({"X": np.array(X, dtype=np.float64), "y": np.array(labels, dtype=np.float64)})
        for X, labels in parts
    ]
    return LabeledData(FakeDataset(blocks))
