"""A cluster in one process: the same calls as minimr.Cluster and minimr.Dataset, and no more.

Partitions are cut as the real one cuts them; state, options and values pass through the real codec,
so a test sees the types that a job sees behind a wire.
"""

from collections import defaultdict
from typing import Any

import numpy as np

import minimr as mr
from minimr.formats import input_format
from minimr.formats.splits import plan_splits
from minimr.gang.in_process import Dies, InProcessGang
from minimr.gang.members import Traffic
from minimr.shuffle.codec import dumps, loads
from minimr.tasks.resident import is_turned
from ml.labeled_data import LabeledData


def resident(block: mr.Block) -> mr.Block:
    """As it lies at a worker: short rows column by column, which sums notice in their last bits."""
    columns = block.columns.items()
    turned = {name: np.asfortranarray(each) for name, each in columns if is_turned(each)}
    return mr.Block(block.columns | turned)


class FakeDataset:
    def __init__(self, blocks: list[mr.Block]) -> None:
        self.blocks = [resident(block) for block in blocks]
        self.rounds = 0
        self.members_max = min(3, len(blocks))
        self.dies: Dies = lambda _rank, _epoch, _number: False
        self.notes: list[dict[str, Any]] = []
        self.sent: list[Traffic] = []

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

    def gang(
        self, job: mr.Job, state: Any = None, members: int | None = None, restart: Any = "all"
    ) -> list[tuple[Any, Any]]:
        gang = InProcessGang(members or self.members_max, restart, self.dies)
        owned = list(enumerate(self.blocks))

        def program(me: mr.Members) -> list[tuple[Any, Any]]:
            first, end = (each * len(owned) // me.size for each in (me.rank, me.rank + 1))
            member = attempt(job, 0, state)
            return [loads(dumps(pair)) for pair in member.gang(owned[first:end], me)]

        pairs = gang.run(program)
        self.sent = [each.sent for each in gang.members]
        self.notes = gang.notes
        return [pair for each in pairs for pair in each]

    def transform(self, job: mr.Job) -> "FakeDataset":
        blocks = enumerate(self.blocks)
        return FakeDataset([attempt(job, index, None).map_block(block) for index, block in blocks])

    def close(self) -> None:
        pass


class FakeCluster:
    def load(self, path: str, format: str, partitions: int) -> FakeDataset:
        splits = plan_splits([path], split_bytes=1 << 40, minimum=partitions)
        return FakeDataset([input_format(format).read_blocks(split) for split in splits])

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
