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

import time
from collections.abc import Iterator
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
from ml.vectors import Matrix, Vector

MICRO_BATCHES = 8
"""Into how many pieces the rows of a step are cut."""


class PipelineGang(mr.Job):
    """One stage. State: {"start": (size,), "partitions": P}.

    Yields where its parameters begin, what they are, and, in the last stage, the loss history.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        rows = gather_ends(blocks, members, self.state["partitions"])
        stage = Stage(problem, members, self.state["start"])
        if checkpoints.resumed is not None:
            stage.resume(checkpoints.resumed)
        while stage.iteration <= problem.iterations + 1:
            stage.step(rows)
            checkpoints.offer(stage.iteration, stage.saved())
        yield members.rank, {"first_key": stage.keys.start, **stage.saved(), **stage.told()}


def gather_ends(blocks: Blocks, members: mr.Members, partitions: int) -> list[mr.Block]:
    """All rows at the first member and all labels at the last, by partition.

    Everybody gets blocks of the right length, so that all draw the same mini-batches.
    """
    rank, last = members.rank, members.size - 1
    for to in range(members.size):
        for _, block in blocks:
            if to != rank:
                empty = np.zeros((len(block), 0))
                X = block["X"] if to == 0 else empty
                members.send(to, "rows", [X, block["y"] if to == last else np.zeros(len(block))])
    found: list[mr.Block] = []
    for source in range(members.size):
        if source == rank:
            found += [block for _, block in blocks]
            continue
        count = (source + 1) * partitions // members.size - source * partitions // members.size
        for _ in range(count):
            X, y = members.receive(source, "rows")
            found.append(mr.Block({"X": X, "y": y}))
    return found


class Stage:
    """A member's layers: their parameters, which are the range `keys` of all, and its place."""

    def __init__(self, problem: Problem, members: mr.Members, start: Vector) -> None:
        model = problem.model
        assert isinstance(model, MultilayerPerceptron), "whoever starts the gang has looked"
        network = model.layers(problem.features)
        depth = len(network.shapes)
        begin, end = (each * depth // members.size for each in (members.rank, members.rank + 1))
        self._layers = network.stage(begin, end)
        first = network.stage(0, begin).size
        self.keys = slice(first, first + self._layers.size)
        self._problem, self._members = problem, members
        self._loss = model.objective
        self.parameters = start[self.keys]
        self.memory = problem.memory()[:, self.keys]
        self._pace = problem.pace()
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._began = time.perf_counter()
        self.iteration, self.updates = 1, 0

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
        self._note(value, rows)
        if rows > 0 and self.iteration <= self._problem.iterations:
            self._move(gradient / rows)
        self.iteration += 1

    def _micro_batches(self, partitions: list[mr.Block]) -> list[tuple[Matrix, Vector]]:
        batches = [
            self._problem.batches.of(block, self.iteration, index)
            for index, block in enumerate(partitions)
        ]
        width = max(block["X"].shape[1] for block in batches)
        X = np.concatenate([_widened(block["X"], width) for block in batches])
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

    def _note(self, value: float, rows: int) -> None:
        """Everybody tells the last stage its part of the penalty; that one tells what it cost."""
        members, last = self._members, self._members.size - 1
        share = self._problem.penalty_value(self.parameters, self.keys)
        message = [value, share]
        found = mr.all_gather(members, message)
        if rows > 0:
            penalty = sum(each[1] for each in found)
            self.losses.append(found[last][0] / rows + penalty)
            self.seconds.append(time.perf_counter() - self._began)
            self._pace.saw(self.losses[-1])
            members.note(what="step", loss=self.losses[-1])

    def _move(self, gradient: Vector) -> None:
        self.updates += 1
        eta = self._pace.eta(self.iteration)
        self.parameters, self.memory = self._problem.update(
            self.parameters, gradient, self.memory, eta, self.updates, self.keys
        )

    def saved(self) -> dict[str, Any]:
        """All that `resume` needs."""
        return {name: getattr(self, name) for name in KEPT}

    def told(self) -> dict[str, Any]:
        """When the losses were known, and what was sent."""
        return {"seconds": self.seconds, "sent_bytes": self._members.sent.total_bytes}

    def resume(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        for name in KEPT:
            setattr(self, name, saved[name])
        self.losses = list(saved["losses"])
        for loss in self.losses:
            self._pace.saw(loss)


KEPT = ("parameters", "memory", "losses", "iteration", "updates")


def _widened(X: Matrix, width: int) -> Matrix:
    """X with columns of zeros at its end, (n, width)."""
    if X.shape[1] == width:
        return X
    wide = np.zeros((len(X), width))
    wide[:, : X.shape[1]] = X
    return wide


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
