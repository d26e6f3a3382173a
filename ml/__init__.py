"""Machine learning as MapReduce rounds: any loss, any model, one descent, several ways to share it.

With the names, the defaults and the numbers of Spark's MLlib:

    from ml import LinearRegressionWithSGD, RegressionMetrics, load_libsvm

    data = load_libsvm("data.libsvm", partitions=8)
    training, test = data.random_split([0.6, 0.4], seed=17)
    model = LinearRegressionWithSGD.train(training, iterations=100, step=0.1)

Or by its parts:

    from ml import Linear, train

    trained = train(Linear("huber", intercept=True), training, optimizer="adam", step=0.1)

`import ml` itself is cheap: numpy and the engine are imported when a name is first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.any_model import load_model
    from ml.callbacks import EarlyStopping, all_of, progress
    from ml.checkpoint import checkpointed
    from ml.classification import ClassificationModel, LogisticRegressionWithSGD, SVMWithSGD
    from ml.comparison import Compared, compare
    from ml.confusion import MulticlassMetrics, evaluate_classes
    from ml.delays import Delays
    from ml.descent import Trace
    from ml.errors import ArgumentError, Diverged
    from ml.estimators import DescentClassifier, DescentRegressor
    from ml.gradient_check import check_gradient
    from ml.gram import Gram, gram_sums
    from ml.labeled_data import LabeledData
    from ml.linear import (
        LassoModel,
        LassoWithSGD,
        LinearRegressionModel,
        LinearRegressionWithSGD,
        RidgeRegressionModel,
        RidgeRegressionWithSGD,
    )
    from ml.loading import load_arrays, load_csv, load_file, load_libsvm, load_npy
    from ml.metrics import RegressionMetrics, evaluate
    from ml.models import Linear, MultilayerPerceptron
    from ml.optimizers import Optimizer
    from ml.penalties import Penalty
    from ml.problem import Problem
    from ml.ranking import BinaryClassificationMetrics, evaluate_ranking
    from ml.scaling import StandardScaler, StandardScalerModel
    from ml.schedules import Schedule
    from ml.training import Trained, train

_HOMES = {
    "ml.any_model": ("load_model",),
    "ml.callbacks": ("EarlyStopping", "all_of", "progress"),
    "ml.checkpoint": ("checkpointed",),
    "ml.classification": ("ClassificationModel", "LogisticRegressionWithSGD", "SVMWithSGD"),
    "ml.comparison": ("Compared", "compare"),
    "ml.confusion": ("MulticlassMetrics", "evaluate_classes"),
    "ml.delays": ("Delays",),
    "ml.descent": ("Trace",),
    "ml.errors": ("ArgumentError", "Diverged"),
    "ml.estimators": ("DescentClassifier", "DescentRegressor"),
    "ml.gradient_check": ("check_gradient",),
    "ml.gram": ("Gram", "gram_sums"),
    "ml.labeled_data": ("LabeledData",),
    "ml.linear": (
        "LassoModel",
        "LassoWithSGD",
        "LinearRegressionModel",
        "LinearRegressionWithSGD",
        "RidgeRegressionModel",
        "RidgeRegressionWithSGD",
    ),
    "ml.loading": ("load_arrays", "load_csv", "load_file", "load_libsvm", "load_npy"),
    "ml.metrics": ("RegressionMetrics", "evaluate"),
    "ml.models": ("Linear", "MultilayerPerceptron"),
    "ml.optimizers": ("Optimizer",),
    "ml.penalties": ("Penalty",),
    "ml.problem": ("Problem",),
    "ml.ranking": ("BinaryClassificationMetrics", "evaluate_ranking"),
    "ml.scaling": ("StandardScaler", "StandardScalerModel"),
    "ml.schedules": ("Schedule",),
    "ml.training": ("Trained", "train"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DIABETES",
    "DIABETES_RAW",
    "ArgumentError",
    "BinaryClassificationMetrics",
    "ClassificationModel",
    "Compared",
    "Delays",
    "DescentClassifier",
    "DescentRegressor",
    "Diverged",
    "EarlyStopping",
    "Gram",
    "LabeledData",
    "LassoModel",
    "LassoWithSGD",
    "Linear",
    "LinearRegressionModel",
    "LinearRegressionWithSGD",
    "LogisticRegressionWithSGD",
    "MulticlassMetrics",
    "MultilayerPerceptron",
    "Optimizer",
    "Penalty",
    "Problem",
    "RegressionMetrics",
    "RidgeRegressionModel",
    "RidgeRegressionWithSGD",
    "SVMWithSGD",
    "Schedule",
    "StandardScaler",
    "StandardScalerModel",
    "Trace",
    "Trained",
    "all_of",
    "check_gradient",
    "checkpointed",
    "compare",
    "evaluate",
    "evaluate_classes",
    "evaluate_ranking",
    "gram_sums",
    "load_arrays",
    "load_csv",
    "load_file",
    "load_libsvm",
    "load_model",
    "load_npy",
    "progress",
    "train",
]

# The bundled data, 442 rows x 10 features; ml/data/README.md says where it comes from.
DIABETES = Path(__file__).parent / "data" / "diabetes.libsvm"
DIABETES_RAW = Path(__file__).parent / "data" / "diabetes_raw.libsvm"


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ml' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """The public names, too: a prompt offers what it finds here, imported or not."""
    return sorted({*globals(), *__all__})
