"""Data that is odd but no mistake: strategies and estimators have a result, or say why not."""

import numpy as np
import pytest

from ml import (
    ArgumentError,
    DescentClassifier,
    DescentRegressor,
    Linear,
    MultilayerPerceptron,
    evaluate,
    train,
)
from tests.ml.fakes import labeled_data

GENERATOR = np.random.default_rng(12)
TALL, FLAT = GENERATOR.normal(size=(9, 2)), GENERATOR.normal(size=(3, 40))
ONE = np.column_stack([TALL[:, 0], np.full(9, 5.0), np.zeros(9)])
LABELS = (TALL[:, 0] > 0).astype(float)

ODD = {
    "one row": [(TALL[:1], [1.0])],
    "columns that are constant": [(ONE[:4], LABELS[:4]), (ONE[4:], LABELS[4:])],
    "more features than rows": [(FLAT[:2], [0.0, 1.0]), (FLAT[2:], [1.0])],
    "an empty partition in the middle": [
        (TALL[:4], LABELS[:4]),
        (np.zeros((0, 2)), []),
        (TALL[4:], LABELS[4:]),
    ],
    "empty partitions alone, but for one row": [
        (np.zeros((0, 0)), []),
        (TALL[:1], [1.0]),
        (np.zeros((0, 0)), []),
        (np.zeros((0, 0)), []),
    ],
    "sparse rows, each partition as wide as it knows": [
        ([[0.0, 0.0, 0.0, 2.0]], [1.0]),
        ([[1.0]], [0.0]),
        ([[0.0, 3.0]], [1.0]),
    ],
}
SETTINGS = {"iterations": 4, "step": 0.05}
SAME = ("sync", "ssp:0", "allreduce", "local:1")


def together(parts):
    """All rows as one partition, missing columns as zeros."""
    width = max(np.shape(X)[1] for X, _ in parts)
    wide = [np.pad(np.asarray(X, float), ((0, 0), (0, width - np.shape(X)[1]))) for X, _ in parts]
    return np.concatenate(wide), np.concatenate([labels for _, labels in parts])


@pytest.mark.parametrize("odd", ODD)
def test_every_strategy_learns_from_it_what_one_process_does(odd):
    parts = ODD[odd]
    linear, network = Linear("squared", intercept=True), MultilayerPerceptron((3,))
    ways = {linear: (*SAME, "gram", "model_parallel", "async", "average"), network: SAME}
    ways[network] += ("pipeline",)
    for model, strategies in ways.items():
        alone = train(model, labeled_data(together(parts)), **SETTINGS)
        for strategy in strategies:
            found = train(model, labeled_data(*parts), strategy, **SETTINGS)
            assert np.isfinite(found.parameters).all()
            assert np.isfinite(evaluate(found, labeled_data(*parts)).meanSquaredError)
            if strategy not in ("async", "average"):
                assert np.allclose(found.parameters, alone.parameters, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("odd", ODD)
def test_estimators_find_a_step_for_it(odd):
    X, y = together(ODD[odd])
    found = DescentRegressor(iterations=30).fit(X, y)
    assert found.history_[-1] < found.history_[0]
    assert np.isfinite(found.predict(X)).all()
    if len(set(y)) > 1:
        assert DescentClassifier(iterations=30).fit(X, y).score(X, y) > 0.6
    else:
        with pytest.raises(ArgumentError, match="one class only"):
            DescentClassifier().fit(X, y)


def test_a_column_of_zeros_keeps_its_weight():
    X, y = together(ODD["columns that are constant"])
    assert DescentRegressor().fit(X, y).coef_[2] == 0.0
