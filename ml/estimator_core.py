"""What the estimators have in common: where their rows come from, and how they descend.

Rows come as arrays, as the name of a file, or as LabeledData. Arrays without a strategy are trained
on here, by the descent of one process; it is what `minimr compare` measures the others against, and
for arrays that fit into this process often the fastest. With a strategy they go to the cluster.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np

from ml.arguments import yes_or_no
from ml.array_inputs import (
    Labels,
    features_of,
    names_of,
    refuse_other_width,
)
from ml.comparison import alone
from ml.descent import Descent, OnStep, Trace
from ml.easy_step import easy_step
from ml.errors import ArgumentError
from ml.gradient import GradientRound
from ml.labeled_data import LabeledData
from ml.loading import arrays_at_the_workers, load_file
from ml.local_data import LocalDataset, local_data
from ml.models import Linear, Model, MultilayerPerceptron
from ml.optimizers import Optimizer
from ml.penalties import find_penalty
from ml.prediction import check_features, check_names
from ml.problem import Problem
from ml.schedules import Schedule
from ml.scikit import not_fitted
from ml.strategies import Strategy
from ml.strategies.sync import one_round
from ml.tables import refuse_narrow_table
from ml.training import Trained, batches_of, train
from ml.vectors import Matrix, Vector

FOREVER = 2**53
"""More steps than anybody takes one by one."""

Resident = LabeledData | str | os.PathLike[str]


class Estimator(Protocol):
    """The parameters that both estimators have; estimators.py says what they mean."""

    loss: str
    hidden: tuple[int, ...]
    activation: str
    fit_intercept: bool
    strategy: str | Strategy | None
    optimizer: str | Optimizer
    schedule: str | Schedule
    step: float | None
    penalty: str | None
    strength: float
    l1_ratio: float
    iterations: int
    fraction: float
    batch_rows: int | None
    tolerance: float
    warm_start: bool
    partitions: int
    seed: int
    on_step: OnStep | None
    trained_: Trained
    n_features_in_: int
    history_: list[float]
    _steps: "StepByStep | None"


def model_of(
    estimator: Estimator, loss: str, classes: int = 2, parameter: float | None = None
) -> Model:
    """A linear model, or a network if there are hidden layers."""
    if np.size(estimator.hidden):
        return MultilayerPerceptron(
            estimator.hidden, loss, estimator.activation, classes, parameter
        )
    intercept = yes_or_no("fit_intercept", estimator.fit_intercept)
    return Linear(loss, intercept, classes, parameter)


def is_resident(X: object) -> TypeGuard[Resident]:
    """Whether X are rows at the workers, or a file that can be brought there."""
    return isinstance(X, LabeledData | str | os.PathLike)


@contextmanager
def opened(estimator: Estimator, X: Resident) -> Iterator[LabeledData]:
    """Resident rows; those of a file as long as the block lasts."""
    if isinstance(X, LabeledData):
        yield X
        return
    with closing(load_file(X, partitions=estimator.partitions)) as data:
        yield data


@contextmanager
def opened_again(estimator: Estimator, X: Resident) -> Iterator[LabeledData]:
    """Resident rows to predict. Raises UsageError for a table that is too narrow."""
    expected = fitted(estimator).features
    with opened(estimator, X) as data:
        if not isinstance(X, LabeledData) and data.count():
            refuse_narrow_table(X, None, data.features, expected)
        yield data


@contextmanager
def brought(
    estimator: Estimator, X: Matrix, y: Vector, feature_names: list[str]
) -> Iterator[LabeledData]:
    """Arrays as rows in this process or, if there is a strategy, at the workers."""
    here = estimator.strategy is None
    place = arrays_at_the_workers(X, y, estimator.partitions)
    with nullcontext(local_data(X, y)) if here else place as data:
        data.feature_names = feature_names
        yield data


@contextmanager
def closing(data: LabeledData) -> Iterator[LabeledData]:
    """Rows that are given back when the block ends."""
    try:
        yield data
    finally:
        data.dataset.close()


def refuse_labels(y: object) -> None:
    """Raise ArgumentError for labels beside rows that have theirs."""
    if y is not None:
        raise ArgumentError("a file or LabeledData has its labels already: leave y out")


def descend(estimator: Estimator, model: Model, data: LabeledData) -> None:
    """A whole training; from where the last one ended if `warm_start`."""
    goes_on = yes_or_no("warm_start", estimator.warm_start)
    start = _last_end(estimator, model, data) if goes_on else None
    here = isinstance(data.dataset, LocalDataset)
    strategy = estimator.strategy or (alone if here else "sync")
    step = step_for(estimator, model, data)
    trained = train(model, data, strategy, start=start, **_settings(estimator, step))
    _keep(estimator, trained, None, goes_on=start is not None)


def make_step(estimator: Estimator, model: Model, data: LabeledData) -> None:
    """One step more on this data, whatever came before it."""
    start = _last_end(estimator, model, data)
    steps = getattr(estimator, "_steps", None)
    asked = (estimator.optimizer, estimator.schedule, estimator.step)
    if steps is None or steps.asked != asked:
        steps = StepByStep(step_for(estimator, model, data), asked)
    trained = steps.go_on(estimator, model, data, start)
    _keep(estimator, trained, steps, goes_on=start is not None)


@dataclass
class StepByStep:
    """A training whose steps are asked for one by one, each on rows of its own.

    It is a strategy: one step of "sync", from where the last one ended.
    """

    step: float
    asked: tuple[str | Optimizer, str | Schedule, float | None]
    """Optimizer, schedule and step. What was remembered for these is of no use to others."""
    saved: dict[str, Any] | None = None

    def go_on(
        self, estimator: Estimator, model: Model, data: LabeledData, start: Vector | None
    ) -> Trained:
        """One step on this data; the first one from `start`."""
        settings = _settings(estimator, self.step)
        settings |= {"iterations": FOREVER, "tolerance": 0.0}
        return train(model, data, self, start=start, **settings)

    def __call__(
        self, problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
    ) -> Trace:
        """What `train` calls."""
        if self.saved is None:
            descent = Descent(problem, start, on_step)
        else:
            descent = Descent.resumed(problem, self.saved, on_step)
        one_round(descent, GradientRound(problem=problem.options()), data)
        self.saved = descent.saved() | {"ended": False}
        return descent.trace()


def step_for(estimator: Estimator, model: Model, data: LabeledData) -> float:
    """The step that was asked for, or one that suits the data."""
    if estimator.step is not None or isinstance(estimator.schedule, Schedule):
        return 1.0 if estimator.step is None else estimator.step
    penalty = find_penalty(estimator.penalty, estimator.strength, estimator.l1_ratio)
    optimizer = estimator.optimizer
    known = optimizer if isinstance(optimizer, Optimizer) else Optimizer(optimizer)
    batches = batches_of(estimator.seed, estimator.fraction, estimator.batch_rows)
    return easy_step(model, data, known, penalty, estimator.strategy or "sync", batches)


def _settings(estimator: Estimator, step: float) -> dict[str, Any]:
    """The arguments of `train` that an estimator has under the same names."""
    names = ("optimizer", "schedule", "penalty", "strength", "l1_ratio", "iterations", "fraction")
    more = ("batch_rows", "tolerance", "seed", "on_step")
    return {"step": step, **{name: getattr(estimator, name) for name in (*names, *more)}}


def _keep(estimator: Estimator, trained: Trained, steps: StepByStep | None, goes_on: bool) -> None:
    """Set what a training found, and what the next single step needs to know of those before. One
    that `goes_on` with rows whose features have no names has those of the last."""
    estimator._steps = steps
    if goes_on and not trained.feature_names:
        trained.feature_names = estimator.trained_.feature_names
    estimator.trained_ = trained
    estimator.n_features_in_ = trained.features
    estimator.history_ = trained.loss_history


def names_in(estimator: Estimator) -> Labels:
    """What the features were called that were fitted (d,). AttributeError if nobody said it."""
    trained = getattr(estimator, "trained_", None)
    if trained is None or not trained.feature_names:
        raise AttributeError("the rows that were fitted have no names for their features")
    return np.array(trained.feature_names, dtype=object)


def fitted(estimator: Estimator) -> Trained:
    """What a training found. Raises NotFitted, or scikit-learn's NotFittedError, before one."""
    if not hasattr(estimator, "trained_"):
        raise not_fitted(estimator)
    return estimator.trained_


def _last_end(estimator: Estimator, model: Model, data: LabeledData) -> Vector | None:
    """The parameters that the last training found, if there was one.

    Raises ArgumentError where another cannot go on from there.
    """
    if not hasattr(estimator, "trained_"):
        return None
    refuse_other_width(data.features, estimator.n_features_in_, estimator)
    check_features(estimator.trained_, data)
    if estimator.trained_.model != model:
        raise ArgumentError(
            f"the last training was of {estimator.trained_.model}, this one is of {model}: it "
            "cannot go on from there; call fit without warm_start"
        )
    return estimator.trained_.parameters


def predicted(estimator: Estimator, X: Any, scores: bool = False) -> Vector:
    """Predictions (n,), or scores, for arrays or resident rows."""
    trained = fitted(estimator)
    of = trained.scores if scores else trained.predict
    if is_resident(X):
        with opened_again(estimator, X) as data:
            return np.asarray(of(data))
    rows = features_of(X)
    refuse_other_width(rows.shape[1], estimator.n_features_in_, estimator)
    check_names(trained, names_of(X))
    return np.asarray(of(rows))


def matrix_and_offsets(trained: Trained) -> tuple[Matrix, Vector]:
    """Weights (outputs, d) and intercepts (outputs,) of a linear model. AttributeError if none."""
    model = trained.model
    if not isinstance(model, Linear):
        raise AttributeError("a network has no coef_ and no intercept_: see trained_.parameters")
    rows = trained.parameters.reshape(model.outputs, -1)
    if not model.intercept:
        return rows, np.zeros(model.outputs)
    return rows[:, :-1], rows[:, -1]
