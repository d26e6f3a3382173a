"""Pipeline: every member owns some layers of a network, and rows flow through all of them.

For networks too deep for one machine (Huang et al., "GPipe", NeurIPS 2019). A member can only work
on what the one before has finished, so the rows of a step are cut into micro-batches: while one is
in the second stage the next is in the first. Then they all flow back with the slopes of the loss,
and every stage adds up the gradients of its own layers. With M micro-batches and K stages each
stage idles for K - 1 of M + K - 1 turns: the bubble.

      stage 0   1 2 3 4 . .            . . 1 2 3 4
      stage 1     1 2 3 4 .            . 1 2 3 4
      stage 2       1 2 3 4   (loss)   1 2 3 4

All micro-batches of a step see the same parameters, so the sum of their gradients is that of the
full batch. Only the first stage needs the rows, and only the last the labels; they are sent there
once.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import minimr as mr
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import MultilayerPerceptron
from ml.problem import Problem, problem_from
from ml.strategies.gang import Blocks, Checkpoints, refuse, run_gang, told
from ml.strategies.share import Share, exchanged, share_of
from ml.vectors import Matrix, Vector, widened

MICRO_BATCHES = 8
"""Into how many pieces the rows of a step are cut."""


class PipelineGang(mr.Job):
    """One stage. State: {"start": (size,), "partitions": P}.

    Yields its parameters and the loss history.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        ends = partial(_at_the_ends, size=members.size)
        rows = exchanged(blocks, members, self.state["partitions"], ends)
        stage = Stage(problem, members, self.state["start"])
        if checkpoints.resumed is not None:
            stage.resume(checkpoints.resumed)
        while stage.iteration <= problem.iterations + 1:
            stage.step(rows)
            checkpoints.offer(stage.iteration, stage.saved)
        found = {**stage.saved(), "seconds": stage.seconds}
        yield members.rank, {**found, "sent_bytes": members.sent.total_bytes}


def _at_the_ends(block: mr.Block, rank: int, size: int) -> list[Matrix]:
    """Rows for the first member, labels for the last. To the others what has as many rows: so all
    draw the same mini-batches."""
    X = block["X"] if rank == 0 else np.zeros((len(block), 0))
    return [X, block["y"] if rank == size - 1 else np.zeros(len(block))]


class Stage(Share):
    """A member's layers: their parameters, which are the range `keys` of all, and its place."""

    def __init__(self, problem: Problem, members: mr.Members, start: Vector) -> None:
        model = problem.model
        assert isinstance(model, MultilayerPerceptron), "whoever starts the gang has looked"
        network = model.layers(problem.features)
        mine = share_of(len(network.shapes), members.size, members.rank)
        self._layers = network.stage(mine.start, mine.stop)
        self._members, self._loss = members, model.objective
        first = network.stage(0, mine.start).size
        super().__init__(problem, slice(first, first + self._layers.size), start)

    @np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
    def step(self, partitions: list[mr.Block]) -> None:
        """All micro-batches forwards, then all of them backwards, then the update."""
        pieces = self._micro_batches(partitions)
        passed = [self._forward(X) for X, _ in pieces]
        value, gradient = 0.0, np.zeros(len(self.parameters))
        for (_, y), each in zip(pieces, passed, strict=True):
            loss, part = self._backward(each, y)
            value += loss
            gradient += part
        rows = sum(len(y) for _, y in pieces)
        value, penalty = self._shared(value)
        if rows > 0:
            self.take(value / rows + penalty, gradient / rows)
            self._members.note(what="step", loss=self.losses[-1])
        self.iteration += 1

    def _micro_batches(self, partitions: list[mr.Block]) -> list[tuple[Matrix, Vector]]:
        batches = [
            self._problem.batches.of(block, self.iteration, index)
            for index, block in enumerate(partitions)
        ]
        parts = [block["X"] for block in batches]
        width = max(part.shape[1] for part in parts)
        X = np.concatenate(
            [part if part.shape[1] == width else widened(part, width) for part in parts]
        )
        y = np.concatenate([block["y"] for block in batches])
        cuts = [each * len(y) // MICRO_BATCHES for each in range(MICRO_BATCHES + 1)]
        return [(X[a:b], y[a:b]) for a, b in pairwise(cuts) if a < b]

    def _forward(self, X: Matrix) -> list[Matrix]:
        members = self._members
        into = X if self._layers.first else members.receive(members.rank - 1, "forward")
        passed = self._layers.forward(self.parameters, into)
        if not self._layers.last:
            members.send(members.rank + 1, "forward", passed[-1])
        return passed

    def _backward(self, passed: list[Matrix], y: Vector) -> tuple[float, Vector]:
        """The loss, known to the last stage alone, and the gradient of these layers."""
        members, value = self._members, 0.0
        if self._layers.last:
            per_class = self._loss.per_class
            scores = passed[-1] if per_class else passed[-1][:, 0]
            value, slopes = self._loss.evaluate(scores, y)
            back = slopes if per_class else slopes[:, None]
        else:
            back = members.receive(members.rank + 1, "backward")
        gradient, back = self._layers.backward(self.parameters, passed, back)
        if not self._layers.first:
            members.send(members.rank - 1, "backward", back)
        return value, gradient

    def _shared(self, value: float) -> tuple[float, float]:
        """The loss, as the last stage tells it, and the penalty, a part of which is in each."""
        found = mr.all_gather(self._members, [value, self.penalty_value()])
        return found[-1][0], sum(share for _, share in found)


def pipeline(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (size,), layers shared out over at most as many members.

    Raises ArgumentError for an `on_step`, a tolerance, or a model without layers.
    """
    refuse("pipeline", problem, on_step, tolerance=False)
    if not isinstance(problem.model, MultilayerPerceptron):
        raise ArgumentError(
            "'pipeline' shares out the layers of a multilayer perceptron, and a linear model has "
            "one; use 'model_parallel'",
            "strategy",
        )
    state = {"start": start, "partitions": data.dataset.partitions}
    job = PipelineGang(problem=problem.options())
    layers = len(problem.model.shapes(problem.features))
    stages = run_gang(data, job, state, members_max=layers)
    parameters = np.concatenate([stage["parameters"] for stage in stages])
    trace = Trace(parameters, list(stages[-1]["losses"]), stages[-1]["updates"])
    return told(trace, stages)
