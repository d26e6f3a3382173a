"""One-shot model averaging: everybody solves the whole problem on its own rows, once.

Zinkevich et al. (NIPS 2010), "Parallelized stochastic gradient descent". One MapReduce round is all
that is ever sent: the map runs a full descent over its partition, the reduce adds up the solutions,
weighted by their rows. No strategy sends less. The average of solutions is not the solution of the
whole, though, and the gap does not close however long the descents are.

The shards are the partitions of the data, so the answer does not depend on the workers.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.descent import Descent, NotFinite, OnStep, Trace
from ml.gradient import losses_at
from ml.labeled_data import LabeledData
from ml.problem import Problem, problem_from
from ml.strategies.gang import refuse
from ml.strategies.sync import round_bytes
from ml.vectors import Vector


class ShardSolutions(mr.Job):
    """Sums rows * [solution, updates, 1] over the partitions. State: {"start": (size,)}."""

    problem: dict[str, Any]

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        problem = problem_from(self.problem)
        solution, updates = solve(problem, block, self.partition_index, self.state["start"])
        yield 0, len(block) * np.append(solution, [updates, 1.0])

    reduce = mr.Sum()


def solve(problem: Problem, block: mr.Block, index: int, start: Vector) -> tuple[Vector, int]:
    """The descent over one partition alone, to its end: (size,) and the updates that it took.

    NaN if it left the numbers.
    """
    descent = Descent(problem, start)
    try:
        while not descent.ended:
            descent.take(problem.sums(descent.parameters, block, descent.iteration, index))
    except NotFinite:
        return np.full(problem.size, np.nan), descent.updates
    return descent.parameters, descent.updates


@np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
def average(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """The weighted average of the partitions' solutions, and of the updates that each took. The
    loss history is first and last, over the batch after the last step.

    Raises ArgumentError for an `on_step`.
    """
    refuse("average", problem, on_step, tolerance=True)
    began = time.perf_counter()
    job = ShardSolutions(problem=problem.options())
    [(_, sums)] = data.dataset.round(job, state={"start": start})
    parameters, updates = sums[:-2] / sums[-1], round(float(sums[-2] / sums[-1]))
    seconds = [0.0, time.perf_counter() - began]
    losses = losses_at(problem, data, start, parameters)
    seconds = seconds[: len(losses)]
    trace = Trace(parameters, losses, updates, seconds=seconds)
    trace.sent_bytes = round_bytes(problem, data)
    return trace
