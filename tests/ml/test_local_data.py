import numpy as np
import pytest

import minimr as mr
from ml import ArgumentError, Linear, MultilayerPerceptron, StandardScaler, evaluate, train
from ml.local_data import local_data
from tests.ml.fakes import labeled_data

GENERATOR = np.random.default_rng(4)
X, Y = GENERATOR.normal(size=(40, 3)), GENERATOR.normal(size=40)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": Linear(intercept=True), "fraction": 0.5},
        {"model": MultilayerPerceptron((4,)), "batch_rows": 3, "optimizer": "adam"},
    ],
)
def test_training_here_is_training_on_one_partition(settings):
    here, there = (
        train(data=data, step=0.1, iterations=5, **settings)
        for data in (local_data(X, Y), labeled_data((X, Y)))
    )
    assert here.parameters.tobytes() == there.parameters.tobytes()
    assert here.loss_history == there.loss_history


def test_whatever_is_asked_of_resident_rows_can_be_asked_here():
    data = local_data(X, Y)
    assert (data.count(), data.features, data.partition_rows()) == (40, 3, [40])
    assert [part.count() for part in data.random_split([1, 1], seed=1)] == [
        part.count() for part in labeled_data((X, Y)).random_split([1, 1], seed=1)
    ]
    scaled = StandardScaler(withMean=True).fit(data).transform(data)
    assert scaled.to_arrays()[0].std(axis=0, ddof=1) == pytest.approx(np.ones(3))
    model = train(Linear(), data, iterations=2, step=0.1)
    assert evaluate(model, data).rows == 40
    data.dataset.close()


def test_one_process_is_sent_the_parameters_once_and_sends_one_vector():
    assert train(Linear(), local_data(X, Y), iterations=4).sent_bytes == 5 * 8 * (3 + 5)


class Backwards(mr.Job):
    """Emits its rows with falling keys."""

    def map_block(self, block):
        for key, label in zip("cab", block["y"], strict=False):
            yield key, float(label)

    reduce = mr.Sum()


def test_keys_are_reduced_in_their_order():
    data = local_data(X[:3], np.array([1.0, 2.0, 3.0]))
    assert data.dataset.round(Backwards()) == [("a", 2.0), ("b", 3.0), ("c", 1.0)]


def test_what_is_refused_elsewhere_is_refused_here():
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        train(Linear(), local_data(np.full((2, 1), np.nan), np.zeros(2)))
