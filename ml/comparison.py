"""Several strategies on one problem, side by side, and the question whether distributing paid.

McSherry, Isard and Murray ("Scalability! But at what COST?", HotOS 2015) ask of every distributed
system how many machines it needs to beat one thread. So every comparison here ends with what one
process of plain numpy takes for the same descent, over the same rows.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import minimr as mr
from ml.delays import Delays
from ml.descent import Descent, OnStep, Trace
from ml.errors import Diverged
from ml.labeled_data import CollectRound, LabeledData
from ml.models import Model
from ml.problem import Problem
from ml.strategies.gang import own_sums
from ml.training import Trained, train
from ml.vectors import Vector


@dataclass(frozen=True)
class Compared:
    """One strategy's run: what came out, how long it took, and where it ended."""

    strategy: str
    trained: Trained
    seconds: float
    distance: float
    """The largest difference of a parameter from that of the same descent in one process."""


def compare(
    model: Model, data: LabeledData, strategies: Sequence[str], **settings: Any
) -> tuple[list[Compared], Trained]:
    """Train with each strategy in turn, and alone; `settings` are those of `train`.

    Each makes one step before its time is taken: which of them comes first makes no difference.
    Raises what `train` raises.
    """
    single = train(model, data, alone, **settings)
    found = []
    for strategy in strategies:
        try:
            # What slots load for a first step is loaded now, and not counted.
            train(model, data, strategy, **settings | {"iterations": 1})
            began = time.perf_counter()
            trained = train(model, data, strategy, **settings)
            seconds = time.perf_counter() - began
        except Diverged as error:
            error.add_note(f"So it went with {strategy}; leave it out to see the others.")
            raise
        distance = float(np.abs(trained.parameters - single.parameters).max(initial=0.0))
        found.append(Compared(strategy, trained, seconds, distance))
    return found, single


def alone(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """The strategy of those who distribute nothing: one process, here, without stragglers.

    It has as many threads of linear algebra as numpy was given; one is fair, as a slot has no more.
    The seconds do not count how the rows came here: a program of its own would have read them.
    """
    problem = replace(problem, delays=Delays())
    collected = data.dataset.round(CollectRound())
    blocks = [(index, mr.Block(columns)) for index, columns in collected]
    descent = Descent(problem, start, on_step)
    while not descent.ended:
        descent.take(own_sums(problem, blocks, descent.parameters, descent.iteration))
    return descent.trace()


def verdict(found: Sequence[Compared], single: Trained) -> str:
    """The COST line: what one process takes, and whether distributing paid."""
    fastest = min(found, key=lambda each: each.seconds)
    seconds = single.seconds[-1]
    ratio = fastest.seconds / seconds
    one = f"COST: one process of plain numpy takes {seconds:.3g} s"
    best = f"{fastest.strategy}, the fastest here, {fastest.seconds:.3g} s"
    if ratio > 1:
        return f"{one}; {best}: distributing costs {ratio:.1f} times as much and pays nothing."
    if fastest.strategy == "gram":
        # Its steps do not touch the rows; what is alone goes through all of them in each.
        return f"{one}; {best}: {1 / ratio:.1f} times as fast, by reading the rows only once."
    return f"{one}; {best}: distributing pays, {1 / ratio:.1f} times as fast."
