"""How well classes are told apart: Spark's MulticlassMetrics, from pairs or from one round.

All of them follow from the confusion matrix C, where C[i, j] counts the rows of class i that were
called class j. Counts add up over partitions, so measuring resident data is one round of sums.

    accuracy   sum C[i, i] / rows          precision of i   C[i, i] / sum of column i
    recall of i   C[i, i] / sum of row i   F-measure        their harmonic mean

Weighted figures are the mean over the classes, each counted as often as it occurs. What nobody was
called has precision 0, what never occurs recall 0.
"""

# ruff: noqa: N802 - the methods have Spark's names

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import number_pairs
from ml.checks import check_labels
from ml.classification import ClassificationModel
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.losses import sigmoid
from ml.models import model_from
from ml.prediction import Predictor, check_features
from ml.vectors import Vector

Counts = npt.NDArray[np.int64]


class MulticlassMetrics:
    """Quality of a classification, under Spark's names.

    `MulticlassMetrics(pairs)` takes (prediction, label) pairs, as a list or as an array of shape
    (n, 2). Classes are any numbers.
    """

    def __init__(self, predictionAndLabels: Iterable[Any]) -> None:
        both = number_pairs("predictionAndLabels", predictionAndLabels, "prediction, label")
        classes, where = np.unique(both, return_inverse=True)
        predicted, labels = where.reshape(-1, 2).T
        self._set(classes, count_pairs(labels, predicted, len(classes)))

    @classmethod
    def from_counts(cls, counts: Counts) -> "MulticlassMetrics":
        """The metrics of a confusion matrix of the classes 0, 1, ..., k - 1."""
        metrics = cls.__new__(cls)
        metrics._set(np.arange(len(counts), dtype=np.float64), counts)
        return metrics

    def _set(self, classes: Vector, counts: Counts) -> None:
        if not counts.sum():
            raise ArgumentError("no pair of prediction and label: nothing to measure")
        self._classes, self._counts = classes, counts

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return int(self._counts.sum())

    @property
    def labels(self) -> Vector:
        """The classes, rising, in the order of the confusion matrix: (k,)."""
        return self._classes

    def confusionMatrix(self) -> Counts:
        """Rows of the class i that were called class j: (k, k)."""
        return self._counts

    @property
    def accuracy(self) -> float:
        """The share of the rows that were called what they are."""
        return float(np.trace(self._counts) / self._counts.sum())

    def precision(self, label: float) -> float:
        """The share of what was called `label` that is."""
        return float(self._precisions()[self._index(label)])

    def recall(self, label: float) -> float:
        """The share of what is `label` that was called so."""
        return float(self._recalls()[self._index(label)])

    def fMeasure(self, label: float, beta: float = 1.0) -> float:
        """Harmonic mean of precision and recall; with a larger `beta` recall counts for more."""
        return float(self._measures(beta)[self._index(label)])

    @property
    def weightedPrecision(self) -> float:
        """Mean precision, each class counted as often as it occurs."""
        return self._weighted(self._precisions())

    @property
    def weightedRecall(self) -> float:
        """Mean recall, each class counted as often as it occurs: the accuracy."""
        return self._weighted(self._recalls())

    def weightedFMeasure(self, beta: float = 1.0) -> float:
        """Mean F-measure, each class counted as often as it occurs."""
        return self._weighted(self._measures(beta))

    def _index(self, label: float) -> int:
        found = np.flatnonzero(self._classes == label)
        if not len(found):
            raise ArgumentError(f"there is no class {label:g} among predictions and labels")
        return int(found[0])

    def _precisions(self) -> Vector:
        return _share(np.diag(self._counts), self._counts.sum(axis=0))

    def _recalls(self) -> Vector:
        return _share(np.diag(self._counts), self._counts.sum(axis=1))

    def _measures(self, beta: float) -> Vector:
        precision, recall = self._precisions(), self._recalls()
        return _share((1 + beta**2) * precision * recall, beta**2 * precision + recall)

    def _weighted(self, values: Vector) -> float:
        return float(values @ self._counts.sum(axis=1) / self._counts.sum())

    def __repr__(self) -> str:
        return (
            f"MulticlassMetrics(rows={self.rows}, classes={len(self._classes)}, "
            f"accuracy={self.accuracy:.6g}, weightedFMeasure={self.weightedFMeasure():.6g})"
        )


class ConfusionRound(mr.Job):
    """The confusion matrix (k, k) of a model.

    State: {"parameters": (size,), "border": float, "chances": bool}. Of two classes, a row is of
    class 1 if its score, or if asked the chance that follows from it, is above the border.
    """

    model: dict[str, Any]

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Counts]]:
        model, parameters = model_from(self.model), self.state["parameters"]
        if model.objective.per_class:
            called = model.predict(parameters, block["X"])
        else:
            scores = model.scores(parameters, block["X"])
            called = (sigmoid(scores) if self.state["chances"] else scores) > self.state["border"]
        yield 0, count_pairs(block["y"].astype(np.intp), called.astype(np.intp), model.classes)

    reduce = mr.Sum()


def evaluate_classes(model: Predictor, data: LabeledData) -> MulticlassMetrics:
    """Measure the classes that `model` predicts for `data`, in one round.

    Raises ArgumentError for a model that predicts no classes, data that is wider than it or empty,
    and labels that it does not know.
    """
    if not model.model.objective.takes_classes:
        raise ArgumentError(f"the {model.model.objective.name} loss predicts numbers, not classes")
    check_features(model, data)
    check_labels(model.model, data)
    border, chances = _border(model)
    state = {"parameters": model.parameters, "border": border, "chances": chances}
    [(_, counts)] = data.dataset.round(ConfusionRound(model=model.model.options()), state=state)
    return MulticlassMetrics.from_counts(counts)


def count_pairs(labels: npt.NDArray[np.intp], called: npt.NDArray[np.intp], size: int) -> Counts:
    """How often each (label, called) occurs, of two vectors (n,) of numbers below `size`."""
    counts = np.bincount(labels * size + called, minlength=size * size)
    return counts.astype(np.int64).reshape(size, size)


def _border(model: Predictor) -> tuple[float, bool]:
    """Above what a row is of class 1, and whether that is a chance. Only MLlib's models move it."""
    if not isinstance(model, ClassificationModel) or model.threshold is None:
        return 0.0, False
    return model.threshold, model.loss == "logistic"


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Vector:
    shares = np.zeros(len(whole))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
