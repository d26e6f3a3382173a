"""One iteration of gradient descent as one MapReduce round.

The gradient of a loss is a sum over rows, so each partition of the resident dataset adds up its
own rows and the reducer adds up the partitions (Chu et al., NIPS 2006, section 3). A partition
sends a single pair whose value is one vector:

    [gradient_1, ..., gradient_size, loss, rows]

The values of a key reach the reducer in partition order and `Sum` adds from left to right, so the
sum, and with it every later step, is the same to the last bit on any number of workers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.labeled_data import LabeledData
from ml.problem import Problem, mean_of, problem_from
from ml.vectors import Vector


class GradientRound(mr.Job):
    """Sums gradient, loss and rows of one mini-batch.

    State: {"parameters": (size,), "iteration": i}.
    """

    problem: dict[str, Any]

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        problem = problem_from(self.problem)
        parameters, iteration = self.state["parameters"], self.state["iteration"]
        yield 0, problem.sums(parameters, block, iteration, self.partition_index)

    reduce = mr.Sum()


@np.errstate(over="ignore", invalid="ignore")  # whoever asks looks
def losses_at(problem: Problem, data: LabeledData, *points: Vector) -> list[float]:
    """The loss over the batch of the last evaluation at each of these parameters (size,), penalty
    included; one round for each. None of a batch without rows."""
    job, iteration = GradientRound(problem=problem.options()), problem.iterations + 1
    losses = []
    for point in points:
        state = {"parameters": point, "iteration": iteration}
        [(_, sums)] = data.dataset.round(job, state=state)
        _, loss, rows = mean_of(sums)
        if rows > 0:
            losses.append(loss + problem.penalty_value(point))
    return losses
