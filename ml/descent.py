"""The descent: sums in, steps out, with the rules of Spark's `GradientDescent.runMiniBatchSGD`.

Iteration i = 1, 2, ... asks for the sums over its mini-batch at the parameters of now, divides them
by the number of rows, and steps against the mean gradient with the schedule's eta. Four rules of
MLlib are easy to miss, and all of them show in the numbers:

- entry i of the loss history is the loss at the parameters *before* update i, penalty included;
- after the last update there is one more evaluation, so the history has up to n + 1 entries;
- the convergence test compares two updates, so it is first made after the second one, and a
  converged run has no extra evaluation;
- an empty mini-batch changes nothing but still uses up its i.

Nothing here knows where the sums come from. A strategy asks the descent where it is and hands it
the sums. Members of a gang may each hold a descent, and as long as they are given the same sums
they stay together to the last bit:

    descent = Descent(problem, start)
    while not descent.ended:
        descent.take(sums_at(descent.parameters, descent.iteration))
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml.problem import Problem, mean_of
from ml.vectors import Vector

OnStep = Callable[[int, float, Vector], object]
"""Called as on_step(iteration, loss, parameters) with each entry of the loss history; the
parameters are a copy, those that have that loss. If it returns True the descent ends there."""


@dataclass
class Trace:
    """Where a descent ended, and the loss on the way there."""

    parameters: Vector
    loss_history: list[float] = field(default_factory=list)
    updates: int = 0
    converged: bool = False
    seconds: list[float] = field(default_factory=list)
    """When each entry of the loss history was known, from the beginning on."""
    sent_bytes: int = 0
    """What was sent for it: parameters, gradients, scores; see Trained."""
    staleness: list[int] = field(default_factory=list)
    """Of a parameter server: how many updates came between the read and each update."""


LOSS = "the loss became"


class NotFinite(Exception):
    """The descent left the finite numbers. `train` turns it into an error that says what to do."""

    def __init__(self, what: str, iteration: int) -> None:
        super().__init__(f"{what} at iteration {iteration}")
        self.what = what
        self.iteration = iteration

    @property
    def at_start(self) -> bool:
        """Whether it was the first loss of all: no step had been made that could be too long."""
        return self.iteration == 1 and self.what.startswith(LOSS)


class RanAway(NotFinite):
    """It was about to leave them: the loss is finite, and beyond all measure (divergence.py)."""


def check_finite(trace: Trace) -> None:
    """Raise NotFinite if the descent left the finite numbers on its way. Of one inside the workers
    that is known when it is over."""
    for number, loss in enumerate(trace.loss_history, 1):
        if not math.isfinite(loss):
            raise NotFinite(f"{LOSS} {loss}", number)
    if not np.isfinite(trace.parameters).all():
        raise NotFinite("the weights stopped being finite numbers", len(trace.loss_history))


class Descent:
    """A descent under way. `parameters` (size,) and `iteration` say which sums it needs next."""

    def __init__(self, problem: Problem, start: Vector, on_step: OnStep | None = None) -> None:
        """Begin at `start` (size,)."""
        self.problem = problem
        self.on_step = on_step
        self.parameters = start
        self.memory = problem.memory()
        self.pace = problem.pace()
        self.iteration = 1
        self.updates = 0
        self.loss_history: list[float] = []
        self.ended = False
        self.converged = False
        self.seconds: list[float] = []
        self._began = time.perf_counter()

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is raised, not warned about
    def take(self, sums: Vector) -> None:
        """Go on with [gradient, loss, rows] (size + 2,) at `parameters`, over all partitions.

        Raises NotFinite as soon as a loss or a parameter is NaN or infinite.
        """
        gradient, loss, rows = mean_of(sums)
        last = self.iteration > self.problem.iterations
        if rows > 0:
            self._record(loss + self.problem.penalty_value(self.parameters))
            if not (last or self.ended):
                self._step(gradient)
        self.ended = self.ended or last
        self.iteration += 1

    def trace(self) -> Trace:
        """Where it stands."""
        return Trace(self.parameters, self.loss_history, self.updates, self.converged, self.seconds)

    def saved(self) -> dict[str, Any]:
        """All that `resumed` needs: plain values and arrays, which later steps do not change."""
        kept = {name: getattr(self, name) for name in KEPT}
        kept["loss_history"] = list(self.loss_history)
        return {**kept, "pace": self.pace.saved()}

    @classmethod
    def resumed(
        cls, problem: Problem, saved: dict[str, Any], on_step: OnStep | None = None
    ) -> "Descent":
        """The descent that gave `saved`; it goes on to the bytes of an undisturbed one."""
        descent = cls(problem, saved["parameters"], on_step)
        for name in KEPT:
            setattr(descent, name, saved[name])
        descent.loss_history = list(saved["loss_history"])
        descent.seconds = [0.0] * len(descent.loss_history)
        descent.pace.resume(saved["pace"])
        return descent

    def _record(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise NotFinite(f"{LOSS} {loss}", self.iteration)
        self.loss_history.append(loss)
        self.seconds.append(time.perf_counter() - self._began)
        self.pace.saw(loss)
        if self.on_step is not None:
            self.ended = is_true(self.on_step(self.iteration, loss, self.parameters.copy()))

    def _step(self, gradient: Vector) -> None:
        eta = self.pace.eta(self.iteration)
        previous = self.parameters
        self.updates += 1
        self.parameters, self.memory = self.problem.update(
            previous, gradient, self.memory, eta, self.updates
        )
        if not np.isfinite(self.parameters).all():
            raise NotFinite("the weights stopped being finite numbers", self.iteration)
        if self.updates >= 2 and converged(previous, self.parameters, self.problem.tolerance):
            self.ended = self.converged = True


KEPT = ("parameters", "memory", "iteration", "updates", "loss_history", "ended", "converged")


def is_true(answer: object) -> bool:
    """Whether a listener returned True, or numpy's, as a comparison of its numbers is one."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


def converged(previous: Vector, current: Vector, tolerance: float) -> bool:
    """MLlib's test: the step is short, relative to the weights once they are longer than 1."""
    if tolerance == 0.0:
        return False
    moved = float(np.linalg.norm(previous - current))
    return moved < tolerance * max(float(np.linalg.norm(current)), 1.0)
