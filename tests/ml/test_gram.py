"""The descent from the Gram matrix against the descent by rounds over the data."""

import numpy as np
import pytest

from ml.batches import Batches
from ml.errors import ArgumentError
from ml.gram import Gram, gram, gram_sums
from ml.linear import LinearRegressionWithSGD
from ml.models import Linear, MultilayerPerceptron
from ml.optimizers import Optimizer
from ml.penalties import Penalty
from ml.problem import Problem
from ml.strategies.sync import sync
from tests.ml.fakes import labeled_data


def made_up(rows: int = 200, features: int = 6):
    generator = np.random.default_rng(3)
    X = generator.standard_normal((rows, features))
    return X, X @ generator.standard_normal(features) + generator.standard_normal(rows) + 2.0


@pytest.fixture
def data():
    """Four partitions, one narrower than the others and one empty."""
    X, y = made_up()
    X[120:, 4:] = 0.0
    return labeled_data(
        (X[:50], y[:50]), (X[50:120], y[50:120]), (np.zeros((0, 0)), []), (X[120:, :4], y[120:])
    )


def test_the_sums_of_float32_features_are_taken_in_float64(data):
    narrow = data.as_float32()
    X, y = narrow.to_arrays()
    found = gram_sums(narrow, intercept=False)
    np.testing.assert_allclose(found.XtX, X.T @ X, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.Xty, X.T @ y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("intercept", [False, True])
def test_the_sums_are_those_of_numpy(data, intercept):
    X, y = data.to_arrays()
    Z = np.column_stack([X, np.ones(len(y))]) if intercept else X
    found = gram_sums(data, intercept)
    np.testing.assert_allclose(found.XtX, Z.T @ Z, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.Xty, Z.T @ y, rtol=1e-12, atol=1e-12)
    assert found.yty == pytest.approx(y @ y, rel=1e-14)
    assert found.rows == 200


def test_one_matrix_comes_from_each_partition(data):
    problem = Problem(Linear("squared"), data.features, iterations=50)
    assert gram(problem, data, np.zeros(6)).sent_bytes == 4 * 8 * 8 * 8


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("penalty", [Penalty(), Penalty(l1=0.05)])
def test_the_same_descent_as_the_rounds(data, intercept, optimizer, penalty):
    problem = Problem(
        Linear("squared", intercept=intercept),
        data.features,
        penalty=penalty,
        optimizer=Optimizer(optimizer),
        iterations=60,
        tolerance=1e-4,
    )
    start = problem.model.start(data.features, 0)
    wanted = sync(problem, data, start)
    rounds = data.dataset.rounds
    found = gram(problem, data, start)
    assert data.dataset.rounds == rounds + 1
    np.testing.assert_allclose(found.parameters, wanted.parameters, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.loss_history, wanted.loss_history, rtol=1e-9)
    assert (found.updates, found.converged) == (wanted.updates, wanted.converged)


def test_a_perfect_fit_has_no_negative_loss():
    X, _ = made_up()
    weights = np.arange(1.0, 7.0)
    found = gram_sums(labeled_data((X, X @ weights)), intercept=False)
    losses = [found.sums(weights * (1 + step * 1e-12))[-2] for step in range(20)]
    assert min(losses) >= 0.0
    assert max(losses) < 1e-9


def test_a_loss_that_rounding_made_negative_is_zero():
    found = Gram(np.eye(1), np.ones(1), yty=1.0 - 2**-52, rows=1)
    assert found.sums(np.ones(1)).tolist() == [0.0, 0.0, 1.0]


def test_rows_that_are_too_wide_are_refused_before_a_worker_makes_room():
    wide = labeled_data((np.ones((1, 11_584)), [1.0]))
    said = r'"gram" sends a matrix of 1,024 MiB .* 11,584 features, .* use "sync"'
    with pytest.raises(ArgumentError, match=said):
        gram(Problem(Linear("squared"), wide.features), wide, np.zeros(11_584))
    assert wide.dataset.rounds == 1  # that of the width


def test_it_is_for_least_squares_over_all_rows(data):
    for problem in (
        Problem(Linear("logistic"), 6),
        Problem(MultilayerPerceptron((3,)), 6),
    ):
        with pytest.raises(ArgumentError, match='the loss "squared" alone'):
            gram(problem, data, np.zeros(problem.size))
    batches = Problem(Linear(), 6, batches=Batches(fraction=0.5))
    with pytest.raises(ArgumentError, match="leave mini-batches out"):
        gram(batches, data, np.zeros(6))


@pytest.mark.parametrize("intercept", [False, True])
def test_mllibs_estimator_takes_it_as_its_solver(data, intercept):
    settings = {"iterations": 40, "step": 0.3, "regParam": 0.1, "regType": "l2"}
    settings |= {"intercept": intercept, "convergenceTol": 0.0}
    rounds = data.dataset.rounds
    found = LinearRegressionWithSGD.train(data, solver="gram", **settings)
    assert data.dataset.rounds - rounds <= 3
    expected = LinearRegressionWithSGD.train(data, **settings)
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-9)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=1e-9)
    with pytest.raises(ArgumentError, match="takes all rows"):
        LinearRegressionWithSGD.train(data, solver="gram", miniBatchFraction=0.5)
    with pytest.raises(ArgumentError, match="solver must be one of"):
        LinearRegressionWithSGD.train(data, solver="newton")
