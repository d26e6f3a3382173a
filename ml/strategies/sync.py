"""Bulk synchronous: one MapReduce round per step, and nobody goes on before all have answered.

Valiant's model (CACM 1990), and what Spark's MLlib does. The parameters are broadcast with the
round, every partition answers with one vector, and the step is made here. It waits for the slowest
worker in every step, and is the simplest strategy in every other respect: it equals plain numpy in
one process, needs nothing that a MapReduce engine does not have, and any worker may die any time.
"""

import numpy as np

from ml.descent import Descent, OnStep, Trace
from ml.gradient import GradientRound
from ml.labeled_data import LabeledData
from ml.problem import Problem
from ml.vectors import Vector


def sync(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (size,), one round per step, and one for the last loss."""
    descent, job = Descent(problem, start, on_step), GradientRound(problem=problem.options())
    while not descent.ended:
        one_round(descent, job, data)
    trace = descent.trace()
    trace.sent_bytes = (descent.iteration - 1) * round_bytes(problem, data)
    return trace


def round_bytes(problem: Problem, data: LabeledData) -> int:
    """Parameters to each slot's worker, and one vector of sums from each partition."""
    numbers = data.dataset.members_max * problem.size
    return 8 * (numbers + data.dataset.partitions * (problem.size + 2))


@np.errstate(over="ignore", invalid="ignore")  # the descent tells what is not finite
def one_round(descent: Descent, job: GradientRound, data: LabeledData) -> None:
    """One round, and what the descent makes of its sums."""
    state = {"parameters": descent.parameters, "iteration": descent.iteration}
    [(_, sums)] = data.dataset.round(job, state=state)
    descent.take(sums)
