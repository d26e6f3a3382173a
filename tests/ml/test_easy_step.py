import numpy as np
import pytest

from ml import (
    ArgumentError,
    DescentClassifier,
    DescentRegressor,
    Linear,
    MultilayerPerceptron,
    Optimizer,
    Penalty,
    train,
)
from ml.easy_step import USUAL_STEP, easy_step
from ml.local_data import local_data

X = np.random.default_rng(2).normal(size=(60, 4)) * [1.0, 50.0, 0.01, 3.0] + [0, 100, 0, 0]
SGD = Optimizer("sgd")


def test_it_is_one_over_the_largest_curvature():
    data = local_data(X, np.zeros(60))
    largest = np.linalg.eigvalsh(X.T @ X / 60)[-1]
    assert easy_step(Linear(), data, SGD, Penalty()) == pytest.approx(1 / largest)
    assert easy_step(Linear("squared_hinge"), data, SGD, Penalty(l2=7.0)) == pytest.approx(
        1 / (2 * largest + 7)
    )


@pytest.mark.parametrize("loss", ["squared", "huber", "poisson", "logistic", "squared_hinge"])
def test_the_loss_never_rises_with_it(loss):
    y = (X[:, 3] > 0).astype(float)
    data = local_data(X, y)
    model = Linear(loss, intercept=True)
    step = easy_step(model, data, SGD, Penalty())
    losses = train(model, data, schedule="constant", step=step, iterations=50).loss_history
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", ["squared", "squared_hinge", "poisson"])
@pytest.mark.parametrize("batch", [{"batch_rows": 1}, {"batch_rows": 4}, {"fraction": 0.05}])
def test_mini_batches_bear_it(loss, batch):
    rows = np.random.default_rng(6).normal(size=(200, 10))
    labels = (rows[:, 0] > 0).astype(float)
    estimator = DescentClassifier if "hinge" in loss else DescentRegressor
    history = estimator(loss, **batch).fit(rows, labels).history_
    assert len(history) == 201
    assert max(history) < 10.0


@pytest.mark.parametrize("kind", ["momentum", "nesterov"])
def test_it_is_stable_with_a_memory_of_gradients(kind):
    data = local_data(X, X[:, 3])
    step = easy_step(Linear(), data, Optimizer(kind), Penalty())
    settings = {"optimizer": kind, "schedule": "constant", "step": step, "iterations": 300}
    losses = train(Linear(), data, **settings).loss_history
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov"])
def test_it_bears_a_curvature_that_grows_on_the_way(kind):
    """Polyak's momentum carries the weights beyond where e^z is large, if it comes from afar."""
    data = local_data(np.array([[-3.0], [1.0]]), np.array([2.0, 0.0]))
    step = easy_step(Linear("poisson"), data, Optimizer(kind), Penalty())
    settings = {"optimizer": kind, "schedule": "constant", "step": step, "iterations": 300}
    losses = train(Linear("poisson"), data, **settings).loss_history
    assert losses[-1] < losses[0] == max(losses)


def test_where_nothing_bounds_it():
    data = local_data(X, np.zeros(60))
    network = MultilayerPerceptron((2,))
    assert easy_step(network, data, Optimizer("adam"), Penalty()) == USUAL_STEP
    assert easy_step(Linear(), local_data(0 * X, X[:, 0]), SGD, Penalty()) == USUAL_STEP
    with pytest.raises(ArgumentError, match="pass a step, or optimizer='adam'"):
        easy_step(network, data, SGD, Penalty())
    with pytest.raises(ArgumentError, match="squares of the features overflow"):
        easy_step(Linear(), local_data(np.full((2, 1), 1e200), np.zeros(2)), SGD, Penalty())
    with pytest.raises(ArgumentError, match="empty"):
        easy_step(Linear(), local_data(X[:0], np.zeros(0)), SGD, Penalty())
