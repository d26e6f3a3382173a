"""What the estimators with MLlib's names have in common: MLlib's defaults, rules and surprises.

MLlib's gradient descent differs from what `train` does by default in three ways that show in the
numbers: the intercept is a column of ones whose weight starts at 1.0, is penalised like the others,
and the step of iteration i is step / sqrt(i) whatever the loss.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt

from ml.arguments import choice, number, start_vector, whole_number, yes_or_no
from ml.batches import Batches
from ml.checks import check_labels, check_rows, with_shape_of
from ml.labeled_data import LabeledData
from ml.models import Linear
from ml.penalties import find_penalty
from ml.problem import Problem
from ml.schedules import Schedule
from ml.strategies import Strategy
from ml.strategies.sync import sync
from ml.training import descend
from ml.vectors import Vector

Callback = Callable[[int, float, Vector], object]
REG_TYPES = (None, "l1", "l2")


@dataclass(frozen=True)
class Settings:
    """The arguments of `train` that shape the descent, in MLlib's words."""

    iterations: int
    step: float
    mini_batch_fraction: float
    reg_param: float
    reg_type: str | None
    intercept: bool
    convergence_tol: float
    seed: int


@dataclass
class Weights:
    """What a descent found: weights (d,), an intercept, the losses on the way, and the names of the
    features, if the files say them."""

    weights: Vector
    intercept: float
    loss_history: list[float]
    feature_names: list[str]


def fit(
    loss: str,
    data: LabeledData,
    settings: Settings,
    initial_weights: npt.ArrayLike | None,
    validate: bool,
    callback: Callback | None,
    strategy: Strategy = sync,
) -> Weights:
    """Train a linear model as MLlib does. Raises ArgumentError and Diverged."""
    problem = _problem(loss, settings)
    _warn_of_idle_penalty(settings)
    validate = yes_or_no("validateData", validate)
    check_rows(data, validate)
    if validate:
        check_labels(problem.model, data)
    _warn_of_one_class(problem, data)
    problem = with_shape_of(data, problem)
    start = _start(initial_weights, problem)

    def on_step(iteration: int, loss: float, parameters: Vector) -> None:
        if callback is not None:
            callback(iteration, loss, parameters)

    trace = descend(problem, data, start, strategy, on_step)
    weights, intercept = trace.parameters, 0.0
    if settings.intercept:
        weights, intercept = weights[:-1].copy(), float(weights[-1])
    return Weights(weights, intercept, trace.loss_history, list(data.feature_names))


def _problem(loss: str, settings: Settings) -> Problem:
    iterations = whole_number("iterations", settings.iterations)
    schedule = Schedule("mllib", number("step", settings.step, lambda v: v > 0, "> 0"))
    reg_type = choice("regType", settings.reg_type, REG_TYPES)
    reg_param = number("regParam", settings.reg_param, lambda v: v >= 0, ">= 0")
    tolerance = number(
        "convergenceTol", settings.convergence_tol, lambda v: 0 <= v <= 1, "in [0, 1]"
    )
    fraction = number(
        "miniBatchFraction", settings.mini_batch_fraction, lambda v: 0 < v <= 1, "in (0, 1]"
    )
    return Problem(
        Linear(
            loss,
            intercept=yes_or_no("intercept", settings.intercept),
            intercept_start=1.0,
            penalise_intercept=True,
        ),
        features=0,
        penalty=find_penalty(reg_type, reg_param),
        schedule=schedule,
        iterations=iterations,
        batches=Batches(whole_number("seed", settings.seed), fraction),
        tolerance=tolerance,
    )


def _start(initial_weights: npt.ArrayLike | None, problem: Problem) -> Vector:
    start = problem.model.start(problem.features, 0)
    if initial_weights is not None:
        start[: problem.features] = start_vector(
            "initialWeights", initial_weights, problem.features, "features"
        )
    return start


def _warn_of_idle_penalty(settings: Settings) -> None:
    if settings.reg_param > 0 and settings.reg_type is None:
        _warn(
            f"regParam={settings.reg_param:g} has no effect, because regType is None (MLlib's "
            'default): pass regType="l2" or regType="l1" to penalise large weights'
        )


def _warn_of_one_class(problem: Problem, data: LabeledData) -> None:
    summary = data.summary()
    if problem.model.objective.takes_classes and summary.label_min == summary.label_max:
        _warn(
            f"every label is {summary.label_min:g}: with one class there is nothing to tell apart, "
            "and the model may predict the other one all the same; train on rows of both"
        )


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=5)  # past fit and train, to the line that called train
