"""Mini-batch gradient descent exactly as Spark's `GradientDescent.runMiniBatchSGD` does it.

Iteration i = 1, 2, ... asks for the sums over its mini-batch (one MapReduce round), divides them
by the number of rows, and steps against the mean gradient with eta = step / sqrt(i). Four rules
of MLlib are easy to miss, and all of them show in the numbers:

- entry i of the loss history is the loss at the weights *before* update i, penalty included;
- after the last update there is one more evaluation, so the history has up to n + 1 entries;
- the convergence test compares two updates, so it is first made after the second one, and a
  converged run has no extra evaluation;
- an empty mini-batch changes nothing but still uses up its i.

Nothing here knows about clusters: where the sums come from is a function that is passed in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ml.losses import Vector
from ml.updaters import Updater


@dataclass(frozen=True)
class Sums:
    """What one round adds up over its mini-batch: gradient (d,), loss, and the rows it kept."""

    gradient: Vector
    loss: float
    rows: int


@dataclass(frozen=True)
class Settings:
    """The knobs of the descent; names and meaning are MLlib's."""

    iterations: int
    step: float
    updater: Updater
    reg_param: float
    convergence_tol: float


@dataclass
class Trace:
    """Where the descent ended, and the loss on the way there."""

    weights: Vector
    loss_history: list[float] = field(default_factory=list)


class NotFinite(Exception):
    """The descent left the finite numbers. `train` turns it into an error that says what to do."""

    def __init__(self, what: str, iteration: int) -> None:
        super().__init__(f"{what} at iteration {iteration}")
        self.what = what
        self.iteration = iteration


SumsAt = Callable[[Vector, int], Sums]
OnStep = Callable[[int, float, Vector], None]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is raised, not warned about
def descend(
    sums_at: SumsAt, start: Vector, settings: Settings, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (d,). `on_step(i, loss, weights)` is called per loss history entry.

    Raises NotFinite as soon as a loss or a weight is NaN or infinite.
    """
    trace = Trace(start)
    penalty = settings.updater.penalty(start, settings.reg_param)
    updates = 0
    for iteration in range(1, settings.iterations + 2):
        sums = sums_at(trace.weights, iteration)
        if sums.rows == 0:
            continue
        loss = _finite_loss(sums.loss / sums.rows + penalty, iteration)
        trace.loss_history.append(loss)
        if on_step is not None:
            on_step(iteration, loss, trace.weights.copy())
        if iteration > settings.iterations:
            break
        previous, trace.weights = trace.weights, _updated(trace.weights, sums, iteration, settings)
        penalty = settings.updater.penalty(trace.weights, settings.reg_param)
        updates += 1
        if updates >= 2 and converged(previous, trace.weights, settings.convergence_tol):
            break
    return trace


def converged(previous: Vector, current: Vector, tolerance: float) -> bool:
    """MLlib's test: the step is short, relative to the weights once they are longer than 1."""
    moved = float(np.linalg.norm(previous - current))
    return moved < tolerance * max(float(np.linalg.norm(current)), 1.0)


def _updated(weights: Vector, sums: Sums, iteration: int, settings: Settings) -> Vector:
    eta = settings.step / math.sqrt(iteration)
    gradient = sums.gradient / sums.rows
    updated = settings.updater.step(weights, gradient, eta, settings.reg_param)
    if not np.isfinite(updated).all():
        raise NotFinite("the weights stopped being finite numbers", iteration)
    return updated


def _finite_loss(loss: float, iteration: int) -> float:
    if not math.isfinite(loss):
        raise NotFinite(f"the loss became {loss}", iteration)
    return loss
