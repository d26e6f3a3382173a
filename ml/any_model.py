"""A model of whichever kind: read from the file that it was saved in, and measured by what it is.

model = load_model("model.json")        LinearRegressionModel, ClassificationModel or Trained
measure(model, data).figures            {"rows": 442, "r2": 0.5, ...} or {..., "accuracy": 0.9}
"""

import os
from dataclasses import dataclass

import minimr as mr
from ml import classification, model_file, training
from ml.classification import ClassificationModel
from ml.confusion import Counts, evaluate_classes
from ml.labeled_data import LabeledData
from ml.linear import LinearRegressionModel
from ml.metrics import evaluate
from ml.model_file import read_any_model
from ml.ranking import evaluate_ranking
from ml.training import Trained

AnyModel = LinearRegressionModel | ClassificationModel | Trained

KINDS: dict[str, type[AnyModel]] = {
    model_file.FORMAT: LinearRegressionModel,
    classification.FORMAT: ClassificationModel,
    training.FORMAT: Trained,
}
"""What each format of a file holds."""


@dataclass(frozen=True, eq=False)
class Measured:
    """How a model does on some rows: Spark's figures by name, `rows` first."""

    figures: dict[str, float]
    confusion: Counts | None = None
    """Of a classification: rows of the class i that were called class j, (k, k)."""


def load_model(path: str | os.PathLike[str]) -> AnyModel:
    """Read a model that any of them saved. Raises UsageError for anything else."""
    kind = KINDS.get(read_any_model(path)["format"])
    if kind is None:
        raise mr.UsageError(f"{path} is not a model: its format is none of {', '.join(KINDS)}.")
    return kind.load(path)


def measure(model: AnyModel, data: LabeledData) -> Measured:
    """Measure a regression or a classification by what the model is.

    Of two classes, if rows of both are there, the areas below the curves too. Raises ArgumentError
    for data that does not fit the model.
    """
    if not model.model.objective.takes_classes:
        metrics = evaluate(model, data)
        return Measured({"rows": metrics.rows, **metrics.as_dict()})
    classes = evaluate_classes(model, data)
    figures = {
        "rows": classes.rows,
        "accuracy": classes.accuracy,
        "weightedPrecision": classes.weightedPrecision,
        "weightedFMeasure": classes.weightedFMeasure(),
    }
    if not model.model.objective.per_class and classes.confusionMatrix().any(axis=1).all():
        ranking = evaluate_ranking(model, data)
        figures |= {"areaUnderROC": ranking.areaUnderROC, "areaUnderPR": ranking.areaUnderPR}
    return Measured(figures, classes.confusionMatrix())
