"""Equality with Spark 3.5.9: the figures it printed, to a relative error of 1e-12."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from ml import (
    LinearRegressionModel,
    LinearRegressionWithSGD,
    RegressionMetrics,
    evaluate,
    load_libsvm,
)
from ml.labeled_data import split_borders, uniform_draws
from tests.ml.conftest import SAMPLE

GOLDEN = json.loads((Path(__file__).parent / "mllib_golden.json").read_text())
RTOL = 1e-12


# The number of partitions changes sums; that no cluster does, to the byte, test_linear shows.
PLACES = [
    *((partitions, "fake") for partitions in (1, 2, 3, 8)),
    (1, "1-worker"),
    (3, "2-workers"),
    (8, "4-workers"),
]


@pytest.fixture(params=PLACES, ids=lambda place: "-".join(map(str, place)))
def data(request, start_cluster):
    partitions, cluster = request.param
    return load_libsvm(SAMPLE, partitions=partitions, cluster=start_cluster(cluster))


@pytest.mark.parametrize("case", GOLDEN["cases"])
@pytest.mark.filterwarnings("ignore:regParam=0.3 has no effect")
def test_weights_are_those_of_spark(data, case):
    expected = GOLDEN["cases"][case]
    model = LinearRegressionWithSGD.train(data, **expected["args"])
    np.testing.assert_allclose(model.weights, expected["weights"], rtol=RTOL)
    np.testing.assert_allclose(model.intercept, expected["intercept"], rtol=RTOL)


def test_metrics_are_those_of_spark(data):
    model = LinearRegressionModel(np.array(GOLDEN["cases"]["seed"]["weights"]), 0.0)
    expected = GOLDEN["metrics_of_seed_on_all_rows"]
    X, labels = data.to_arrays()
    for metrics in (
        evaluate(model, data),
        RegressionMetrics(zip(model.predict(X), labels, strict=True)),
        RegressionMetrics(model.predict(data), labels),
    ):
        assert metrics.as_dict() == pytest.approx(expected, rel=RTOL, abs=0)


def test_random_split_keeps_the_rows_that_spark_keeps():
    expected = GOLDEN["randomSplit"]
    draws = uniform_draws(seed=17, partition_index=0, rows=501)
    low, middle, high = split_borders([0.6, 0.4])
    assert np.flatnonzero((low <= draws) & (draws < middle)).tolist() == expected["left"]
    assert np.flatnonzero((middle <= draws) & (draws < high)).tolist() == expected["right"]


def test_a_loaded_file_is_split_as_spark_does(every_cluster):
    data = load_libsvm(SAMPLE, partitions=1, cluster=every_cluster)
    X, labels = data.to_arrays()
    parts = data.random_split([0.6, 0.4], seed=17)
    for part, name in zip(parts, ("left", "right"), strict=True):
        rows = GOLDEN["randomSplit"][name]
        part_X, part_labels = part.to_arrays()
        assert part_X.tobytes() == X[rows].tobytes()
        assert part_labels.tobytes() == labels[rows].tobytes()


def test_the_draws_of_other_partitions_follow_pyspark():
    class Reference:
        """RDDSamplerBase of PySpark, as it stands there."""

        def __init__(self, seed: int, split: int) -> None:
            self._random = random.Random(seed ^ split)
            for _ in range(10):
                self._random.randint(0, 1)

    for split in range(5):
        reference = Reference(17, split)
        expected = [reference._random.random() for _ in range(20)]
        assert uniform_draws(17, split, 20).tolist() == expected
