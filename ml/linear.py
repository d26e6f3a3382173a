"""Linear regression by gradient descent, with the arguments and the results of Spark's MLlib.

`LinearRegressionWithSGD.train` is the seed program of this project: every iteration broadcasts the
weights, runs one MapReduce round that adds up the gradient (gradient.py), and takes one step
(sgd.py, updaters.py). The data never moves.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import choice, number, start_weights, whole_number
from ml.divergence import advice
from ml.errors import ArgumentError, Diverged
from ml.gradient import GradientRound, sums_from
from ml.labeled_data import LabeledData
from ml.losses import Vector, linear_scores
from ml.model_file import read_model, write_model
from ml.sgd import NotFinite, Settings, Sums, descend
from ml.updaters import UPDATERS

Callback = Callable[[int, float, Vector], None]


class PredictionRound(mr.Job):
    """Predictions per partition, keyed by its number. State: {"weights": (d,), "intercept": b}."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        weights, intercept = self.state["weights"], self.state["intercept"]
        yield self.partition_index, linear_scores(block["X"], weights, intercept)


@dataclass(eq=False)
class LinearRegressionModel:
    """prediction = weights . x + intercept, with weights (d,), and how its training went."""

    weights: Vector
    intercept: float
    loss_history: list[float] = field(default_factory=list)

    def predict(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """A float for one row (d,), an array (n,) for rows (n, d) or for a LabeledData.

        Raises ArgumentError if the width is not the model's. LabeledData may be narrower: features
        that none of its rows has are zero.
        """
        if isinstance(x, LabeledData):
            return self._predict_resident(x)
        rows = _as_rows(x)
        if rows.shape[-1] != len(self.weights):
            raise _wrong_width(rows.shape[-1], len(self.weights))
        predictions = rows @ self.weights + self.intercept
        return float(predictions) if rows.ndim == 1 else predictions

    def _predict_resident(self, data: LabeledData) -> Vector:
        self.check_width(data.features)
        state = {"weights": self.weights, "intercept": self.intercept}
        parts = data.dataset.round(PredictionRound(), state=state)
        return np.concatenate([predictions for _, predictions in parts])

    def check_width(self, features: int) -> None:
        """Raise ArgumentError if data of so many features cannot be the model's."""
        if features > len(self.weights):
            raise _wrong_width(features, len(self.weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON; `load` gives back the same bits."""
        fields = {
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
            "loss_history": self.loss_history,
        }
        write_model(path, fields)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "LinearRegressionModel":
        """Read a model that `save` wrote. Raises UsageError for anything else."""
        fields = read_model(path)
        return cls(
            np.array(fields["weights"], dtype=np.float64),
            float(fields["intercept"]),
            [float(loss) for loss in fields["loss_history"]],
        )


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

        Raises ArgumentError for an argument outside its range, Diverged when the descent leaves
        the finite numbers.
        """
        settings = Settings(
            whole_number("iterations", iterations),
            number("step", step, lambda v: v > 0, "> 0"),
            UPDATERS[choice("regType", regType, tuple(UPDATERS))],
            number("regParam", regParam, lambda v: v >= 0, ">= 0"),
            number("convergenceTol", convergenceTol, lambda v: 0 <= v <= 1, "in [0, 1]"),
        )
        fraction = number("miniBatchFraction", miniBatchFraction, lambda v: 0 < v <= 1, "in (0, 1]")
        job = GradientRound(
            intercept=bool(intercept), fraction=fraction, seed=whole_number("seed", seed)
        )
        _warn_of_idle_penalty(regParam, regType)
        _check_rows(data, validateData)
        start = start_weights(initialWeights, data.features)
        if job.intercept:
            start = np.append(start, 1.0)

        def sums_at(weights: Vector, iteration: int) -> Sums:
            state = {"weights": weights, "iteration": iteration}
            [(_, vector)] = data.dataset.round(job, state=state)
            return sums_from(vector)

        try:
            trace = descend(sums_at, start, settings, callback)
        except NotFinite as failure:
            l2_param = settings.reg_param if regType == "l2" else 0.0
            raise Diverged(advice(failure, data, job, settings.step, l2_param)) from None
        return _model(trace.weights, trace.loss_history, job.intercept)


def _model(weights: Vector, loss_history: list[float], intercept: bool) -> LinearRegressionModel:
    if not intercept:
        return LinearRegressionModel(weights, 0.0, loss_history)
    return LinearRegressionModel(weights[:-1].copy(), float(weights[-1]), loss_history)


def _warn_of_idle_penalty(reg_param: float, reg_type: str | None) -> None:
    if reg_param > 0 and reg_type is None:
        warnings.warn(
            f"regParam={reg_param:g} has no effect, because regType is None (MLlib's default): "
            'pass regType="l2" or regType="l1" to penalise large weights',
            stacklevel=3,
        )


def _check_rows(data: LabeledData, validate: bool) -> None:
    if not isinstance(data, LabeledData):
        raise ArgumentError(
            f"data must be LabeledData, as load_libsvm returns, but is {type(data).__name__}"
        )
    summary = data.summary()
    if summary.rows == 0:
        raise ArgumentError("data is empty: there is no row to learn from")
    if validate and summary.bad_rows:
        raise ArgumentError(
            f"{summary.bad_rows} of {summary.rows} rows of data hold NaN or infinity; remove them"
        )


def _as_rows(x: npt.ArrayLike) -> Vector:
    try:
        rows = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(())
    if rows.ndim not in (1, 2):
        raise ArgumentError("predict takes one row (d,), rows (n, d) or LabeledData")
    return rows


def _wrong_width(features: int, expected: int) -> ArgumentError:
    return ArgumentError(f"the rows have {features} features, but the model has {expected} weights")
