"""The descent against a retelling of MLlib in plain Python, and its rules one by one."""

import itertools

import numpy as np
import pytest

from minimr.shuffle.codec import dumps, loads
from ml import LinearRegressionWithSGD
from ml.descent import Descent, NotFinite, Trace, check_finite, converged
from ml.models import Linear
from ml.optimizers import Optimizer
from ml.penalties import Penalty
from ml.problem import Problem
from ml.schedules import Schedule
from tests.ml import mllib_replica
from tests.ml.fakes import labeled_data


def problem(iterations=10, step=1.0, l2=0.0, tolerance=0.0, **others):
    return Problem(
        Linear(),
        features=1,
        penalty=Penalty(l2=l2),
        schedule=Schedule("mllib", step),
        iterations=iterations,
        tolerance=tolerance,
        **others,
    )


def always(gradient, loss=1.0, rows=1):
    return lambda weights, iteration: np.array([*gradient, loss, rows], dtype=float)


def descend(sums_at, start, problem, on_step=None):
    descent = Descent(problem, start, on_step)
    while not descent.ended:
        descent.take(sums_at(descent.parameters, descent.iteration))
    return descent.trace()


def random_rows(seed, rows=40, features=3):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, features))
    return X, X @ generator.normal(size=features) + generator.normal(size=rows)


CASES = list(itertools.product([None, "l1", "l2"], [False, True], [0.0, 0.01, 0.3], [0, 1, 2, 30]))


@pytest.mark.parametrize(("kind", "intercept", "tol", "iterations"), CASES)
def test_every_rule_agrees_with_mllib_retold(kind, intercept, tol, iterations):
    X, labels = random_rows(seed=iterations)
    start = [0.5, -0.25, 2.0]
    arguments = {
        "iterations": iterations,
        "step": 0.2,
        "regParam": 0.1 if kind else 0.0,
        "regType": kind,
        "intercept": intercept,
        "convergenceTol": tol,
        "initialWeights": start,
    }
    rows = list(zip(labels.tolist(), X.tolist(), strict=True))
    weights, bias, history = mllib_replica.train(rows, **arguments)
    data = labeled_data((X[:7], labels[:7]), (X[7:], labels[7:]))
    model = LinearRegressionWithSGD.train(data, **arguments)
    np.testing.assert_allclose(model.weights, weights, rtol=1e-12)
    np.testing.assert_allclose(model.intercept, bias, rtol=1e-12)
    np.testing.assert_allclose(model.loss_history, history, rtol=1e-12)


def test_some_case_above_converges_early():
    X, labels = random_rows(seed=30)
    rows = list(zip(labels.tolist(), X.tolist(), strict=True))
    _, _, history = mllib_replica.train(rows, 30, 0.2, convergenceTol=0.01)
    assert 2 < len(history) < 30


def test_the_history_has_one_evaluation_more_than_updates():
    trace = descend(always([1.0]), np.zeros(1), problem(iterations=3))
    assert len(trace.loss_history) == 4
    assert trace.parameters == pytest.approx([-(1 + 2**-0.5 + 3**-0.5)], rel=1e-15)


def test_no_iterations_give_the_start_and_its_loss():
    trace = descend(always([1.0], loss=6.0, rows=2), np.array([5.0]), problem(0, l2=2.0))
    assert trace.parameters.tolist() == [5.0]
    assert trace.loss_history == [3.0 + 25.0]


def test_one_weight_that_is_no_number_ends_the_descent():
    many = Problem(Linear(), features=2, schedule=Schedule("constant", 1e200))
    descent = Descent(many, np.zeros(2))
    with pytest.raises(NotFinite, match="the weights stopped being finite numbers"):
        descent.take(np.array([1e200, 1.0, 1.0, 1.0]))


def test_convergence_is_first_tested_after_the_second_update():
    trace = descend(always([0.0]), np.zeros(1), problem(tolerance=0.5))
    assert len(trace.loss_history) == 2
    trace = descend(always([0.0]), np.zeros(1), problem(tolerance=0.0))
    assert len(trace.loss_history) == 11  # no step is shorter than zero


@pytest.mark.parametrize(
    ("previous", "current", "tolerance", "expected"),
    [
        ([0.0], [0.05], 0.1, True),
        ([0.0], [0.1], 0.1, False),  # strictly shorter
        ([10.0], [10.9], 0.1, True),  # relative to the weights, once they are long
        ([10.0], [11.2], 0.1, False),
        ([0.0], [0.0], 0.0, False),
    ],
)
def test_the_convergence_test(previous, current, tolerance, expected):
    assert converged(np.array(previous), np.array(current), tolerance) is expected


def test_an_empty_batch_changes_nothing_but_advances_the_step():
    def sums_at(weights, iteration):
        return np.array([1.0, 1.0, 0.0 if iteration in (1, 3) else 1.0])

    trace = descend(sums_at, np.zeros(1), problem(iterations=4))
    assert trace.parameters == pytest.approx([-(2**-0.5 + 4**-0.5)], rel=1e-15)
    assert len(trace.loss_history) == 3


def test_an_empty_first_batch_puts_off_the_convergence_test():
    """The one update made after it has no earlier update to be compared with."""

    def sums_at(weights, iteration):
        return np.array([0.0, 1.0, 0.0 if iteration == 1 else 1.0])

    trace = descend(sums_at, np.zeros(1), problem(tolerance=0.5))
    assert len(trace.loss_history) == 2


def test_an_empty_last_evaluation_leaves_no_entry():
    trace = descend(always([1.0], rows=0), np.array([2.0]), problem())
    assert trace.parameters.tolist() == [2.0]
    assert trace.loss_history == []


def test_each_entry_is_reported_with_the_weights_that_have_that_loss():
    seen = []
    sums_at = lambda w, i: np.array([*w, float(w @ w) / 2, 1.0])  # noqa: E731
    trace = descend(sums_at, np.array([4.0]), problem(2, step=0.5), lambda *x: seen.append(x))
    assert [(i, loss) for i, loss, _ in seen] == list(enumerate(trace.loss_history, 1))
    assert [loss for _, loss, _ in seen] == [float(w @ w) / 2 for _, _, w in seen]
    assert seen[0][2].tolist() == [4.0]
    assert seen[-1][2].tolist() == trace.parameters.tolist()


def test_a_listener_cannot_change_the_descent():
    def spoil(iteration, loss, weights):
        weights[:] = 1e9

    assert descend(always([1.0]), np.zeros(1), problem(1), spoil).parameters.tolist() == [-1.0]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_once(loss):
    with pytest.raises(NotFinite, match=f"the loss became {loss} at iteration 1"):
        descend(always([1.0], loss=loss), np.zeros(1), problem())


def test_weights_that_are_not_finite_stop_at_once():
    with pytest.raises(NotFinite, match="the weights stopped being finite numbers at iteration 1"):
        descend(always([1e308]), np.zeros(1), problem(step=1e10))


def test_a_penalty_that_overflows_stops_at_once():
    with pytest.raises(NotFinite, match="the loss became inf at iteration 2"):
        descend(always([1e200]), np.zeros(1), problem(l2=1e-9))


@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov", "adagrad", "adam"])
@pytest.mark.parametrize("schedule", ["mllib", "adaptive"])
def test_a_resumed_descent_goes_on_to_the_same_bytes(kind, schedule):
    def sums_at(weights, iteration):
        return np.array([weights[0] - 3.0 + iteration % 2, abs(weights[0] - 3.0), 2.0])

    given = Problem(
        Linear(),
        features=1,
        penalty=Penalty(0.1, 0.1),
        optimizer=Optimizer(kind),
        schedule=Schedule(schedule, 0.3, patience=2),
        iterations=12,
    )
    whole = descend(sums_at, np.zeros(1), given)
    descent = Descent(given, np.zeros(1))
    while not descent.ended:
        descent.take(sums_at(descent.parameters, descent.iteration))
        descent = Descent.resumed(given, loads(dumps(descent.saved())))
    assert descent.trace().parameters.tobytes() == whole.parameters.tobytes()
    assert descent.trace().loss_history == whole.loss_history
    assert descent.updates == whole.updates == 12


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
def test_what_was_saved_stays_as_it_was(kind):
    """It may be written down later, beside what was saved after it."""
    descent = Descent(problem(optimizer=Optimizer(kind)), np.zeros(1))
    descent.take(np.array([1.0, 1.0, 1.0]))
    saved = descent.saved()
    before = dumps(saved)
    descent.take(np.array([2.0, 1.0, 1.0]))
    assert dumps(saved) == before


def test_a_listener_that_returns_true_ends_the_descent_where_it_is():
    trace = descend(always([1.0]), np.zeros(1), problem(), lambda i, loss, w: i == 3)
    assert (len(trace.loss_history), trace.updates) == (3, 2)
    trace = descend(always([1.0]), np.zeros(1), problem(3), lambda i, loss, w: "yes")
    assert len(trace.loss_history) == 4
    trace = descend(always([1.0]), np.zeros(1), problem(), lambda i, loss, w: np.int64(i) == 3)
    assert len(trace.loss_history) == 3, "numpy's True"


def test_an_adaptive_schedule_is_told_of_the_losses():
    given = Problem(Linear(), 1, schedule=Schedule("adaptive", 1.0, patience=2), iterations=4)
    trace = descend(always([1.0], loss=1.0), np.zeros(1), given)
    assert trace.parameters == pytest.approx([-(1.0 + 1.0 + 0.2 + 0.2)])


@pytest.mark.parametrize(
    ("parameters", "losses", "what", "iteration"),
    [
        ([1.0], [3.0, np.inf, np.nan], "the loss became inf", 2),
        ([1.0, np.nan], [3.0, 2.0], "the weights stopped being finite", 2),
    ],
)
def test_a_descent_that_left_the_finite_numbers_is_found_afterwards(
    parameters, losses, what, iteration
):
    with pytest.raises(NotFinite, match=f"{what}.* at iteration {iteration}"):
        check_finite(Trace(np.array(parameters), losses))
