"""Every way of distributing one training, each beside the answer that it must give.

    python tutorials/scripts/strategies.py [--markdown]

Two problems: a linear regression on the bundled diabetes data, and a small network on the same.
Those that promise the answer of `sync` are measured in parameters, the largest difference; those
that take another path are measured in the loss where they end.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import minimr as mr
import ml
from ml.comparison import alone

SETTINGS = {"step": 0.2, "schedule": "constant", "iterations": 30}
EQUAL = ("ssp:0", "allreduce", "local:1", "model_parallel")
NEAR = ("ssp:3", "async", "local:5", "average")


def main(markdown: bool) -> None:
    with mr.Cluster(workers=3) as cluster:
        data = ml.load_libsvm(ml.DIABETES, partitions=6, cluster=cluster)
        linear = Runs(ml.Linear(intercept=True), data, SETTINGS)
        network = Runs(ml.MultilayerPerceptron((8, 4)), data, SETTINGS | {"step": 0.01})
        rows = [
            ("sync", "one process", linear.distance("sync", alone)),
            *((name, "sync", linear.distance(name, "sync")) for name in EQUAL),
            ("pipeline", "sync, of a network", network.distance("pipeline", "sync")),
            *((name, "final loss of sync", linear.loss_gap(name, "sync")) for name in NEAR),
        ]
    show(rows, markdown)


@dataclass
class Runs:
    """A problem, and its trainings by one strategy and another."""

    model: Any
    data: ml.LabeledData
    settings: dict[str, Any]

    def trained(self, strategy: Any) -> ml.Trained:
        return ml.train(self.model, self.data, strategy, **self.settings)

    def distance(self, strategy: Any, beside: Any) -> str:
        gaps = self.trained(strategy).parameters - self.trained(beside).parameters
        return f"{np.abs(gaps).max():.1e}"

    def loss_gap(self, strategy: Any, beside: Any) -> str:
        losses = [self.trained(each).loss_history[-1] for each in (strategy, beside)]
        return f"{losses[0] / losses[1] - 1:+.2%}"


def show(rows: list[tuple[str, str, str]], markdown: bool) -> None:
    head = ("strategy", "beside", "distance")
    if markdown:
        for row in (head, ("---",) * 3, *rows):
            print("| " + " | ".join(row) + " |")
        return
    for row in (head, *rows):
        print(f"{row[0]:<16} {row[1]:<20} {row[2]:>10}")


main("--markdown" in sys.argv)
