"""Machine learning as MapReduce rounds, with the names and the defaults of Spark's MLlib.

    from ml import LinearRegressionWithSGD, RegressionMetrics, load_libsvm

    data = load_libsvm("data.libsvm", partitions=8)
    training, test = data.random_split([0.6, 0.4], seed=17)
    model = LinearRegressionWithSGD.train(training, iterations=100, step=0.1)

`import ml` itself is cheap: numpy and the engine are imported when a name is first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.errors import ArgumentError, Diverged
    from ml.labeled_data import LabeledData, load_libsvm
    from ml.linear import LinearRegressionModel, LinearRegressionWithSGD
    from ml.metrics import RegressionMetrics, evaluate

__all__ = [
    "DIABETES",
    "DIABETES_RAW",
    "ArgumentError",
    "Diverged",
    "LabeledData",
    "LinearRegressionModel",
    "LinearRegressionWithSGD",
    "RegressionMetrics",
    "evaluate",
    "load_libsvm",
]

# The bundled data, 442 rows x 10 features; ml/data/README.md says where it comes from.
DIABETES = Path(__file__).parent / "data" / "diabetes.libsvm"
DIABETES_RAW = Path(__file__).parent / "data" / "diabetes_raw.libsvm"

_HOME = {
    "ArgumentError": "ml.errors",
    "Diverged": "ml.errors",
    "LabeledData": "ml.labeled_data",
    "LinearRegressionModel": "ml.linear",
    "LinearRegressionWithSGD": "ml.linear",
    "RegressionMetrics": "ml.metrics",
    "evaluate": "ml.metrics",
    "load_libsvm": "ml.labeled_data",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ml' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
