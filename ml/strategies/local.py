"""Local SGD: `steps` steps on one's own rows, then everybody's parameters are averaged.

McMahan et al. (AISTATS 2017) call it federated averaging, Stich (ICLR 2019) local SGD. It sends a
`steps`th of what a step-by-step strategy sends, and pays with members that drift apart in between,
the more the less alike their rows are. The average is weighted by the rows that each member saw:
the plain mean is wrong as soon as the shards differ in size.

With steps = 1 and plain SGD the average of the members' steps is the step of the average gradient,
which is `sync`.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.arguments import whole_number
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.problem import Problem, mean_of, problem_from
from ml.strategies.gang import Blocks, Checkpoints, own_sums, refuse, run_gang, told
from ml.vectors import Vector


class LocalGang(mr.Job):
    """One member. State: {"start": (size,)}. Yields the average and its loss history."""

    problem: dict[str, Any]
    steps: int

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        drift = Drift(problem, blocks, self.state["start"], checkpoints.resumed)
        while drift.iteration <= problem.iterations:
            self._average(drift, members)
            members.note(what="averaged", loss=drift.losses[-1:])
            checkpoints.offer(drift.averaged, drift.saved)
        loss, rows = mr.all_reduce(members, drift.sums()[-2:].copy())
        drift.saw(loss, rows)
        yield (
            members.rank,
            {
                "parameters": drift.parameters,
                "losses": drift.losses,
                "updates": drift.updates,
                "seconds": drift.seconds,
                "sent_bytes": members.sent.total_bytes,
            },
        )

    @np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
    def _average(self, drift: "Drift", members: mr.Members) -> None:
        """Some steps of one's own, then the average weighted by rows, memory included."""
        shared = drift.state.shape
        opening, rows = drift.go(self.steps)
        own = np.append(drift.state, drift.updates)
        total = mr.all_reduce(members, np.concatenate([rows * own, [rows], opening]))
        seen, loss, first_rows = total[-3:]
        if seen > 0:
            drift.state = total[:-4].reshape(shared) / seen
            drift.updates = round(float(total[-4] / seen))
        drift.averaged += 1
        drift.saw(loss, first_rows)


class Drift:
    """A member's descent between two averages. `state` (1 + vectors, size): parameters, memory."""

    def __init__(self, problem: Problem, blocks: Blocks, start: Vector, resumed: Any) -> None:
        self._problem, self._blocks = problem, blocks
        self.state = np.vstack([start[None, :], problem.memory()])
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._began = time.perf_counter()
        self.iteration, self.averaged = 1, 0
        self.updates = 0
        """How many the memory is of: a mini-batch without rows makes none. It is averaged, too."""
        self._penalty = 0.0
        self._pace = problem.pace()
        if resumed is not None:
            self.state, self.iteration = resumed["state"], resumed["iteration"]
            self.averaged, self.updates = resumed["averaged"], resumed["updates"]
            for loss in resumed["losses"]:
                self._note(loss)
            self.seconds.clear()

    @property
    def parameters(self) -> Vector:
        row: Vector = self.state[0]
        return row

    def sums(self) -> Vector:
        """[gradient, loss, rows] over this member's rows, where `saw` takes the penalty, too."""
        self._penalty = self._problem.penalty_value(self.parameters)
        return own_sums(self._problem, self._blocks, self.parameters, self.iteration)

    def go(self, steps: int) -> tuple[Vector, float]:
        """Make the steps; return [loss, rows] of the first, and the rows that all of them saw."""
        sums, seen = self.sums(), 0.0
        opening = sums[-2:]
        last = min(self.iteration + steps - 1, self._problem.iterations)
        while True:
            gradient, _, rows = mean_of(sums)
            if rows > 0:
                eta = self._pace.eta(self.iteration)
                self.updates += 1
                parameters, memory = self._problem.update(
                    self.parameters, gradient, self.state[1:], eta, self.updates
                )
                self.state = np.vstack([parameters[None, :], memory])
            seen += rows
            self.iteration += 1
            if self.iteration > last:
                return opening, seen
            sums = own_sums(self._problem, self._blocks, self.parameters, self.iteration)

    def saw(self, loss: float, rows: float) -> None:
        """The loss of everybody's rows, at the parameters that everybody last had in common."""
        if rows > 0:
            self._note(float(loss / rows) + self._penalty)

    def saved(self) -> dict[str, Any]:
        """What a Drift resumes: plain values and arrays, which later steps do not change."""
        names = ("state", "iteration", "averaged", "updates")
        return {name: getattr(self, name) for name in names} | {"losses": list(self.losses)}

    def _note(self, loss: float) -> None:
        self.losses.append(loss)
        self.seconds.append(time.perf_counter() - self._began)
        self._pace.saw(loss)


def local(
    problem: Problem,
    data: LabeledData,
    start: Vector,
    on_step: OnStep | None = None,
    *,
    steps: int = 8,
) -> Trace:
    """Descend from `start` (size,), averaging after every `steps` iterations.

    The loss history has an entry for each average, at the parameters that all began with; it is
    known, and counts for an adaptive schedule, when the steps are made. Raises ArgumentError for an
    `on_step`, a tolerance, or no steps.
    """
    refuse("local", problem, on_step, tolerance=False)
    if whole_number("steps", steps) < 1:
        raise ArgumentError(
            "'local' needs at least one step between two averages: use 'local:1'", "strategy"
        )
    job = LocalGang(problem=problem.options(), steps=steps)
    results = run_gang(data, job, {"start": start})
    found = results[0]
    trace = Trace(found["parameters"], list(found["losses"]), int(found["updates"]))
    return told(trace, results)
