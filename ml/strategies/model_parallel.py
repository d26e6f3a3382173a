"""Model parallel: every member owns some columns of all rows, and the weights that go with them.

For models too wide for one machine. A linear score is a sum over columns, so each member adds up
its own columns' part, and one all-reduce of the scores, a number per row, replaces that of the
gradient. From the full scores everybody knows the slope of the loss at each row, and so the
gradient of its own weights, which nobody else needs:

    scores = all_reduce(X[:, mine] @ w[mine])       gradient[mine] = slopes @ X[:, mine]

The data is kept by rows, so before the first step the members send each other columns, once.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import Linear
from ml.problem import Problem, problem_from
from ml.strategies.gang import Blocks, Checkpoints, refuse, run_gang, told
from ml.vectors import Matrix, Vector


class ColumnsGang(mr.Job):
    """One member: some columns. State: {"start": (size,), "partitions": P}.

    Yields its keys of the parameters, their values, and the loss history.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        mine = columns_of(problem.features, members.size, members.rank)
        rows = exchange(blocks, members, problem.features, self.state["partitions"])
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
            checkpoints.offer(part.iteration, part.saved())
        yield members.rank, {"keys": part.keys, **part.saved(), **part.told(members)}


def columns_of(features: int, size: int, rank: int) -> slice:
    """The columns of a member: neighbours, as even as possible."""
    return slice(rank * features // size, (rank + 1) * features // size)


def exchange(blocks: Blocks, members: mr.Members, features: int, partitions: int) -> list[mr.Block]:
    """This member's columns of all partitions, and all labels, in the order of the partitions."""
    rank, size = members.rank, members.size
    for to in range(size):
        if to != rank:
            for _, block in blocks:
                members.send(to, "columns", [_wide(block["X"], features, to, size), block["y"]])
    found: list[mr.Block] = []
    for source in range(size):
        if source == rank:
            own = [[_wide(block["X"], features, rank, size), block["y"]] for _, block in blocks]
        else:
            count = (source + 1) * partitions // size - source * partitions // size
            own = [members.receive(source, "columns") for _ in range(count)]
        found += [mr.Block({"X": X, "y": y}) for X, y in own]
    return found


def _wide(X: Matrix, features: int, rank: int, size: int) -> Matrix:
    """A member's columns of X; those that a narrow partition lacks are zeros."""
    columns = columns_of(features, size, rank)
    part = X[:, columns]
    whole = np.zeros((len(X), columns.stop - columns.start))
    whole[:, : part.shape[1]] = part
    return whole


class Part:
    """The weights of some columns, and of the constant terms if `has_intercept`.

    `keys` says where they stand in the parameters.
    """

    def __init__(self, problem: Problem, columns: slice, last: bool, start: Vector) -> None:
        model = problem.model
        assert isinstance(model, Linear), "whoever starts the gang has looked"
        self._problem, self._loss = problem, model.objective
        self._outputs, self._has_intercept = model.outputs, model.intercept and last
        width = problem.features + model.intercept
        stop = columns.stop + self._has_intercept
        places = np.arange(model.outputs * width).reshape(model.outputs, width)
        self.keys = places[:, columns.start : stop].ravel()
        self.weights = start[self.keys]
        self.memory = problem.memory()[:, self.keys]
        self._pace = problem.pace()
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._began = time.perf_counter()
        self.iteration, self.updates = 1, 0

    def batch(self, index: int, block: mr.Block) -> mr.Block:
        """The rows of this step's mini-batch: the same ones at every member."""
        return self._problem.batches.of(block, self.iteration, index)

    @np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
    def scores(self, block: mr.Block) -> Matrix:
        """These columns' part of the scores: (n, outputs)."""
        rows = self.weights.reshape(self._outputs, -1)
        X = block["X"]
        scores: Matrix = X @ rows[:, : X.shape[1]].T
        if self._has_intercept:
            scores += rows[:, -1]
        return scores

    def penalty_value(self) -> float:
        """These weights' part of the penalty."""
        return self._problem.penalty_value(self.weights, self.keys)

    @np.errstate(over="ignore", invalid="ignore")
    def step(self, batches: list[mr.Block], scores: Vector, penalty: float) -> None:
        """One iteration from everybody's scores, those of the batches one after the other."""
        gradient = np.zeros((self._outputs, len(self.weights) // self._outputs))
        value, place = 0.0, 0
        for block in batches:
            end = place + len(block) * self._outputs
            whole = scores[place:end].reshape(len(block), self._outputs)
            place = end
            value += self._add(gradient, block, whole)
        rows = place // self._outputs
        if rows > 0:
            self.losses.append(value / rows + penalty)
            self.seconds.append(time.perf_counter() - self._began)
            self._pace.saw(self.losses[-1])
            if self.iteration <= self._problem.iterations:
                self._move(gradient.ravel() / rows)
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

    def _move(self, gradient: Vector) -> None:
        self.updates += 1
        eta = self._pace.eta(self.iteration)
        self.weights, self.memory = self._problem.update(
            self.weights, gradient, self.memory, eta, self.updates, self.keys
        )

    def saved(self) -> dict[str, Any]:
        """All that `resume` needs."""
        return {name: getattr(self, name) for name in KEPT}

    def told(self, members: mr.Members) -> dict[str, Any]:
        """When the losses were known, and what was sent."""
        return {"seconds": self.seconds, "sent_bytes": members.sent.total_bytes}

    def resume(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        for name in KEPT:
            setattr(self, name, saved[name])
        self.losses = list(saved["losses"])
        for loss in self.losses:
            self._pace.saw(loss)


KEPT = ("weights", "memory", "losses", "iteration", "updates")


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
        parameters[part["keys"]] = part["weights"]
    trace = Trace(parameters, list(parts[0]["losses"]), parts[0]["updates"])
    return told(trace, parts)
