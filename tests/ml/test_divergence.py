"""Divergence is seen at once, explained, and the step that the message names really works."""

import re
import warnings

import numpy as np
import pytest

from ml import DIABETES, DIABETES_RAW, Diverged, LinearRegressionWithSGD, load_libsvm
from ml.divergence import advice, curvature_of
from ml.gradient import GradientRound
from ml.sgd import NotFinite
from tests.ml.fakes import FakeCluster, labeled_data

train = LinearRegressionWithSGD.train


def message_of(*arguments, **named):
    with pytest.raises(Diverged) as caught:
        train(*arguments, **named)
    return str(caught.value)


def step_named_in(message):
    return float(re.search(r"for this data is (\S+): ", message)[1])


def test_the_trap_of_the_seed_program_on_raw_data(cluster):
    data = load_libsvm(DIABETES_RAW, cluster=cluster)
    seen = []
    message = message_of(data, step=0.1, callback=lambda i, loss, weights: seen.append(loss))
    assert re.match(r"SGD diverged: the loss became inf at iteration \d+ with step=0.1\. ", message)
    assert "(the largest now is feature 5, root mean square 192)" in message
    assert np.isfinite(seen).all()
    assert step_named_in(message) == 2.7e-05


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("regType", "regParam"), [(None, 0.0), ("l2", 10.0), ("l1", 10.0)])
def test_the_named_step_is_the_largest_safe_one(intercept, regType, regParam):
    data = load_libsvm(DIABETES, partitions=2, cluster=FakeCluster())
    settings = {
        "regType": regType,
        "regParam": regParam,
        "intercept": intercept,
        "convergenceTol": 0.0,
    }
    safe = step_named_in(message_of(data, step=1e9, **settings))
    penalty = regParam if regType == "l2" else 0.0
    bias = np.ones((442, int(intercept)))
    X = np.hstack([data.to_arrays()[0], bias])
    exact = 2.0 / (np.linalg.eigvalsh(X.T @ X / 442)[-1] + penalty)
    assert 0.9 * exact < safe <= exact
    losses = train(data, step=safe, **settings).loss_history
    assert losses[-1] < losses[0]


def test_wide_data_gets_a_bound_that_is_safe():
    generator = np.random.default_rng(1)
    X = generator.normal(size=(20, 300))
    data = labeled_data((X[:10], np.ones(10)), (X[10:, :200], np.ones(10)))
    message = message_of(data, step=1e9)
    assert "A step that is surely safe for this data is" in message
    X[10:, 200:] = 0
    assert 0 < step_named_in(message) <= 2.0 / np.linalg.eigvalsh(X.T @ X / 20)[-1]


def test_curvature_is_exact_over_partitions_of_unequal_width():
    X = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 5.0]])
    curvature = curvature_of(labeled_data((X[:2, :1], [0, 0]), (X[2:], [0])), intercept=True)
    wide = np.column_stack([X, np.ones(3)])
    assert curvature.largest == pytest.approx(np.linalg.eigvalsh(wide.T @ wide / 3)[-1], rel=1e-14)
    assert (curvature.exact, curvature.largest_feature) == (True, 2)
    assert curvature.root_mean_square == pytest.approx((25 / 3) ** 0.5)


def test_bad_rows_are_the_cause_if_nobody_validated():
    data = labeled_data(([[1.0], [float("nan")]], [1.0, 1.0]))
    message = message_of(data, validateData=False)
    assert "the loss became nan at iteration 1 with step=1. The data holds NaN" in message


def test_features_that_overflow():
    data = labeled_data(([[1e200], [1.0]], [1.0, 1.0]))
    assert "The squares of the features overflow" in message_of(data, step=0.1)


@pytest.mark.parametrize("X", [[[1.0], [1.0]], np.zeros((2, 0)), np.zeros((2, 1))])
def test_labels_that_overflow(X):
    message = message_of(labeled_data((X, [1e200, 1.0])), step=0.1)
    assert "The labels or the initial weights are too large to square" in message


def test_mini_batches_that_vary_more_than_the_whole():
    data = labeled_data(([[1.0], [1.0]], [1.0, 1.0]))
    failure = NotFinite("the loss became inf", 7)
    message = advice(failure, data, GradientRound(fraction=0.5), step=1.9, l2_param=0.0)
    assert message.startswith("SGD diverged: the loss became inf at iteration 7 with step=1.9.")
    assert "not for every mini-batch" in message
    assert "largest safe step" in advice(failure, data, GradientRound(fraction=0.5), 2.1, 0.0)


def test_no_stray_warning_on_the_way(cluster):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message_of(load_libsvm(DIABETES_RAW, cluster=cluster), step=1e300)
