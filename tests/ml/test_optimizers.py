"""Optimizers against their papers' formulas, row by row in plain Python, and key range by range.

The loops below are the update rules as torch.optim (SGD with momentum, Adagrad, Adam, weight decay
added to the gradient) and scikit-learn (Nesterov) document them; they share no code with ml/.
"""

import math

import numpy as np
import pytest

from ml import ArgumentError, Linear, Optimizer, Penalty, Problem
from ml.optimizers import RULES, Point

STEPS, ETA = 30, 0.1
START = [1.0, -2.0, 0.5]


def slope(weights):
    """The gradient of a quadratic of three curvatures, with its minimum at (1, 2, 3) * 0.7."""
    return [c * (w - 0.7 * c) for w, c in zip(weights, (1.0, 2.0, 3.0), strict=True)]


def descend(kind, penalty=None, steps=STEPS, **constants):
    optimizer, weights = Optimizer(kind, **constants), np.array(START)
    memory = optimizer.memory(3)
    for count in range(1, steps + 1):
        at = Point(weights, np.array(slope(weights)), memory, ETA, count, penalty or Penalty())
        weights, memory = optimizer.move(at)
    return weights


@pytest.mark.parametrize("kind", RULES)
def test_what_is_remembered_keeps_its_shape(kind):
    optimizer = Optimizer(kind)
    at = Point(np.ones(3), np.ones(3), optimizer.memory(3), ETA, 1, Penalty())
    assert optimizer.move(at)[1].shape == optimizer.memory(3).shape


def by_hand(step, l2=0.0):
    weights, memory = list(START), [[0.0, 0.0] for _ in START]
    for count in range(1, STEPS + 1):
        gradient = [g + l2 * w for g, w in zip(slope(weights), weights, strict=True)]
        weights = [step(w, g, m, count) for w, g, m in zip(weights, gradient, memory, strict=True)]
    return weights


def momentum(w, g, memory, count):
    memory[0] = 0.9 * memory[0] + g
    return w - ETA * memory[0]


def nesterov(w, g, memory, count):
    memory[0] = 0.9 * memory[0] - ETA * g
    return w + 0.9 * memory[0] - ETA * g


def adagrad(w, g, memory, count):
    memory[0] += g * g
    return w - ETA * g / (math.sqrt(memory[0]) + 1e-8)


def adam(w, g, memory, count):
    memory[0] = 0.9 * memory[0] + 0.1 * g
    memory[1] = 0.999 * memory[1] + 0.001 * g * g
    mean, square = memory[0] / (1 - 0.9**count), memory[1] / (1 - 0.999**count)
    return w - ETA * mean / (math.sqrt(square) + 1e-8)


def sgd(w, g, memory, count):
    return w - ETA * g


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("step", [sgd, momentum, nesterov, adagrad, adam])
def test_every_rule_is_the_documented_one(step, l2):
    found = descend(step.__name__, Penalty(l2=l2))
    np.testing.assert_allclose(found, by_hand(step, l2), rtol=1e-12)


@pytest.mark.parametrize("kind", RULES)
def test_a_range_of_keys_moves_alone_to_the_same_bytes(kind):
    """What parameter servers rely on; the intercept, last, is not penalised."""
    generator = np.random.default_rng(1)
    given = Problem(
        Linear(intercept=True), features=6, penalty=Penalty(0.05, 0.1), optimizer=Optimizer(kind)
    )
    whole, memory = generator.normal(size=7), given.memory()
    ranges = [slice(0, 2), slice(2, 6), slice(6, 7)]
    parts = [(whole[keys], memory[:, keys]) for keys in ranges]
    for count in range(1, 20):
        gradient = generator.normal(size=7) * (count % 3)
        eta = 0.2 / count
        whole, memory = given.update(whole, gradient, memory, eta, count)
        parts = [
            given.update(part, gradient[keys], its_memory, eta, count, keys)
            for keys, (part, its_memory) in zip(ranges, parts, strict=True)
        ]
    assert np.concatenate([part for part, _ in parts]).tobytes() == whole.tobytes()
    joined = np.concatenate([its_memory for _, its_memory in parts], axis=1)
    assert joined.tobytes() == memory.tobytes()


@pytest.mark.parametrize("kind", RULES)
def test_all_come_to_rest_at_the_same_weights_under_an_l1_penalty(kind):
    """Coordinate by coordinate: soft_threshold(0.7 c, l1 / c), and one weight exactly zero."""
    l1 = 0.75
    expected = [0.0] + [0.7 * c - l1 / c for c in (2.0, 3.0)]
    steps = 2500 if kind == "adagrad" else 350  # its steps shrink, however flat the way is
    found = descend(kind, Penalty(l1=l1), steps)
    np.testing.assert_allclose(found, expected, atol=1e-3 if kind == "adagrad" else 1e-6)
    assert found[0] == 0.0


@pytest.mark.parametrize("kind", RULES)
def test_nothing_is_changed_in_place(kind):
    optimizer, weights, gradient = Optimizer(kind), np.ones(2), np.ones(2)
    memory = optimizer.memory(2)
    optimizer.move(Point(weights, gradient, memory, 0.1, 1, Penalty(0.1, 0.1)))
    assert not memory.any()
    assert weights.tolist() == gradient.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov"])
def test_the_stable_step_is_the_border(kind):
    optimizer = Optimizer(kind, momentum=0.8)
    for factor, stays in ((0.99, True), (1.01, False)):
        eta = factor * optimizer.stable_step(4.0)
        weights, memory = np.ones(1), optimizer.memory(1)
        for count in range(1, 2000):
            at = Point(weights, 4.0 * weights, memory, eta, count, Penalty())
            weights, memory = optimizer.move(at)
        assert bool(abs(weights[0]) < 1.0) is stays


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("staleness", [1, 4, 16])
@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov"])
@np.errstate(over="ignore", invalid="ignore")
def test_the_step_for_old_gradients_bears_them_and_one_thirty_times_as_long_does_not(
    kind, staleness, momentum
):
    optimizer = Optimizer(kind, momentum=momentum)
    for factor, stays in ((1.0, True), (30.0, False)):
        eta = factor * optimizer.stable_step(4.0, staleness)
        path, memory = [np.ones(1)] * (staleness + 1), optimizer.memory(1)
        for count in range(1, 1500):
            at = Point(path[-1], 4.0 * path[0], memory, eta, count, Penalty())
            moved, memory = optimizer.move(at)
            path = [*path[1:], moved]
        assert bool(abs(path[-1][0]) < 1.0) is stays


@pytest.mark.parametrize("kind", ["sgd", "momentum", "nesterov"])
def test_a_step_that_bears_a_curvature_which_varies(kind):
    """Of the squared hinge it is 0 beyond the margin. Polyak's momentum is not safe below the
    border of a quadratic: from this start it is driven away, and the loss was 1e26 in the end."""
    rows = np.array([[-1.0, -1.0], [-2.0, 3.0], [2.0, 0.0], [-2.0, -2.0]])  # s x of each row
    largest = 2.0 * np.linalg.eigvalsh(rows.T @ rows / 4.0)[-1]
    optimizer = Optimizer(kind)
    eta = 0.98 * optimizer.stable_step(largest, varies=True)
    weights, memory = np.full(2, 2.0), optimizer.memory(2)
    for count in range(1, 401):
        short = np.maximum(1.0 - rows @ weights, 0.0)
        at = Point(weights, -2.0 * short @ rows / 4.0, memory, eta, count, Penalty())
        weights, memory = optimizer.move(at)
    assert short @ short < 10.0 < 4.0 * 26.5, "what it was at the start"


def test_constants_out_of_range():
    with pytest.raises(ArgumentError, match="optimizer must be one of 'sgd', 'momentum'"):
        Optimizer("lbfgs")
    with pytest.raises(ArgumentError, match=r"momentum must be a number in \[0, 1\), but is 1"):
        Optimizer("momentum", momentum=1)
    with pytest.raises(ArgumentError, match="epsilon must be a number > 0, but is 0"):
        Optimizer("adam", epsilon=0)
