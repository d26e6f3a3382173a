"""Classification of two classes by gradient descent, as Spark's MLlib does it.

`LogisticRegressionWithSGD` and `SVMWithSGD` are the descent of linear.py with another loss. Labels
are 0 and 1. Both penalise the squares of the weights by default (regParam=0.01, regType="l2"), and
fit no intercept unless asked to, which few expect: without one, the border between the classes goes
through the origin.

A model has a `threshold`: a row whose score is above it is of class 1. The score is the probability
of class 1 for logistic regression, and the signed distance in units of the margin for the support
vector machine. After `clearThreshold()` `predict` gives the scores themselves.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml import prediction
from ml.arguments import number
from ml.labeled_data import LabeledData
from ml.losses import sigmoid
from ml.mllib import Callback, Settings, Weights, fit
from ml.model_file import is_finite_number, named, names_in, read_model, write_model
from ml.models import Linear
from ml.vectors import Vector

FORMAT = "minimr classification model"


@dataclass(frozen=True)
class Kind:
    """What a loss makes of weights . x + intercept, and above which score a row is of class 1."""

    score: Callable[[Vector], Vector]
    threshold: float


KINDS = {
    "logistic": Kind(sigmoid, 0.5),
    "hinge": Kind(lambda margins: margins, 0.0),
}


@dataclass(eq=False)
class ClassificationModel:
    """MLlib's LogisticRegressionModel (loss "logistic") and SVMModel ("hinge").

    weights (d,). Without a `threshold`, after `clearThreshold()`, `predict` gives scores.
    """

    loss: str
    weights: Vector
    intercept: float
    loss_history: list[float] = field(default_factory=list)
    threshold: float | None = None
    feature_names: list[str] = field(default_factory=list)
    """What the features are called, in order, if the files said it."""

    @property
    def model(self) -> Linear:
        """What `parameters` mean."""
        return Linear(self.loss, intercept=True)

    @property
    def parameters(self) -> Vector:
        """The weights, then the intercept: (d + 1,)."""
        return np.append(self.weights, self.intercept)

    @property
    def features(self) -> int:
        """d, the width of the rows."""
        return len(self.weights)

    def setThreshold(self, value: float) -> None:  # noqa: N802 - MLlib's name
        """Rows that score above `value` are of class 1."""
        self.threshold = number("threshold", value, lambda _: True, "that is finite")

    def clearThreshold(self) -> None:  # noqa: N802 - MLlib's name
        """From now on `predict` gives scores."""
        self.threshold = None

    def scores(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """A float for one row (d,), an array (n,) for rows (n, d) or for a LabeledData.

        The probability of class 1 (logistic), or the signed distance in margins (hinge).
        """
        margins = np.asarray(prediction.predict(self, x, scores=True))
        return _plain(KINDS[self.loss].score(margins))

    def predict(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """Classes 0.0 or 1.0, in the shape of `scores`; without a threshold the scores. NaN for a
        row that holds NaN.

        Raises ArgumentError if the width is not the model's.
        """
        scores = self.scores(x)
        if self.threshold is None:
            return scores
        called: Vector = np.where(np.isnan(scores), np.nan, scores > self.threshold)
        return _plain(called)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON or, under a name in .npz, as arrays; `load` gives back the same bits."""
        fields = {
            "loss": self.loss,
            "weights": self.weights,
            "intercept": self.intercept,
            "threshold": self.threshold,
            "loss_history": np.array(self.loss_history, float),
        }
        write_model(path, fields | named(self.feature_names), FORMAT)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ClassificationModel":
        """Read a model that `save` wrote. Raises UsageError for anything else."""
        fields = read_model(path, FORMAT)
        if fields.get("loss") not in list(KINDS):  # of which a value without a hash is none either
            raise mr.UsageError(f"{path} is damaged: 'loss' is none of {', '.join(KINDS)}.")
        threshold = fields.get("threshold", "lost")  # null, too, is a word about it
        if threshold is not None and not is_finite_number(threshold):
            raise mr.UsageError(
                f"{path} is damaged: 'threshold' is neither a finite number nor null."
            )
        return cls(
            fields["loss"],
            np.array(fields["weights"], dtype=np.float64),
            float(fields["intercept"]),
            [float(loss) for loss in fields["loss_history"]],
            threshold,
            names_in(fields, len(fields["weights"]), path),
        )


class LogisticRegressionWithSGD:
    """Spark's entry point; `train` is all there is."""

    @classmethod
    def train(
        cls,
        data: LabeledData,
        iterations: int = 100,
        step: float = 1.0,
        miniBatchFraction: float = 1.0,
        initialWeights: npt.ArrayLike | None = None,
        regParam: float = 0.01,
        regType: str | None = "l2",
        intercept: bool = False,
        validateData: bool = True,
        convergenceTol: float = 0.001,
        seed: int = 42,
        callback: Callback | None = None,
    ) -> ClassificationModel:
        """Fit the probability of label 1, sigmoid(weights . x + intercept), to labels 0 and 1.

        The arguments are those of `LinearRegressionWithSGD.train`; the order is MLlib's.
        """
        settings = Settings(
            iterations, step, miniBatchFraction, regParam, regType, intercept, convergenceTol, seed
        )
        found = fit("logistic", data, settings, initialWeights, validateData, callback)
        return _model("logistic", found)


class SVMWithSGD:
    """Spark's entry point; `train` is all there is."""

    @classmethod
    def train(
        cls,
        data: LabeledData,
        iterations: int = 100,
        step: float = 1.0,
        regParam: float = 0.01,
        miniBatchFraction: float = 1.0,
        initialWeights: npt.ArrayLike | None = None,
        regType: str | None = "l2",
        intercept: bool = False,
        validateData: bool = True,
        convergenceTol: float = 0.001,
        seed: int = 42,
        callback: Callback | None = None,
    ) -> ClassificationModel:
        """Fit a border between labels 0 and 1 that keeps a margin to both.

        The arguments are those of `LinearRegressionWithSGD.train`; the order is MLlib's.
        """
        settings = Settings(
            iterations, step, miniBatchFraction, regParam, regType, intercept, convergenceTol, seed
        )
        return _model("hinge", fit("hinge", data, settings, initialWeights, validateData, callback))


def _model(loss: str, found: Weights) -> ClassificationModel:
    return ClassificationModel(
        loss,
        found.weights,
        found.intercept,
        found.loss_history,
        KINDS[loss].threshold,
        found.feature_names,
    )


def _plain(values: Vector) -> "float | Vector":
    return float(values) if values.ndim == 0 else values
