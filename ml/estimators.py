"""Regression and classification in scikit-learn's manner: fit, predict, score, partial_fit.

    from ml import DescentClassifier

    classifier = DescentClassifier(penalty="l2", strength=0.01).fit(X, y)
    classifier.score(X_test, y_test)
    DescentClassifier(strategy="ssp:4").fit("data.libsvm")

They are `train` under the names that scikit-learn's tools know: its pipelines, searches and cross
validation take them, and its `check_estimator` passes, without a need of scikit-learn here. X is an
array (n, d) with y (n,), or, without y, LabeledData or the name of a file.

loss: for a regression "squared", "huber", "quantile" or "poisson"; for a classification "logistic"
    (softmax for more than two classes), "hinge", "squared_hinge" or "softmax".
hidden, activation: sizes of the hidden layers of a network; none, (), for a linear model.
fit_intercept: whether a linear model has constant terms.
strategy: how the descent is distributed, as for `train`. None: arrays are trained on in this
    process, files and LabeledData by "sync".
step: the first step; None: half of the largest safe one, found in a round or two (easy_step.py).
partitions: into how many a file, or arrays with a strategy, are cut.
warm_start: whether `fit` goes on from what the last one found.
The others, and what they raise, are those of `train`.

`partial_fit` makes one step on the rows it is given, and remembers what its optimizer does: k of
them on the same rows end where `fit` with k iterations does. With another optimizer, schedule or
step it goes on from the parameters alone. If no step is named it is one for the rows of the first
call: for a stream of a few rows at a time, name one. After fitting there are `trained_`, a Trained
that can be saved, `history_`, its losses, `n_features_in_`, the `coef_` and `intercept_` of a
linear model, and the `classes_` of a classification, rising. Of a table whose columns have names,
as pandas and csv files have them, these are `feature_names_in_`, and others are refused later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml import scikit
from ml.arguments import choice
from ml.array_inputs import (
    Labels,
    class_labels_of,
    features_of,
    names_of,
    refuse_fractions,
    targets_of,
)
from ml.class_labels import all_labels, check_known, classes_in, encoded
from ml.descent import OnStep
from ml.errors import ArgumentError
from ml.estimator_core import (
    StepByStep,
    brought,
    closing,
    descend,
    fitted,
    is_resident,
    make_step,
    matrix_and_offsets,
    model_of,
    names_in,
    opened,
    opened_again,
    predicted,
    refuse_labels,
)
from ml.labeled_data import LabeledData
from ml.losses import sigmoid
from ml.metrics import RegressionMetrics
from ml.models import Model
from ml.optimizers import Optimizer
from ml.schedules import Schedule
from ml.strategies import Strategy
from ml.training import Trained
from ml.vectors import Matrix, Vector

REGRESSIONS = ("squared", "huber", "quantile", "poisson")
CLASSIFICATIONS = ("logistic", "hinge", "squared_hinge", "softmax")


@dataclass(eq=False)
class DescentRegressor:
    """Predicts numbers. The parameters are those that this module opens with."""

    loss: str = "squared"
    loss_parameter: float | None = None
    hidden: tuple[int, ...] = ()
    activation: str = "tanh"
    fit_intercept: bool = True
    strategy: str | Strategy | None = None
    optimizer: str | Optimizer = "nesterov"
    schedule: str | Schedule = "constant"
    step: float | None = None
    penalty: str | None = None
    strength: float = 0.0
    l1_ratio: float = 0.5
    iterations: int = 200
    fraction: float = 1.0
    batch_rows: int | None = None
    tolerance: float = 0.0
    warm_start: bool = False
    partitions: int = 8
    seed: int = 42
    on_step: OnStep | None = None

    trained_: Trained = field(init=False, repr=False)
    n_features_in_: int = field(init=False, repr=False)
    history_: list[float] = field(init=False, repr=False)
    _steps: StepByStep | None = field(init=False, repr=False)

    get_params = scikit.get_params
    set_params = scikit.set_params
    feature_names_in_ = property(names_in)

    def __sklearn_tags__(self) -> Any:
        return scikit.tags("regressor")

    def fit(self, X: Any, y: Any = None) -> "DescentRegressor":
        """Train on rows X (n, d) and numbers y (n,), or on resident rows."""
        with self._rows(X, y) as data:
            descend(self, self._model(), data)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "DescentRegressor":
        """Make one step more, on these rows."""
        with self._rows(X, y) as data:
            make_step(self, self._model(), data)
        return self

    def predict(self, X: Any) -> Vector:
        """The number expected of each row: (n,)."""
        return predicted(self, X)

    def score(self, X: Any, y: Any = None) -> float:
        """r2 of the predictions: 1 if all are right, 0 for those of the mean.

        Labels that are all the same have no r2: 0 as well unless all are right, as in scikit-learn.
        """
        if is_resident(X):
            refuse_labels(y)
            with opened_again(self, X) as data:
                return _r2(self.predict(data), all_labels(data))
        predictions = self.predict(X)
        return _r2(predictions, targets_of(y, len(predictions)))

    @property
    def coef_(self) -> Vector:
        """The weights (d,) of a linear model."""
        weights: Vector = matrix_and_offsets(fitted(self))[0][0]
        return weights

    @property
    def intercept_(self) -> float:
        """The constant term of a linear model."""
        return float(matrix_and_offsets(fitted(self))[1][0])

    def _model(self) -> Model:
        choice("loss", self.loss, REGRESSIONS)
        return model_of(self, self.loss, parameter=self.loss_parameter)

    @contextmanager
    def _rows(self, X: Any, y: Any) -> Iterator[LabeledData]:
        if is_resident(X):
            refuse_labels(y)
            with opened(self, X) as data:
                yield data
            return
        features = features_of(X)
        with brought(self, features, targets_of(y, len(features)), names_of(X)) as data:
            yield data


@dataclass(eq=False)
class DescentClassifier:
    """Tells classes apart. The parameters are those that this module opens with."""

    loss: str = "logistic"
    hidden: tuple[int, ...] = ()
    activation: str = "tanh"
    fit_intercept: bool = True
    strategy: str | Strategy | None = None
    optimizer: str | Optimizer = "nesterov"
    schedule: str | Schedule = "constant"
    step: float | None = None
    penalty: str | None = None
    strength: float = 0.0
    l1_ratio: float = 0.5
    iterations: int = 200
    fraction: float = 1.0
    batch_rows: int | None = None
    tolerance: float = 0.0
    warm_start: bool = False
    partitions: int = 8
    seed: int = 42
    on_step: OnStep | None = None

    trained_: Trained = field(init=False, repr=False)
    classes_: Labels = field(init=False, repr=False)
    n_features_in_: int = field(init=False, repr=False)
    history_: list[float] = field(init=False, repr=False)
    _steps: StepByStep | None = field(init=False, repr=False)

    get_params = scikit.get_params
    set_params = scikit.set_params
    feature_names_in_ = property(names_in)

    def __sklearn_tags__(self) -> Any:
        return scikit.tags("classifier", multi_class="hinge" not in self.loss)

    def fit(self, X: Any, y: Any = None) -> "DescentClassifier":
        """Train on rows X (n, d) and classes y (n,), numbers or texts, or on resident rows."""
        last = getattr(self, "classes_", None) if self.warm_start else None
        with self._rows(X, y, None) as (data, classes):
            if last is not None and not np.array_equal(last, classes):
                raise ArgumentError(
                    f"with warm_start, y must hold the classes of the last fit, {last.tolist()}"
                )
            descend(self, self._model(classes), data)
        self.classes_ = classes
        return self

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> "DescentClassifier":
        """Make one step more, on these rows; the first call says which `classes` there will be.

        Without `classes` they are those of the first rows.
        """
        known = getattr(self, "classes_", None if classes is None else np.unique(classes))
        with self._rows(X, y, known) as (data, found):
            if classes is not None and not np.array_equal(np.unique(classes), found):
                raise ArgumentError("classes must be those of the first call of partial_fit")
            make_step(self, self._model(found), data)
        self.classes_ = found
        return self

    def predict(self, X: Any) -> Labels:
        """The class of each row: (n,)."""
        codes = predicted(self, X).astype(np.intp)
        return self.classes_[codes]

    def decision_function(self, X: Any) -> Vector | Matrix:
        """Scores (n,) of the second of two classes, above 0 where it is predicted, or (n, k)."""
        scores = predicted(self, X, scores=True)
        two = scores.ndim == 2 and scores.shape[1] == 2
        return scores[:, 1] - scores[:, 0] if two else scores

    @property
    def predict_proba(self) -> Any:
        """The probability (n, k) of each class, as a function of X; of logistic and softmax."""
        if self.loss not in ("logistic", "softmax"):
            raise AttributeError(f"the {self.loss} loss gives no probabilities")

        def predict_proba(X: Any) -> Matrix:  # scikit-learn's stacking asks for it by its own name
            return self._probabilities(X)

        return predict_proba

    def score(self, X: Any, y: Any = None) -> float:
        """The share of the rows that are predicted rightly."""
        if is_resident(X):
            refuse_labels(y)
            with opened_again(self, X) as data:
                return float((self.predict(data) == all_labels(data)).mean())
        predictions = self.predict(X)
        return float((predictions == class_labels_of(y, len(predictions))).mean())

    @property
    def coef_(self) -> Matrix:
        """The weights of a linear model: (k, d) by the softmax loss, which more than two classes
        always have, else (1, d)."""
        return matrix_and_offsets(fitted(self))[0]

    @property
    def intercept_(self) -> Vector:
        """The constant terms of a linear model: (1,) or (k,)."""
        return matrix_and_offsets(fitted(self))[1]

    def _model(self, classes: Labels) -> Model:
        loss = choice("loss", self.loss, CLASSIFICATIONS)
        if len(classes) < 2:
            raise ArgumentError("y holds one class only: there is nothing to tell apart")
        if len(classes) > 2 and "hinge" in loss:
            raise ArgumentError(
                f"Only binary classification is supported by the {loss} loss, and y holds "
                f"{len(classes)} classes: use loss='logistic'"
            )
        several = loss == "softmax" or len(classes) > 2
        return model_of(self, "softmax", len(classes)) if several else model_of(self, loss)

    def _probabilities(self, X: Any) -> Matrix:
        scores = predicted(self, X, scores=True)
        if scores.ndim == 1:
            of_second = sigmoid(scores)
            return np.column_stack([1.0 - of_second, of_second])
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: Matrix = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    @contextmanager
    def _rows(self, X: Any, y: Any, classes: Labels | None) -> Iterator[tuple[LabeledData, Labels]]:
        """The rows with the number of its class as each label, and the classes, if not known."""
        if is_resident(X):
            refuse_labels(y)
            with opened(self, X) as data:
                found = classes_in(data) if classes is None else classes
                refuse_fractions(found)
                with closing(encoded(data, found)) as numbered:
                    yield numbered, found
            return
        features = features_of(X)
        labels = class_labels_of(y, len(features))
        found = np.unique(labels)
        if classes is not None:
            check_known(found, classes)
            found = classes
        codes = np.searchsorted(found, labels).astype(np.float64)
        with brought(self, features, codes, names_of(X)) as data:
            yield data, found


def _r2(predictions: Vector, labels: Vector) -> float:
    if len(labels) and (labels == labels[0]).all():
        return float(np.array_equal(predictions, labels))
    return RegressionMetrics(predictions, labels).r2
