"""Why a descent left the finite numbers, and the largest step that would not have.

For least squares the update is w <- w - eta (H w - c), with H = X'X / n. Along the eigenvector of
H with eigenvalue lambda, the distance to the optimum is multiplied by 1 - eta lambda each time. It
shrinks if |1 - eta lambda| < 1, so a step below 2 / lambda_max is safe. Beyond that the error
grows, and since eta falls as step / sqrt(i) it is a race: a step a little too large recovers, one
far too large overflows first. An L2 penalty adds its lambda to every eigenvalue.

Another loss bends by its own second derivative along the scores, and H by X' diag(l'') X / n, which
is at most the bound of l'' times the H above. So 2 / (bound lambda_max) is safe for every smooth
loss. Hinge and quantile have corners in place of curvature: a long step only throws them far, and
1 for the bound gives one of the right size. The Poisson loss has no bound: its curvature is the
mean count, so the largest label stands for it, which is right about the solution. A network has
none either. Momentum changes the 2 (optimizers.py). Polyak's bears 2 (1 + m) where the curvature
is the same everywhere, as that of the squared loss; where it changes, the weights come fast from
where it is small, and what bears that is 2 (1 - m) (Ghadimi, Feyzmahdavian and Johansson 2015).

A mini-batch of b rows has an H of its own, another one in each step. The error shrinks in the mean
of its square if the step is below 2 / (lambda_max + R^2 / b), with R the length of the longest row
(for single rows: Bach and Moulines, NIPS 2013). The message names 1 / (lambda_max / 2 + R^2 / b),
and momentum makes the second part 1 / (1 - m) times as large. Losses with bounded slopes do not
run away so, and need no shorter step.

Two things that strategies do ask for shorter steps. Where members step along their own rows, as
those of `local`, `average` and `async` do, the H of every partition counts, and the steepest is at
least as steep as the whole. And where gradients are up to s updates old, as a parameter server's
are, steps overshoot: of delays that vary, a step is safe below (3/2 + 1/(2s + 2)) / ((s + 1)
lambda_max) (Erbe, Xia and Yu 1995). The message names 1 / ((s + 1) lambda_max), and with a momentum
m (1 - m) times that: in the end a gradient moves the weights 1 / (1 - m) times as far. What top-k
and signs leave out is sent later, so it counts as old, too (compression.py).

Between the first too long step and the end of the numbers lie some hundred steps, and a training
may be over before. So one that ended is looked at again if its loss rose a million times on the
way: it has run away if, over all rows, it is still a million times worse off than both its start
and a model of zeros, and has not come down from its peak. Such parameters are of no use whatever
comes next. That cannot be said of a start close to the solution, nor of a mini-batch with an odd
row, nor of steps a little too large, whose race is won when they have become short. Of AdaGrad and
Adam it is never said: their steps do not grow with the gradient, so there is no such race. If the
squares in their memory overflow, that ends a descent at once (optimizers.py). Else most come back,
but not all do: after one far too long step those squares may be so large that no later step counts
for much, and a Poisson loss, which is exponential, stays where it was thrown. That is not told.

Nothing scales the features here, as nothing does in MLlib. A feature in the hundreds has a mean
square in the ten thousands, and allows a step of 0.0001 at the most.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor, inf, isfinite, log, log10

import numpy as np

import minimr as mr
from ml.batches import Batches
from ml.delays import Delays
from ml.descent import NotFinite, RanAway, Trace
from ml.gradient import losses_at
from ml.labeled_data import LabeledData
from ml.models import Linear, Model
from ml.problem import Problem
from ml.strategies import Strain
from ml.vectors import Matrix, Vector, widened

# Wider data gets the trace of H, which is an upper bound of lambda_max and costs one vector.
FULL_MATRIX_COLUMNS = 256

AWAY = 1e6
"""A loss so many times as high as where it began has nothing to do with the data any more."""
BACK = 1e-3
"""One that has fallen to this share of its peak is on its way back."""
OVERFLOW = "The squares of the features overflow; scale the features down."
AT_START = "The labels or the initial weights are too large to square; scale them down."


def ran_away(trace: Trace, start: Vector, problem: Problem, data: LabeledData) -> RanAway | None:
    """What is wrong with a descent from `start` (size,) that ended far up, or None.

    Costs nothing unless the loss rose `AWAY` times on the way, and then three rounds.
    """
    losses = trace.loss_history
    peak = max(losses, default=0.0)
    if peak <= AWAY * abs(next(iter(losses), 0.0)) or not isfinite(
        problem.optimizer.stable_step(1.0)
    ):
        return None
    whole = replace(problem, batches=Batches(), delays=Delays())
    points = (start, np.zeros(problem.size), trace.parameters)
    began, zeros, ended = losses_at(whole, data, *points)
    if ended <= AWAY * max(abs(began), abs(zeros), _least(problem, data)) or ended <= BACK * peak:
        return None
    what = f"the loss rose from {began:.3g} to {ended:.3g}"
    return RanAway(what, len(losses))


def _least(problem: Problem, data: LabeledData) -> float:
    """How far below zero a loss may be. Only that of counts may: by y log y - y in each row."""
    if problem.model.objective.name != "poisson":
        return 0.0
    largest = max(data.summary().label_max, 1.0)
    return largest * log(largest)


class SecondMomentRound(mr.Job):
    """Sums X'X, or only its diagonal. State: {"columns": d, "intercept": bool}."""

    full: bool

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Matrix]]:
        columns, intercept = self.state["columns"], self.state["intercept"]
        yield 0, second_moments(block["X"], columns, intercept, self.full)

    reduce = mr.Sum()


def second_moments(X: Matrix, columns: int, intercept: bool, full: bool) -> Matrix:
    """X'X of rows (n, k <= columns) widened to `columns`, then to a last column of ones."""
    wide = widened(X, columns + intercept)
    if intercept:
        wide[:, -1] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        return wide.T @ wide if full else np.einsum("ij,ij->j", wide, wide)


class SteepestRound(mr.Job):
    """The largest eigenvalue of the partitions' own X'X / n, or the largest bound of one."""

    full: bool

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, float]]:
        columns, intercept = self.state["columns"], self.state["intercept"]
        moments = second_moments(block["X"], columns, intercept, self.full) / max(len(block), 1)
        yield 0, _largest(moments)

    reduce = mr.Max()


class LongestRound(mr.Job):
    """The largest squared length of a row. State: {"intercept": bool}, for one more 1 in each."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, float]]:
        X = block["X"]
        with np.errstate(over="ignore"):
            squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
        yield 0, float(squares.max(initial=0.0)) + self.state["intercept"]

    reduce = mr.Max()


def advice(failure: NotFinite, problem: Problem, data: LabeledData, strain: Strain) -> str:
    """The message for a descent that failed: what happened, why, and what to do."""
    return (
        f"SGD diverged: {failure.what} at iteration {failure.iteration} with "
        f"step={problem.schedule.step:g}. {_what_to_do(failure, problem, data, strain)}"
    )


def _what_to_do(failure: NotFinite, problem: Problem, data: LabeledData, strain: Strain) -> str:
    if data.summary().bad_rows:
        return "The data holds NaN or infinity; remove those rows."
    if not isinstance(problem.model, Linear):
        if failure.at_start:
            return AT_START
        return (
            "Nothing bounds the curvature of a network: pass a tenth of the step, or scale the "
            "features to mean 0 and variance 1."
        )
    intercept = problem.model.intercept
    curvature = curvature_of(data, intercept)
    if not isfinite(curvature.largest):
        return OVERFLOW
    if failure.at_start:
        return AT_START
    bound = bend_of(problem.model, data)
    rows = steepest(data, intercept) if strain.apart else curvature.largest
    restless = unrest(problem.model, problem.batches, data, strain.apart)
    bent = rows * bound + float(np.max(problem.penalty.l2, initial=0.0))
    uneven = varies(problem.model)
    safe_step = problem.optimizer.stable_step(bent, strain.staleness, restless, uneven)
    if safe_step == 0.0:
        return OVERFLOW
    if problem.schedule.step > safe_step:
        exact = curvature.exact and not strain.apart
        return (
            f"{_name_of(problem, strain, restless > 0, exact)} for this data is "
            f"{_rounded_down(safe_step)}: pass that, or scale the features to mean 0 and variance "
            f"1 (the largest now is feature {curvature.largest_feature}, root mean square "
            f"{curvature.root_mean_square:.3g})."
        )
    if not problem.batches.whole:
        return (
            "That step is safe for the data as a whole but not for every mini-batch: halve the "
            "step, make the mini-batches larger, or scale the features."
        )
    if isinstance(failure, RanAway) or failure.iteration > 1:  # It began with a finite loss.
        return "Pass a tenth of the step, or scale the features down."
    return AT_START


def _name_of(problem: Problem, strain: Strain, restless: bool, exact: bool) -> str:
    bound = problem.model.objective.curvature
    if bound == 0.0:
        return "A step of the right size"
    if not isfinite(bound):
        return "A step that is safe near the solution"
    if strain.staleness:
        old = f"{strain.staleness} update{'s' * (strain.staleness > 1)} old"
        return f"A step that bears gradients {old}, as they may be,"
    if restless:
        return "A step that mini-batches of that size bear"
    largest = exact and not varies(problem.model)
    return "The largest safe step" if largest else "A step that is surely safe"


def bend_of(model: Model, data: LabeledData) -> float:
    """How strongly a loss bends in the score, at most.

    The hinge and the quantile loss have corners instead; 1 is right in the order of magnitude. The
    Poisson loss bends by the mean count, near the solution at most by the largest.
    """
    curvature = model.objective.curvature
    return curvature or 1.0 if isfinite(curvature) else max(data.summary().label_max, 1.0)


def varies(model: Model) -> bool:
    """Whether its loss bends more at some scores than at others."""
    return model.objective.name != "squared"


@dataclass(frozen=True)
class Curvature:
    """The largest eigenvalue of H = X'X / n, or if not `exact` a bound above it."""

    largest: float
    exact: bool
    largest_feature: int  # counted from 1, as in the file
    root_mean_square: float


@np.errstate(over="ignore", invalid="ignore")  # what overflows is told below
def curvature_of(data: LabeledData, intercept: bool) -> Curvature:
    """Find the curvature in one round; exact up to FULL_MATRIX_COLUMNS columns."""
    columns = data.features
    full = columns <= FULL_MATRIX_COLUMNS
    state = {"columns": columns, "intercept": intercept}
    [(_, sums)] = data.dataset.round(SecondMomentRound(full=full), state=state)
    moments = sums / data.count()
    if not np.isfinite(moments).all():
        return Curvature(inf, full, 0, inf)
    mean_squares: Vector = np.diagonal(moments) if full else moments
    features = mean_squares[:columns]
    return Curvature(
        _largest(moments),
        exact=full,
        largest_feature=int(features.argmax()) + 1 if columns else 0,
        root_mean_square=float(np.sqrt(features.max(initial=0.0))),
    )


def steepest(data: LabeledData, intercept: bool) -> float:
    """The largest curvature of a partition, or a bound above it; one round."""
    columns = data.features
    state = {"columns": columns, "intercept": intercept}
    job = SteepestRound(full=columns <= FULL_MATRIX_COLUMNS)
    [(_, largest)] = data.dataset.round(job, state=state)
    return float(largest)


def unrest(model: Linear, batches: Batches, data: LabeledData, apart: bool) -> float:
    """R^2 / b times the bend of the loss: how much mini-batches differ in curvature.

    0.0 where every step sees all rows, and for a loss whose slopes are bounded: it does not run
    away from a mini-batch. Members that step `apart` draw from a partition each; b is at least 1.
    """
    if batches.whole or not model.objective.steep:
        return 0.0
    rows = batches.fraction * data.count() if batches.rows is None else batches.rows
    if apart:
        rows /= data.dataset.partitions
    [(_, longest)] = data.dataset.round(LongestRound(), state={"intercept": model.intercept})
    return bend_of(model, data) * float(longest) / max(rows, 1.0)


def _largest(moments: Matrix) -> float:
    """The largest eigenvalue of a matrix, or the trace of one whose diagonal this is."""
    full = moments.ndim == 2
    return float(np.linalg.eigvalsh(moments).max(initial=0.0) if full else moments.sum())


def _rounded_down(step: float) -> str:
    """Two digits, never above `step`, so that the number printed is safe too."""
    unit = 10.0 ** (floor(log10(step)) - 1)
    return f"{floor(step / unit) * unit:.2g}"
