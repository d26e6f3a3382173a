"""How well scores rank the rows of two classes: Spark's BinaryClassificationMetrics.

Every score s is a threshold: rows that score at least s count as positive. With P and N the numbers
of rows of both classes, and TP, FP those that are rightly and wrongly called positive:

    recall, also true positive rate   TP / P        precision             TP / (TP + FP)
    false positive rate               FP / N        F-measure             their harmonic mean

The ROC curve draws the true over the false positive rate. The area below it is the chance that a
positive row scores higher than a negative one, ties counted half (Hanley and McNeil 1982). Both
areas are taken by the trapezoidal rule, as in Spark, and the curve of precision over recall starts
at recall 0 with its first precision. scikit-learn's average precision is a sum of rectangles, which
is not the same number.

All that the curves need is how many rows of each class have each score, and that adds up over
partitions, so measuring resident data is one round.
"""

# ruff: noqa: N802 - the methods have Spark's names

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce as fold
from typing import Any

import numpy as np

import minimr as mr
from ml.arguments import number_pairs
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import model_from
from ml.prediction import Predictor, check_features
from ml.vectors import Matrix, Vector

ROWS = 256
"""So many rows are scored at once: no product leaves any of them over."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Different scores, falling, and how many positive and negative rows have each."""

    scores: Vector
    positives: Vector
    negatives: Vector

    @classmethod
    def of(cls, scores: Vector, positives: Vector, negatives: Vector) -> "Tally":
        """Add up the counts of equal scores; all (n,)."""
        different, where = np.unique(-scores, return_inverse=True)
        size = len(different)
        return cls(
            -different,
            np.bincount(where, positives, size).astype(np.float64),
            np.bincount(where, negatives, size).astype(np.float64),
        )

    def merged(self, other: "Tally") -> "Tally":
        """The tally of both sets of rows together."""
        return Tally.of(
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.positives, other.positives]),
            np.concatenate([self.negatives, other.negatives]),
        )


class BinaryClassificationMetrics:
    """Quality of scores, under Spark's names.

    `BinaryClassificationMetrics(pairs)` takes (score, label) pairs, as a list or as an array of
    shape (n, 2). A label above 0.5 is positive. Curves are arrays of shape (points, 2).
    """

    def __init__(self, scoreAndLabels: Iterable[Any]) -> None:
        scores, labels = number_pairs("scoreAndLabels", scoreAndLabels, "score, label").T
        if np.isnan(labels).any():
            raise ArgumentError("a label is NaN: neither positive nor negative")
        self._set(_tally(scores, labels))

    @classmethod
    def from_tally(cls, tally: Tally) -> "BinaryClassificationMetrics":
        """The metrics of counts that were gathered elsewhere, as `evaluate_ranking` does."""
        metrics = cls.__new__(cls)
        metrics._set(tally)
        return metrics

    def _set(self, tally: Tally) -> None:
        if not np.isfinite(tally.scores).all():
            raise ArgumentError("a score is NaN or infinity: there is no order to measure")
        self._scores = tally.scores
        self._true, self._false = np.cumsum(tally.positives), np.cumsum(tally.negatives)
        if not len(self._scores) or not self._true[-1] or not self._false[-1]:
            raise ArgumentError("both classes are needed: there is no positive or no negative row")

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return int(self._true[-1] + self._false[-1])

    @property
    def areaUnderROC(self) -> float:
        """The chance that a positive row scores above a negative one, ties counted half."""
        return _area(self.roc())

    @property
    def areaUnderPR(self) -> float:
        """The area under precision over recall, by the trapezoidal rule."""
        return _area(self.pr())

    def thresholds(self) -> Vector:
        """The different scores, falling."""
        return self._scores

    def roc(self) -> Matrix:
        """(false positive rate, true positive rate), from (0, 0) to (1, 1)."""
        rates = np.column_stack([self._false / self._false[-1], self._recall()])
        return np.vstack([[0.0, 0.0], rates, [1.0, 1.0]])

    def pr(self) -> Matrix:
        """(recall, precision), from recall 0."""
        precision = self._precision()
        curve = np.column_stack([self._recall(), precision])
        return np.vstack([[0.0, precision[0]], curve])

    def precisionByThreshold(self) -> Matrix:
        """(threshold, precision)."""
        return np.column_stack([self._scores, self._precision()])

    def recallByThreshold(self) -> Matrix:
        """(threshold, recall)."""
        return np.column_stack([self._scores, self._recall()])

    def fMeasureByThreshold(self, beta: float = 1.0) -> Matrix:
        """(threshold, F-measure); with a larger `beta` recall counts for more."""
        precision, recall = self._precision(), self._recall()
        total = beta**2 * precision + recall
        measure = np.zeros(len(total))
        np.divide((1.0 + beta**2) * precision * recall, total, out=measure, where=total > 0)
        return np.column_stack([self._scores, measure])

    def _precision(self) -> Vector:
        precision: Vector = self._true / (self._true + self._false)
        return precision

    def _recall(self) -> Vector:
        recall: Vector = self._true / self._true[-1]
        return recall

    def __repr__(self) -> str:
        return (
            f"BinaryClassificationMetrics(rows={self.rows}, areaUnderROC={self.areaUnderROC:.6g}, "
            f"areaUnderPR={self.areaUnderPR:.6g})"
        )


class TallyRound(mr.Job):
    """Scores of a model and the classes that have them. State: {"parameters": (size,)}.

    `features` is the width that the model was trained on.
    """

    model: dict[str, Any]
    features: int

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, list[Vector]]]:
        model, parameters, X = model_from(self.model), self.state["parameters"], block["X"]
        pieces = [
            model.scores(parameters, _in_rank(X[first : first + ROWS], self.features))
            for first in range(0, len(X), ROWS)
        ]
        scores = np.concatenate([np.zeros(0), *pieces])[: len(X)]
        yield 0, list(vars(_tally(scores, block["y"])).values())

    def reduce(self, key: int, values: Iterator[list[Vector]]) -> Iterator[tuple[int, Any]]:
        yield key, list(vars(fold(Tally.merged, (Tally(*value) for value in values))).values())


def evaluate_ranking(model: Predictor, data: LabeledData) -> BinaryClassificationMetrics:
    """Measure the scores of `model` on `data` in one round.

    Scores are those that the loss sees, weights . x + intercept: they rank as probabilities do.
    Raises ArgumentError for a model with one score for each class, and for data that is wider than
    it or lacks one of two classes.
    """
    if model.model.objective.per_class:
        raise ArgumentError(
            f"the {model.model.objective.name} loss has one score for each class, none that ranks "
            "two: measure it by evaluate_classes"
        )
    check_features(model, data)
    job = TallyRound(model=model.model.options(), features=model.features)
    [(_, parts)] = data.dataset.round(job, state={"parameters": model.parameters})
    return BinaryClassificationMetrics.from_tally(Tally(*parts))


def _in_rank(X: Matrix, features: int) -> Matrix:
    """At most ROWS rows, with zeros for the rows and columns that are missing: (ROWS, features).

    A product takes the last few rows in other steps than those before. Equal rows would have
    scores that differ in the last bit, and what is a tie would be none.
    """
    rows = np.zeros((ROWS, features), order="F")
    rows[: len(X), : X.shape[1]] = X
    return rows


def _tally(scores: Vector, labels: Vector) -> Tally:
    positive = labels > 0.5
    return Tally.of(scores, positive.astype(np.float64), (~positive).astype(np.float64))


def _area(curve: Matrix) -> float:
    x, y = curve.T
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1])) / 2.0)
