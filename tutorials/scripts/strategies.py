"""Every way of distributing one training, held against what it must give.

    python tutorials/scripts/strategies.py [--markdown]

A linear regression on the bundled diabetes data, and a small network on the same, for 30 steps, by
3 workers; for 100 that become shorter where gradients may be old. The oracles are a few lines of
numpy below, or `sync`, which equals them. A distance is the largest difference of a parameter,
unless the table says what is counted.

Exits with status 1 if a distance is larger than what is promised, and marks its row.
"""

import argparse
import sys
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

import minimr as mr
import ml
from ml.strategies import STRATEGIES

WORKERS, PARTITIONS, STEPS, STEP, NUMBERS = 3, 6, 30, 0.2, 1200
ORDER = list(STRATEGIES)
SETTINGS = {"step": STEP, "schedule": "constant", "iterations": STEPS}
SHORTER = {"schedule": "mllib", "iterations": 100}
"""For `ssp:4` and `async`: steps by old gradients overshoot, and a member that is left alone at the
end leads astray, unless they become short."""


@dataclass
class Row:
    """How far a strategy is from its oracle, and what is promised; None: nothing is."""

    strategy: str
    oracle: str
    distance: float
    at_most: float | None

    @property
    def broken(self) -> bool:
        """Whether it is further away than promised; one that is no number is."""
        return self.at_most is not None and not self.distance <= self.at_most

    @property
    def promised(self) -> str:
        said = "nothing" if self.at_most is None else f"{self.at_most:.2g}"
        return f"{said}, broken" if self.broken else said


def main(markdown: bool) -> int:
    events: list[dict[str, Any]] = []
    with mr.Cluster(workers=WORKERS, on_event=events.append) as cluster:
        data = ml.load_libsvm(ml.DIABETES, partitions=PARTITIONS, cluster=cluster)
        rows = [*beside_numpy(data), *beside_sync(data), *ring(data), *near_sync(data)]
    rows.append(Row("ssp:4", "how many clocks ahead of the slowest", clocks_ahead(events), 4))
    show(rows, markdown)
    return int(any(row.broken for row in rows))


def beside_numpy(data: ml.LabeledData) -> list[Row]:
    """`sync` and `average`, whose oracles are descents over all rows and over those of a shard."""
    X, y = data.to_arrays()
    A = np.column_stack([X, np.ones(len(y))])
    counts = data.partition_rows()
    shards = [slice(*cut) for cut in pairwise(accumulate(counts, initial=0))]
    solutions = [plain_numpy(A[shard], y[shard]) for shard in shards]
    average = np.average(solutions, axis=0, weights=counts)
    best = np.linalg.lstsq(A, y)[0]
    gap = loss(A, y, trained(data, "average").parameters) / loss(A, y, best) - 1
    return [
        Row("sync", "plain numpy", apart(data, "sync", plain_numpy(A, y)), 1e-12),
        Row("average", "weighted average of the shards", apart(data, "average", average), 1e-12),
        Row("average", "loss of least squares", gap, None),
    ]


def plain_numpy(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The descent, in one process, by hand."""
    w = np.zeros(A.shape[1])
    for _ in range(STEPS):
        w -= STEP * A.T @ (A @ w - y) / len(y)
    return w


def loss(A: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(np.mean((A @ w - y) ** 2) / 2)


def trained(data: ml.LabeledData, strategy: str, **more: Any) -> ml.Trained:
    return ml.train(ml.Linear(intercept=True), data, strategy, **SETTINGS | more)


def apart(data: ml.LabeledData, strategy: str, oracle: np.ndarray) -> float:
    return float(np.abs(trained(data, strategy).parameters - oracle).max())


def beside_sync(data: ml.LabeledData) -> list[Row]:
    """Those that promise its parameters: to the byte, or up to the rounding of another order."""
    oracle = trained(data, "sync").parameters
    promised = {"ssp:0": 0.0, "gram": 1e-9} | dict.fromkeys(
        ["allreduce", "local:1", "model_parallel"], 1e-12
    )
    rows = [Row(name, "sync", apart(data, name, oracle), most) for name, most in promised.items()]
    network = ml.MultilayerPerceptron((8, 4))
    whole, piped = (
        ml.train(network, data, name, **SETTINGS | {"step": 0.01}).parameters
        for name in ("sync", "pipeline")
    )
    rows.append(Row("pipeline", "sync, of a network", float(np.abs(whole - piped).max()), 1e-12))
    return rows


class Ring(mr.Job):
    """One all-reduce. Yields how many numbers a member sent, and the sum that it holds."""

    def gang(self, blocks: Any, members: mr.Members) -> Any:
        before = members.sent.array_bytes
        total = mr.all_reduce(members, np.random.default_rng(members.rank).normal(size=NUMBERS))
        yield members.rank, [(members.sent.array_bytes - before) // 8, total]


def ring(data: ml.LabeledData) -> list[Row]:
    """What travels around the ring of `allreduce`, and whether the replicas are the same bytes."""
    members = [value for _, value in data.dataset.gang(Ring())]
    size, first = len(members), members[0][1]
    too_many = max(abs(sent - 2 * (size - 1) * NUMBERS // size) for sent, _ in members)
    replicas = sum(total.tobytes() != first.tobytes() for _, total in members)
    return [
        Row("allreduce", "2 (K - 1) / K n numbers sent by each", too_many, 0),
        Row("allreduce", "replicas with other bytes", replicas, 0),
    ]


def near_sync(data: ml.LabeledData) -> list[Row]:
    """Those that take another path to nearly the same place: the gaps of their final losses."""
    settings: dict[str, dict[str, Any]] = {"ssp:4": SHORTER, "async": SHORTER, "local:8": {}}
    found = {name: trained(data, name, **more) for name, more in settings.items()}
    oracles = {name: trained(data, "sync", **more) for name, more in settings.items()}
    updates = WORKERS * SHORTER["iterations"]
    return [
        *(
            Row(name, "final loss of sync", final_gap(found[name], oracles[name]), 0.05)
            for name in settings
        ),
        Row("async", f"{updates} updates", abs(found["async"].updates - updates), 0),
    ]


def final_gap(one: ml.Trained, other: ml.Trained) -> float:
    return abs(one.loss_history[-1] / other.loss_history[-1] - 1)


def clocks_ahead(events: list[dict[str, Any]]) -> int:
    """The most that any read was ahead of the slowest member, as the event log tells it.

    Reads of `ssp:0` and `async` are among the events; the former never are ahead at all, and the
    latter say of themselves that they have no bound.
    """
    bound, most = None, 0
    for event in events:
        if event.get("what") == "parameter_server_started":
            bound = event["staleness"]
        if event.get("what") == "parameter_server_read" and bound is not None:
            most = max(most, event["clock"] - min(event["versions"]))
    return most


def show(rows: list[Row], markdown: bool) -> None:
    table = [("strategy", "beside", "distance", "promised")]
    table += [
        (row.strategy, row.oracle, f"{row.distance:.2g}", row.promised)
        for row in sorted(rows, key=lambda row: ORDER.index(row.strategy.partition(":")[0]))
    ]
    if markdown:
        table.insert(1, ("---",) * 4)
    for strategy, beside, distance, promised in table:
        if markdown:
            print(f"| {strategy} | {beside} | {distance} | {promised} |")
        else:
            print(f"{strategy:<16} {beside:<38} {distance:>8}  {promised}")


def wants_markdown() -> bool:
    """Whether the command line asks for that."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--markdown", action="store_true", help="print a table for a document")
    markdown: bool = parser.parse_args().markdown
    return markdown


if __name__ == "__main__":
    sys.exit(main(wants_markdown()))
