"""Predictions of any model: for one row, an array of rows, or rows that stay at the workers."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import real_numbers
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData, check_is_data
from ml.models import Model, model_from
from ml.vectors import Matrix, Vector


class Predictor(Protocol):
    """A trained model, as far as predicting and measuring need it."""

    @property
    def model(self) -> Model:
        """What the parameters mean."""

    @property
    def parameters(self) -> Vector:
        """The flat vector that training found."""

    @property
    def features(self) -> int:
        """The width of the rows it was trained on."""

    @property
    def feature_names(self) -> list[str]:
        """What those were called, in order; empty, if nobody said it."""


class PredictionRound(mr.Job):
    """Predictions per partition, keyed by its number. State: {"parameters": (size,)}.

    With `scores` it gives what the loss compares with the labels, not the labels that follow.
    """

    model: dict[str, Any]
    scores: bool = False

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        model = model_from(self.model)
        of = model.scores if self.scores else model.predict
        yield self.partition_index, of(self.state["parameters"], block["X"])


def predict(
    predictor: Predictor, x: "npt.ArrayLike | LabeledData", scores: bool = False
) -> "float | Vector":
    """A float for one row (d,), an array (n,) for rows (n, d) or for a LabeledData.

    A row that holds NaN has NaN for its prediction. Raises ArgumentError if the width is not the
    model's. LabeledData may be narrower: features that none of its rows has are zero. If they have
    names, they must be the model's.
    """
    model = predictor.model
    if isinstance(x, LabeledData):
        check_features(predictor, x)
        job = PredictionRound(model=model.options(), scores=scores)
        parts = x.dataset.round(job, state={"parameters": predictor.parameters})
        return np.concatenate([predictions for _, predictions in parts])
    rows = as_rows(x)
    if rows.shape[-1] != predictor.features:
        raise _wrong_width(rows.shape[-1], predictor.features)
    of = model.scores if scores else model.predict
    predictions: Vector = of(predictor.parameters, np.atleast_2d(rows))
    if not scores and model.objective.takes_classes:  # No score of NaN is a class.
        predictions[np.isnan(np.atleast_2d(rows)).any(axis=1)] = np.nan
    if rows.ndim == 2:
        return predictions
    return float(predictions[0]) if predictions.ndim == 1 else predictions[0]


def check_features(predictor: Predictor, data: LabeledData) -> None:
    """Raise ArgumentError for what is no data, if it is wider than what the model was trained on,
    or if both have names for their features and they are others."""
    check_is_data(data)
    known, here = predictor.feature_names, data.feature_names
    if data.features > predictor.features or (known and here and len(here) < len(known)):
        raise _wrong_width(data.features, predictor.features)
    check_names(predictor, here)


def check_names(predictor: Predictor, feature_names: Sequence[str]) -> None:
    """Raise ArgumentError for other names of features than the model's, if both have some."""
    for number, (expected, name) in enumerate(
        zip(predictor.feature_names, feature_names, strict=False)
    ):
        if name != expected:
            raise ArgumentError(
                f"feature {number} of the rows is {name!r}, where the model has {expected!r}: give "
                "the same columns in the same order, and the same one for the labels"
            )


def as_rows(x: npt.ArrayLike) -> Matrix:
    """One row (d,) or rows (n, d) of floats. Raises ArgumentError for anything else."""
    if hasattr(x, "toarray"):
        raise ArgumentError("sparse matrices are not taken: pass x.toarray(), or LabeledData")
    try:
        rows = real_numbers(x)
    except (TypeError, ValueError):
        rows = np.zeros(())
    if rows.ndim not in (1, 2):
        raise ArgumentError("predict takes one row (d,), rows (n, d) or LabeledData")
    return rows


def _wrong_width(features: int, expected: int) -> ArgumentError:
    return ArgumentError(
        f"the rows have {features} feature{'s' * (features != 1)}, but the model has {expected}: "
        "give rows of as many, or train a model on rows like these"
    )
