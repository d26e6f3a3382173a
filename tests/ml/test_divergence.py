"""Divergence is seen at once, explained, and the step that the message names really works."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from ml import (
    DIABETES,
    DIABETES_RAW,
    Diverged,
    Linear,
    LinearRegressionWithSGD,
    MultilayerPerceptron,
    checkpointed,
    load_libsvm,
)
from ml import train as fit
from ml.batches import Batches
from ml.descent import NotFinite
from ml.divergence import advice, curvature_of, steepest
from ml.problem import Problem
from ml.schedules import Schedule
from ml.strategies import Strain
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


def test_a_curvature_below_one_is_no_one():
    data = labeled_data(([[0.1], [0.3]], [0, 0]))
    curvature = curvature_of(data, intercept=False)
    assert curvature.largest == pytest.approx(0.05)
    assert curvature.root_mean_square == pytest.approx(0.05**0.5)


def test_a_partition_of_one_row_may_be_the_steepest():
    data = labeled_data(([[3.0]], [0]), ([[1.0], [2.0]], [0, 0]), (np.zeros((0, 0)), []))
    assert steepest(data, intercept=False) == 9.0


@pytest.mark.parametrize("columns", [256, 257])
def test_up_to_256_columns_the_curvature_is_exact(columns):
    X = np.eye(2, columns)
    curvature = curvature_of(labeled_data((X, [0, 0])), intercept=False)
    assert (curvature.exact, curvature.largest) == ((True, 0.5) if columns == 256 else (False, 1.0))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_only_a_loss_that_rose_far_is_looked_at_again(label):
    """Also where it is zero from the beginning on."""
    data = labeled_data((np.ones((2, 1)), [label] * 2))
    fit(Linear(), data, step=0.1, iterations=4)
    assert data.dataset.rounds == 1 + 5  # the summary, and one for each loss


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


@pytest.mark.parametrize("strategy", ["sync", "gram", "ssp:0", "average", "local:2"])
def test_no_step_is_named_for_a_loss_that_no_step_had_been_made_for(strategy):
    data = labeled_data(([[1.0]], [1e200]), ([[2.0]], [1.0]))
    for model in (Linear(), MultilayerPerceptron((2,)))[: 1 if strategy == "gram" else 2]:
        with pytest.raises(Diverged, match="The labels or the initial weights are too large"):
            fit(model, data, strategy, step=1e3)


def test_weights_that_the_first_step_took_away_have_a_step_named():
    message = message_of(labeled_data((np.ones((2, 1)), [10.0, 10.0])), step=1e308)
    assert "the weights stopped being finite numbers at iteration 1" in message
    assert "The largest safe step for this data is 2: pass that" in message


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_steps_that_know_no_safe_length_are_the_cause_all_the_same(optimizer):
    data = labeled_data((np.ones((2, 1)), [1.0, 2.0]))
    with pytest.raises(Diverged, match=r"iteration 2 with step=1000\. Pass a tenth of the step"):
        fit(Linear("poisson"), data, step=1e3, optimizer=optimizer)


def test_adagrad_comes_back_from_a_squared_loss_and_need_not_from_a_poisson_loss():
    """It is not said to have run away, though it is of no use: the gradients of one step make all
    later steps short."""
    data = labeled_data((np.ones((2, 1)), [1.0, 2.0]))
    settings = {"step": 200.0, "optimizer": "adagrad", "iterations": 100}
    squared = fit(Linear(), data, **settings).loss_history
    poisson = fit(Linear("poisson"), data, **settings).loss_history
    assert max(squared) > 1e4
    assert squared[-1] < 1.0
    assert max(poisson) > 1e80
    assert poisson[-1] > 1e20


@pytest.mark.parametrize("strategy", ["sync", "ssp:0", "local:3", "model_parallel", "average"])
@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_squares_of_gradients_that_overflow_end_the_descent(optimizer, strategy):
    """With infinite squares in its memory no weight would ever move again, and nobody know it."""
    data = labeled_data((np.ones((2, 1)), [1.0, 2.0]))
    with pytest.raises(Diverged, match=r"step=500\. Pass a tenth of the step"):
        fit(Linear("poisson"), data, strategy, step=500.0, optimizer=optimizer)
    steep = labeled_data(([[1e160], [-1e160]], [1.0, 0.0]))
    with pytest.raises(Diverged, match=r"The squares of the features overflow; scale"):
        fit(Linear("logistic"), steep, strategy, step=0.1, optimizer=optimizer)


def test_mini_batches_that_vary_more_than_the_whole():
    data = labeled_data(([[1.0], [1.0]], [1.0, 1.0]))
    failure = NotFinite("the loss became inf", 7)
    message = advice(failure, half_batches(0.6), data, Strain())
    assert message.startswith("SGD diverged: the loss became inf at iteration 7 with step=0.6.")
    assert "not for every mini-batch" in message
    named = advice(failure, half_batches(2.1), data, Strain())
    assert "A step that mini-batches of that size bear for this data is 0.66" in named


@pytest.mark.parametrize("loss", ["squared", "squared_hinge"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
@pytest.mark.parametrize("batch", [{"batch_rows": 1}, {"batch_rows": 5}, {"fraction": 0.1}])
def test_the_step_named_for_mini_batches_is_one_that_they_bear(loss, optimizer, batch):
    generator = np.random.default_rng(8)
    X = generator.normal(size=(100, 10))
    data = labeled_data((X[:70], 1.0 * (X[:70, 0] > 0)), (X[70:], 1.0 * (X[70:, 0] > 0)))
    settings = {"optimizer": optimizer, "schedule": "constant", "iterations": 400, **batch}
    with pytest.raises(Diverged, match="A step that mini-batches of that size bear") as caught:
        fit(Linear(loss, intercept=True), data, step=10.0, **settings)
    step = step_named_in(str(caught.value))
    trained = fit(Linear(loss, intercept=True), data, step=step, **settings)
    assert max(trained.loss_history) < 100.0


def test_bounded_slopes_need_no_shorter_step_for_mini_batches():
    data = halves(*line())
    failure = NotFinite("the loss became inf", 7)
    problem = replace(half_batches(1e9), model=Linear("huber"), features=2)
    assert "A step that is surely safe for this data is 2:" in advice(
        failure, problem, data, Strain()
    )
    assert "bears gradients 1 update old" in advice(failure, problem, data, Strain(staleness=1))
    assert "bears gradients 2 updates old" in advice(failure, problem, data, Strain(staleness=2))


def half_batches(step):
    return Problem(Linear(), 1, schedule=Schedule("mllib", step), batches=Batches(fraction=0.5))


@pytest.mark.parametrize("solver", ["rounds", "gram"])
def test_no_stray_warning_on_the_way(cluster, solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message_of(load_libsvm(DIABETES_RAW, cluster=cluster), step=1e300, solver=solver)


def test_nor_where_the_squares_of_the_labels_overflow_before_a_step_is_made():
    with pytest.raises(Diverged, match="the loss became inf at iteration 1"):
        fit(Linear(), labeled_data(([[1.0]], [1e200])), "gram", step=0.1)


@pytest.mark.parametrize("partitions", [3, 9])
@pytest.mark.parametrize(
    "strategy", ["sync", "gram", "average", "ssp:0:half", "allreduce:top-k", checkpointed]
)
def test_nor_where_only_the_sum_over_partitions_overflows(tmp_path, strategy, partitions):
    """Or over the three members, each of which has one of three."""
    data = labeled_data(*[([[1.0]], [1.2e154])] * partitions)
    if strategy is checkpointed:
        strategy = checkpointed(tmp_path / "run.checkpoint")
    with pytest.raises(Diverged, match="the loss became inf"):
        fit(Linear(), data, strategy, step=0.1)


SCALED_UP = 300.0


def diverging(loss, **arguments):
    """Data whose features are in the hundreds, and the message that a step of 1e6 gets."""
    generator = np.random.default_rng(3)
    X = SCALED_UP * generator.normal(size=(40, 3))
    y = generator.integers(0, 2, size=40).astype(float)
    data = labeled_data((X[:25], y[:25]), (X[25:], y[25:]))
    with pytest.raises(Diverged) as caught:
        fit(Linear(loss, classes=2), data, step=1e6, iterations=1000, **arguments)
    return data, str(caught.value)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("squared", "The largest safe step for"),
        ("squared_hinge", "A step that is surely safe for"),
        ("poisson", "A step that is safe near the solution for"),
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_the_step_named_for_a_loss_is_safe_for_its_curvature(loss, words, optimizer):
    data, message = diverging(loss, optimizer=optimizer, schedule="constant")
    assert words in message
    safe = {"step": step_named_in(message), "optimizer": optimizer, "schedule": "constant"}
    losses = fit(Linear(loss), data, **safe, iterations=300).loss_history
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", ["hinge", "quantile"])
@pytest.mark.parametrize("penalty", [{}, {"penalty": "l2", "strength": 1e-3}])
def test_corners_have_a_step_of_the_right_size(loss, penalty):
    """What the penalty alone bears would throw them a million times as far as they began."""
    data, message = diverging(loss, schedule="constant", **penalty)
    assert "A step of the right size for this data is" in message
    settings = {"schedule": "constant", "iterations": 300, **penalty}
    losses = fit(Linear(loss), data, step=step_named_in(message), **settings).loss_history
    assert max(losses) < 10.0 * losses[0]


@pytest.mark.parametrize("loss", ["logistic", "huber", "softmax"])
def test_losses_with_bounded_slopes_diverge_by_their_penalty_alone(loss):
    data, message = diverging(loss, penalty="l2", strength=10.0)
    assert "surely safe" in message or "largest safe" in message
    safe = step_named_in(message)
    assert safe <= 2.0 / 10.0
    trained = fit(Linear(loss), data, step=safe, penalty="l2", strength=10.0, iterations=300)
    assert np.isfinite(trained.loss_history).all()


def test_a_step_that_no_curvature_bears_is_seen_at_once():
    data = labeled_data((np.full((2, 1), 400.0), np.full(2, 3.0)))
    seen = []
    with pytest.raises(Diverged, match=r"the loss became inf at iteration 2 with step=1\. A step"):
        fit(Linear("poisson"), data, step=1.0, on_step=lambda i, *_: seen.append(i), start=[0.0])
    assert seen == [1]


def test_a_network_that_diverges_is_told_to_take_smaller_steps():
    data = labeled_data((np.full((2, 1), 100.0), [1e3, 2e3]))
    network = MultilayerPerceptron((4,))
    with pytest.raises(Diverged, match="Nothing bounds the curvature of a network"):
        fit(network, data, step=1e6)


def line(rows=40, scale=1.0, noise=0.0):
    generator = np.random.default_rng(5)
    X = generator.normal(size=(rows, 2))
    y = scale * (X @ [2.0, -1.0] + noise * generator.normal(size=rows))
    return X, y


def halves(X, y):
    return labeled_data((X[: len(y) // 2], y[: len(y) // 2]), (X[len(y) // 2 :], y[len(y) // 2 :]))


def curvature(data):
    return curvature_of(data, intercept=False).largest


@pytest.mark.parametrize("strategy", ["sync", "gram", "ssp:4", "async", "allreduce", "local:4"])
def test_a_descent_that_ends_on_its_way_to_infinity_has_diverged(strategy):
    data = halves(*line())
    with pytest.raises(Diverged, match=r"the loss rose from 1\.98 to \S+e\+\d+ at iter") as caught:
        fit(Linear(), data, strategy, step=100 / curvature(data), schedule="constant", iterations=9)
    step = step_named_in(str(caught.value))
    trained = fit(Linear(), data, strategy, step=step, schedule="constant", iterations=300)
    assert trained.loss_history[-1] < trained.loss_history[0]


def test_so_it_is_where_curvature_is_unbounded_or_batches_are_small():
    data = halves(*line())
    with pytest.raises(Diverged, match="the loss rose from"):
        fit(Linear(), data, step=100 / curvature(data), iterations=9, fraction=0.3)
    with pytest.raises(Diverged, match=r"the loss rose from.* of a network"):
        fit(MultilayerPerceptron((4,)), data, step=1e9, iterations=2)
    with pytest.raises(Diverged, match="the loss rose from"):
        train(data, step=100 / curvature(data), iterations=9)


def once_a_thousand():
    """A thousand rows that nearly agree, and one that is far away."""
    X = np.ones((1000, 1))
    y = np.full(1000, 1e-4)
    y[700] = 1e3
    return X, y


COUNTED = (np.ones((4, 1)), np.array([1e8, 1e8, 2e8, 2e8]))

ODD_BUT_SOUND = {
    "a start at the solution": (line(), {"start": [2.0, -1.0], "step": 0.5}),
    "close to it, small batches": (
        line(noise=1e-9),
        {"start": [2.0, -1.0], "step": 0.5, "schedule": "constant", "batch_rows": 2},
    ),
    "a start without any loss": ((line()[0], np.zeros(40)), {"step": 1.0}),
    "away from the solution": (line(noise=0.1), {"start": [2.0, -1.0], "step": 2.5}),
    "single rows, one of them odd": (
        once_a_thousand(),
        {"batch_rows": 1, "step": 1e-6, "iterations": 3000, "start": [1e-4]},
    ),
    "a race that was won": (line(noise=0.1), {"step": 8.0, "iterations": 300}),
    "counts, far below zero": (
        COUNTED,
        {"loss": "poisson", "step": 1.4e-7, "iterations": 1, "schedule": "constant"},
    ),
    "counts, above zero by less than below": (
        COUNTED,
        {"loss": "poisson", "step": 1.467e-7, "iterations": 1},
    ),
    "bounded steps": (line(scale=1e-3), {"optimizer": "adam", "step": 50.0, "iterations": 1}),
}


@pytest.mark.parametrize("case", ODD_BUT_SOUND)
def test_a_loss_that_rose_far_need_not_have_diverged(case):
    (X, y), settings = ODD_BUT_SOUND[case]
    settings = dict(settings)
    model = Linear(settings.pop("loss", "squared"))
    trained = fit(model, halves(X, y), **settings)
    assert np.isfinite(trained.loss_history).all()


def test_some_of_these_losses_rose_a_million_times():
    rose = []
    for case, ((X, y), settings) in ODD_BUT_SOUND.items():
        settings = dict(settings)
        losses = fit(Linear(settings.pop("loss", "squared")), halves(X, y), **settings).loss_history
        if max(losses) > 1e6 * abs(losses[0]):
            rose.append(case)
    assert rose == [
        "single rows, one of them odd",
        "a race that was won",
        "counts, above zero by less than below",
        "bounded steps",
    ]


def test_counts_above_zero_by_less_than_below_come_back():
    descent = fit(Linear("poisson"), halves(*COUNTED), step=1.467e-7, iterations=300)
    history = descent.loss_history
    assert history[1] > 1e6 * history[0] > 0 > history[-1]
    best = 1.5e8 * (1 - np.log(1.5e8))  # of a single mean e^w for all rows
    assert history[-1] == pytest.approx(best, rel=1e-3)


def test_counts_may_be_on_their_way_to_infinity():
    with pytest.raises(Diverged, match=r"the loss rose from 1 to 1\.14e\+26 at iteration 2"):
        fit(Linear("poisson"), halves(*COUNTED), step=4e-7, iterations=1)


def test_no_round_more_is_made_for_a_loss_that_did_not_rise():
    data = halves(*line())
    data.summary()
    before = data.dataset.rounds
    fit(Linear(), data, step=0.5, iterations=20)
    assert data.dataset.rounds - before == 21
