"""Model parallel: every member owns some columns of all rows, and the weights that go with them.

For models too wide for one machine. A linear score is a sum over columns, so each member adds up
its own columns' part, and one all-reduce of the scores, a number per row, replaces that of the
gradient. From the full scores everybody knows the slope of the loss at each row, and so the
gradient of its own weights, which nobody else needs:

    scores = all_reduce(X[:, mine] @ w[mine])       gradient[mine] = slopes @ X[:, mine]

The data is kept by rows, so before the first step the members send each other columns, once.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import minimr as mr
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import Linear
from ml.problem import Problem, problem_from
from ml.strategies.gang import Blocks, Checkpoints, refuse, run_gang, told
from ml.strategies.share import Share, exchanged, share_of
from ml.vectors import Matrix, Vector, widened


class ColumnsGang(mr.Job):
    """One member: some columns. State: {"start": (size,), "partitions": P}.

    Yields its keys of the parameters, their values, and the loss history.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        columns = partial(_columns, size=members.size, features=problem.features)
        rows = exchanged(blocks, members, self.state["partitions"], columns)
        mine = share_of(problem.features, members.size, members.rank)
        part = Part(problem, mine, members.rank == members.size - 1, self.state["start"])
        if checkpoints.resumed is not None:
            part.resume(checkpoints.resumed)
        while part.iteration <= problem.iterations + 1:
            batches = [part.batch(index, block) for index, block in enumerate(rows)]
            shares = np.concatenate([part.scores(block).ravel() for block in batches])
            message = np.append(shares, part.penalty_value())
            total = mr.all_reduce(members, message)
            part.step(batches, total[:-1], float(total[-1]))
            members.note(what="step", loss=part.losses[-1:])
            checkpoints.offer(part.iteration, part.saved)
        found = {"keys": part.keys, **part.saved(), "seconds": part.seconds}
        yield members.rank, {**found, "sent_bytes": members.sent.total_bytes}


def _columns(block: mr.Block, rank: int, size: int, features: int) -> list[Matrix]:
    """A member's columns of X and all labels; columns that a narrow partition lacks are zeros."""
    mine = share_of(features, size, rank)
    return [widened(block["X"][:, mine], mine.stop - mine.start), block["y"]]


class Part(Share):
    """The weights of some columns, and, as the `last` part, the constant terms."""

    def __init__(self, problem: Problem, columns: slice, last: bool, start: Vector) -> None:
        model = problem.model
        assert isinstance(model, Linear), "whoever starts the gang has looked"
        self._loss, self._outputs = model.objective, model.outputs
        self._has_intercept = model.intercept and last
        width = problem.features + model.intercept
        stop = columns.stop + self._has_intercept
        places = np.arange(model.outputs * width).reshape(model.outputs, width)
        super().__init__(problem, places[:, columns.start : stop].ravel(), start)

    def batch(self, index: int, block: mr.Block) -> mr.Block:
        """The rows of this step's mini-batch: the same ones at every member."""
        return self._problem.batches.of(block, self.iteration, index)

    @np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
    def scores(self, block: mr.Block) -> Matrix:
        """These columns' part of the scores: (n, outputs)."""
        rows = self.parameters.reshape(self._outputs, -1)
        X = block["X"]
        scores: Matrix = X @ rows[:, : X.shape[1]].T
        if self._has_intercept:
            scores += rows[:, -1]
        return scores

    @np.errstate(over="ignore", invalid="ignore")
    def step(self, batches: list[mr.Block], scores: Vector, penalty: float) -> None:
        """One iteration from everybody's scores, those of the batches one after the other."""
        gradient = np.zeros((self._outputs, len(self.parameters) // self._outputs))
        value, place = 0.0, 0
        for block in batches:
            end = place + len(block) * self._outputs
            whole = scores[place:end].reshape(len(block), self._outputs)
            place = end
            value += self._add(gradient, block, whole)
        rows = place // self._outputs
        if rows > 0:
            self.take(value / rows + penalty, gradient.ravel() / rows)
        self.iteration += 1

    def _add(self, gradient: Matrix, block: mr.Block, scores: Matrix) -> float:
        """Add a block's gradient in these weights; return its loss."""
        X, per_class = block["X"], self._loss.per_class
        value, slopes = self._loss.evaluate(scores if per_class else scores[:, 0], block["y"])
        columns = slopes if per_class else slopes[:, None]
        gradient[:, : X.shape[1]] += columns.T @ X
        if self._has_intercept:
            gradient[:, -1] += columns.sum(axis=0)
        return value


def model_parallel(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (size,), columns shared out over the members.

    Raises ArgumentError for an `on_step`, a tolerance, or a model that is not linear.
    """
    refuse("model_parallel", problem, on_step, tolerance=False)
    if not isinstance(problem.model, Linear):
        raise ArgumentError(
            "'model_parallel' shares out the columns of a linear model; use 'pipeline' for a "
            "multilayer perceptron",
            "strategy",
        )
    state = {"start": start, "partitions": data.dataset.partitions}
    parts = run_gang(data, ColumnsGang(problem=problem.options()), state)
    parameters = np.zeros(problem.size)
    for part in parts:
        parameters[part["keys"]] = part["parameters"]
    trace = Trace(parameters, list(parts[0]["losses"]), parts[0]["updates"])
    return told(trace, parts)
