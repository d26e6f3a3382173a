"""Linear regression by gradient descent, with the arguments and the results of Spark's MLlib.

`LinearRegressionWithSGD.train` is the seed program of this project: every iteration broadcasts the
weights, runs one MapReduce round that adds up the gradient (gradient.py), and takes one step
(descent.py, penalties.py). The data never moves. Lasso and ridge regression are the same with
another penalty by default.
"""

import os
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml import prediction
from ml.arguments import choice
from ml.gram import gram
from ml.labeled_data import LabeledData
from ml.mllib import Callback, Settings, Weights, fit
from ml.model_file import named, names_in, read_model, write_model
from ml.models import Linear
from ml.strategies.sync import sync
from ml.vectors import Vector


@dataclass(eq=False)
class LinearRegressionModel:
    """prediction = weights . x + intercept, with weights (d,), and how its training went."""

    weights: Vector
    intercept: float
    loss_history: list[float] = field(default_factory=list)
    feature_names: list[str] = field(default_factory=list)
    """What the features are called, in order, if the files said it."""

    @property
    def model(self) -> Linear:
        """What `parameters` mean."""
        return Linear("squared", intercept=True)

    @property
    def parameters(self) -> Vector:
        """The weights, then the intercept: (d + 1,)."""
        return np.append(self.weights, self.intercept)

    @property
    def features(self) -> int:
        """d, the width of the rows."""
        return len(self.weights)

    def predict(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """A float for one row (d,), an array (n,) for rows (n, d) or for a LabeledData.

        Raises ArgumentError if the width is not the model's. LabeledData may be narrower: features
        that none of its rows has are zero.
        """
        return prediction.predict(self, x)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON or, under a name in .npz, as arrays; `load` gives back the same bits."""
        fields = {
            "weights": self.weights,
            "intercept": self.intercept,
            "loss_history": np.array(self.loss_history, float),
        }
        write_model(path, fields | named(self.feature_names))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinearRegressionModel":
        """Read a model that `save` wrote. Raises UsageError for anything else."""
        fields = read_model(path)
        return cls(
            np.array(fields["weights"], dtype=np.float64),
            float(fields["intercept"]),
            [float(loss) for loss in fields["loss_history"]],
            names_in(fields, len(fields["weights"]), path),
        )


SOLVERS = {"rounds": sync, "gram": gram}


class LinearRegressionWithSGD:
    """Spark's entry point; `train` is all there is."""

    @classmethod
    def train(
        cls,
        data: LabeledData,
        iterations: int = 100,
        step: float = 1.0,
        miniBatchFraction: float = 1.0,
        initialWeights: npt.ArrayLike | None = None,
        regParam: float = 0.0,
        regType: str | None = None,
        intercept: bool = False,
        validateData: bool = True,
        convergenceTol: float = 0.001,
        seed: int = 42,
        callback: Callback | None = None,
        solver: str = "rounds",
    ) -> LinearRegressionModel:
        """Fit a linear model to `data` by mini-batch gradient descent, one round per iteration.

        step: the first step; iteration i uses step / sqrt(i).
        miniBatchFraction: chance of each row to be in an iteration's batch, in (0, 1]. Which rows
            that are follows from `seed`, the iteration and the partition alone.
        regType: None, "l2" or "l1"; with None `regParam` does nothing, as in MLlib.
        intercept: fit one, as a column of ones with initial weight 1.0 that is penalised too.
        validateData: refuse rows with NaN or infinity before training.
        convergenceTol: stop when an update is shorter than this times max(|weights|, 1); 0 never.
        callback: called as callback(iteration, loss, weights) with each entry of the loss
            history, at the weights (the intercept last) that have that loss.
        solver: "rounds", one for each iteration, or "gram", one for all: see gram.py.

        Raises ArgumentError for an argument outside its range, Diverged when the descent leaves
        the finite numbers, or ends on its way there with a loss a million times that of its start.
        """
        settings = Settings(
            iterations, step, miniBatchFraction, regParam, regType, intercept, convergenceTol, seed
        )
        strategy = SOLVERS[choice("solver", solver, tuple(SOLVERS))]
        return _model(
            fit("squared", data, settings, initialWeights, validateData, callback, strategy)
        )


class LassoWithSGD:
    """Least squares with an L1 penalty: many weights become exactly zero (Tibshirani 1996)."""

    @classmethod
    def train(
        cls,
        data: LabeledData,
        iterations: int = 100,
        step: float = 1.0,
        regParam: float = 0.01,
        miniBatchFraction: float = 1.0,
        initialWeights: npt.ArrayLike | None = None,
        intercept: bool = False,
        validateData: bool = True,
        convergenceTol: float = 0.001,
        seed: int = 42,
        callback: Callback | None = None,
    ) -> LinearRegressionModel:
        """Like `LinearRegressionWithSGD.train` with regType="l1"; the order is MLlib's."""
        settings = Settings(
            iterations, step, miniBatchFraction, regParam, "l1", intercept, convergenceTol, seed
        )
        return _model(fit("squared", data, settings, initialWeights, validateData, callback))


class RidgeRegressionWithSGD:
    """Least squares with an L2 penalty: all weights become smaller (Hoerl and Kennard 1970)."""

    @classmethod
    def train(
        cls,
        data: LabeledData,
        iterations: int = 100,
        step: float = 1.0,
        regParam: float = 0.01,
        miniBatchFraction: float = 1.0,
        initialWeights: npt.ArrayLike | None = None,
        intercept: bool = False,
        validateData: bool = True,
        convergenceTol: float = 0.001,
        seed: int = 42,
        callback: Callback | None = None,
    ) -> LinearRegressionModel:
        """Like `LinearRegressionWithSGD.train` with regType="l2"; the order is MLlib's."""
        settings = Settings(
            iterations, step, miniBatchFraction, regParam, "l2", intercept, convergenceTol, seed
        )
        return _model(fit("squared", data, settings, initialWeights, validateData, callback))


LassoModel = RidgeRegressionModel = LinearRegressionModel  # MLlib has a name for each


def _model(found: Weights) -> LinearRegressionModel:
    return LinearRegressionModel(
        found.weights, found.intercept, found.loss_history, found.feature_names
    )
