"""How well predictions fit: Spark's RegressionMetrics, from pairs or from one MapReduce round.

With y the observation, p the prediction and SST the sum of (y - mean(y))^2:

    meanSquaredError  mean (y - p)^2        rootMeanSquaredError  its square root
    meanAbsoluteError mean |y - p|          r2                    1 - sum (y - p)^2 / SST
    explainedVariance mean (p - mean(y))^2

The means are needed before the squares can be taken around them, which looks like two passes.
Chan, Golub and LeVeque (1979) need one: every part keeps its count, mean and sum of squares around
its *own* mean (`Moments`), and two parts merge exactly, without the cancellation that the textbook
sum(y^2) - n mean(y)^2 suffers. That makes the metrics a reduce.
"""

# ruff: noqa: N802 - the properties have Spark's names

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce as fold
from typing import TYPE_CHECKING, Any

import numpy as np

import minimr as mr
from ml.arguments import number_pairs, real_numbers
from ml.errors import ArgumentError
from ml.models import model_from
from ml.prediction import Predictor, check_features
from ml.vectors import Vector

if TYPE_CHECKING:
    from ml.labeled_data import LabeledData


@dataclass(frozen=True)
class Moments:
    """Mergeable statistics of pairs of prediction and observation.

    `*_spread` is the sum of squares around the mean; the errors are sums over the pairs. What
    overflows is infinite, or NaN where infinities are taken from each other.
    """

    rows: int
    prediction_mean: float
    prediction_spread: float
    observation_mean: float
    observation_spread: float
    squared_error: float
    absolute_error: float

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # an infinite figure says it
    def of(cls, predictions: Vector, observations: Vector) -> "Moments":
        """Moments of two vectors of shape (n,)."""
        if len(predictions) == 0:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        errors = observations - predictions
        return cls(
            len(predictions),
            *_mean_and_spread(predictions),
            *_mean_and_spread(observations),
            float(errors @ errors),
            float(np.abs(errors).sum()),
        )

    def merged(self, other: "Moments") -> "Moments":
        """Moments of both sets of pairs together."""
        if self.rows == 0 or other.rows == 0:
            return other if self.rows == 0 else self
        rows = self.rows + other.rows
        # Chan et al., formula 2.1: the distance of the two means becomes part of the spread.
        weight = self.rows * other.rows / rows
        prediction_gap = other.prediction_mean - self.prediction_mean
        observation_gap = other.observation_mean - self.observation_mean
        return Moments(
            rows,
            self.prediction_mean + prediction_gap * other.rows / rows,
            self.prediction_spread + other.prediction_spread + weight * _square(prediction_gap),
            self.observation_mean + observation_gap * other.rows / rows,
            self.observation_spread + other.observation_spread + weight * _square(observation_gap),
            self.squared_error + other.squared_error,
            self.absolute_error + other.absolute_error,
        )


class RegressionMetrics:
    """Quality of a regression, under Spark's names.

    `RegressionMetrics(pairs)` takes (prediction, observation) pairs, as a list or as an array of
    shape (n, 2); `RegressionMetrics(predictions, observations)` takes two arrays of shape (n,).
    """

    def __init__(self, pairs: Iterable[Any], observations: Iterable[Any] | None = None) -> None:
        if observations is None:
            predictions, observed = number_pairs("pairs", pairs, "prediction, observation").T
        else:
            predictions = _numbers("predictions", pairs)
            observed = _numbers("observations", observations)
            if predictions.ndim != 1 or predictions.shape != observed.shape:
                raise ArgumentError(
                    "predictions and observations must be two vectors of one length, but their "
                    f"shapes are {predictions.shape} and {observed.shape}"
                )
        self._set(Moments.of(predictions, observed))

    @classmethod
    def from_moments(cls, moments: Moments) -> "RegressionMetrics":
        """The metrics of statistics that were gathered elsewhere, as `evaluate` does."""
        metrics = cls.__new__(cls)
        metrics._set(moments)
        return metrics

    def _set(self, moments: Moments) -> None:
        if moments.rows == 0:
            raise ArgumentError("no pair of prediction and observation: nothing to measure")
        self._moments = moments

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return self._moments.rows

    @property
    def explainedVariance(self) -> float:
        """mean((p - mean(y))^2), the variance of the predictions around the mean observation."""
        m = self._moments
        return m.prediction_spread / m.rows + _square(m.prediction_mean - m.observation_mean)

    @property
    def meanAbsoluteError(self) -> float:
        """mean(|y - p|), in the unit of the label."""
        return self._moments.absolute_error / self._moments.rows

    @property
    def meanSquaredError(self) -> float:
        """mean((y - p)^2)."""
        return self._moments.squared_error / self._moments.rows

    @property
    def rootMeanSquaredError(self) -> float:
        """Square root of the mean squared error, in the unit of the label."""
        return float(np.sqrt(self.meanSquaredError))

    @property
    def r2(self) -> float:
        """1 - SSE/SST; as in Spark -inf when all observations are equal, NaN if also predicted."""
        m = self._moments
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return float(1.0 - np.float64(m.squared_error) / m.observation_spread)

    def as_dict(self) -> dict[str, float]:
        """All five figures by name, for printing."""
        return {name: getattr(self, name) for name in FIGURES}

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={value:.6g}" for name, value in self.as_dict().items())
        return f"RegressionMetrics(rows={self.rows}, {figures})"


FIGURES = (
    "explainedVariance",
    "meanAbsoluteError",
    "meanSquaredError",
    "rootMeanSquaredError",
    "r2",
)


class EvaluationRound(mr.Job):
    """Moments of a model's predictions. State: {"parameters": (size,)}."""

    model: dict[str, Any]

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, list[float]]]:
        predictions = model_from(self.model).predict(self.state["parameters"], block["X"])
        yield 0, _as_list(Moments.of(predictions, block["y"]))

    def reduce(self, key: int, values: Iterator[list[float]]) -> Iterator[tuple[int, list[float]]]:
        yield key, _as_list(fold(Moments.merged, map(_from_list, values)))


def evaluate(model: "Predictor", data: "LabeledData") -> RegressionMetrics:
    """Measure `model` on `data` in one round; nothing but a few sums leaves the workers."""
    check_features(model, data)
    job = EvaluationRound(model=model.model.options())
    [(_, moments)] = data.dataset.round(job, state={"parameters": model.parameters})
    return RegressionMetrics.from_moments(_from_list(moments))


def _mean_and_spread(values: Vector) -> tuple[float, float]:
    """The mean was rounded, and what it is off by is taken away again: so equal values have their
    own mean, and no spread."""
    rounded = values.mean()
    centred = values - rounded
    off = centred.mean()
    spread = float(centred @ centred - len(values) * off * off)
    return float(rounded + off), max(spread, 0.0)


def _square(value: float) -> float:
    """Infinite if it is too large, where `value**2` raises OverflowError."""
    return value * value


def _numbers(name: str, values: Iterable[Any]) -> Vector:
    try:
        return real_numbers(values if isinstance(values, np.ndarray) else list(values))
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be numbers in a regular list or array") from None


def _as_list(moments: Moments) -> list[float]:
    return list(vars(moments).values())


def _from_list(values: list[float]) -> Moments:
    rows, *sums = values
    return Moments(int(rows), *sums)
