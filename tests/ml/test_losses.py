"""Every loss: by its formula row by row, by its slope, by its bound, at the ends of the scale."""

import math

import numpy as np
import pytest

from ml import ArgumentError, Linear, MultilayerPerceptron, check_gradient
from ml.losses import LOSSES, find_loss, sigmoid

LABELS = {
    "squared": [-2.5, 0.0, 1.5, 3.0, 7.25],
    "huber": [-2.5, 0.0, 1.5, 3.0, 7.25],
    "quantile": [-2.5, 0.0, 1.5, 3.0, 7.25],
    "poisson": [0.0, 3.0, 1.0, 12.0, 2.0],
    "logistic": [0.0, 1.0, 1.0, 0.0, 1.0],
    "hinge": [0.0, 1.0, 1.0, 0.0, 1.0],
    "squared_hinge": [0.0, 1.0, 1.0, 0.0, 1.0],
    "softmax": [0.0, 2.0, 1.0, 2.0, 0.0],
}
SCORES = np.array([0.5, -1.25, 3.0, 2.0, 0.125])


def by_formula(name, z, y, p):
    """The loss of one row in plain Python, as textbooks write it."""
    s, r = 2 * y - 1, z - y
    return {
        "squared": lambda: r**2 / 2,
        "huber": lambda: r**2 / 2 if abs(r) <= p else p * (abs(r) - p / 2),
        "quantile": lambda: p * (y - z) if y > z else (1 - p) * (z - y),
        "poisson": lambda: math.exp(z) - y * z,
        "logistic": lambda: math.log(1 + math.exp(-s * z)),
        "hinge": lambda: max(0.0, 1 - s * z),
        "squared_hinge": lambda: max(0.0, 1 - s * z) ** 2,
    }[name]()


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "softmax"])
def test_values_are_those_of_the_textbook(name):
    loss = LOSSES[name]
    value, slopes = loss.evaluate(SCORES, np.array(LABELS[name]))
    rows = zip(SCORES.tolist(), LABELS[name], strict=True)
    expected = sum(by_formula(name, z, y, loss.parameter) for z, y in rows)
    assert value == pytest.approx(expected, rel=1e-14)
    assert slopes.shape == (5,)


def test_softmax_is_the_textbooks_too_and_with_two_classes_the_logistic_loss():
    scores = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, 0.25]])
    value, slopes = LOSSES["softmax"].evaluate(scores, np.array([2.0, 1.0]))
    chances = [[math.exp(z) for z in row] for row in scores.tolist()]
    chances = [[each / sum(row) for each in row] for row in chances]
    assert value == pytest.approx(-math.log(chances[0][2]) - math.log(chances[1][1]), rel=1e-14)
    expected = np.array(chances) - [[0, 0, 1], [0, 1, 0]]
    np.testing.assert_allclose(slopes, expected, rtol=1e-13)
    pairs = np.column_stack([np.zeros(5), SCORES])
    two, _ = LOSSES["softmax"].evaluate(pairs, np.array(LABELS["logistic"]))
    one, _ = LOSSES["logistic"].evaluate(SCORES, np.array(LABELS["logistic"]))
    assert two == pytest.approx(one, rel=1e-14)


def rows_for(name, rows=40, features=3):
    generator = np.random.default_rng(3)
    X = generator.normal(size=(rows, features))
    return X, generator.choice(LABELS[name], size=rows)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_gradient_of_a_linear_model_is_the_slope_of_its_loss(name, intercept):
    X, y = rows_for(name)
    model = Linear(name, intercept=intercept, classes=3)
    parameters = np.random.default_rng(4).normal(size=model.size(3))
    assert check_gradient(model, parameters, X, y) < 1e-8


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("hidden", [(4,), (3, 2)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_gradient_of_a_network_is_the_slope_of_its_loss(name, hidden, activation):
    X, y = rows_for(name)
    model = MultilayerPerceptron(hidden, name, activation, classes=3)
    parameters = np.random.default_rng(5).normal(size=model.size(3))
    assert check_gradient(model, parameters, X, y) < 1e-8


def test_the_checker_finds_a_wrong_gradient():
    class Wrong:
        def sums(self, parameters, X, y):
            sums = Linear().sums(parameters, X, y)
            sums[0] *= 1.001
            return sums

    X, y = rows_for("squared")
    assert check_gradient(Wrong(), np.ones(3), X, y) > 1e-5


def test_the_checker_takes_the_model_s_parameters_only():
    """A linear model passes over those that it has too many, and nothing would be found wrong."""
    X, y = rows_for("squared")
    with pytest.raises(ArgumentError, match="one number for each of the 3 parameters"):
        check_gradient(Linear(), np.ones(4), X, y)
    with pytest.raises(ArgumentError, match=r"y \(rows,\), but they are \(40, 3\) and \(39,\)"):
        check_gradient(Linear(), np.ones(3), X, y[1:])


@pytest.mark.parametrize(("told", "expected"), [(0.0, 0.25), (0.5, 0.25), (4.0, 3.75 / 4.0)])
def test_the_checker_s_difference_is_relative_to_slopes_above_one(told, expected):
    class Tilted:
        """Its slope is 0.25, whatever it says."""

        def sums(self, parameters, X, y):
            return np.array([told, 0.25 * parameters[0], len(y)])

    assert check_gradient(Tilted(), [0.0], [[1.0]], [1.0]) == pytest.approx(expected)


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("softmax", "poisson")])
def test_no_slope_rises_faster_than_the_curvature_says(name):
    loss, step = LOSSES[name], 1e-3
    scores = np.arange(-8, 8, step)
    for label in set(LABELS[name]):
        rises = np.diff(loss.evaluate(scores, np.full(len(scores), label))[1]) / step
        smooth = rises[np.abs(rises) < 100]  # corners apart: their slope jumps
        assert smooth.max() <= loss.curvature * (1 + 1e-9) + 1e-9
    if loss.curvature:
        assert smooth.max() > 0.999 * loss.curvature


def test_softmax_curves_no_more_than_it_says():
    generator = np.random.default_rng(0)
    for chance in generator.dirichlet([0.3] * 3, size=200):
        hessian = np.diag(chance) - np.outer(chance, chance)
        assert np.linalg.eigvalsh(hessian)[-1] <= LOSSES["softmax"].curvature


@pytest.mark.parametrize("score", [-1e4, -745.0, -40.0, 0.0, 40.0, 745.0, 1e4])
def test_nothing_overflows_before_the_result_does(score):
    with np.errstate(all="raise", under="ignore"):
        for label in (0.0, 1.0):
            value, [slope] = LOSSES["logistic"].evaluate(np.array([score]), np.array([label]))
            wrong_by = score if label == 0 else -score
            assert value == pytest.approx(max(wrong_by, 0.0), abs=0.7)
            assert abs(slope) <= 1.0
        value, slopes = LOSSES["softmax"].evaluate(np.array([[score, 0.0]]), np.array([1.0]))
        assert value == pytest.approx(max(score, 0.0), abs=0.7)
        assert np.isfinite(slopes).all()


def test_small_chances_keep_their_digits():
    [value] = sigmoid(np.array([-40.0]))
    assert value == pytest.approx(math.exp(-40), rel=1e-15)
    tiny, _ = LOSSES["logistic"].evaluate(np.array([40.0]), np.array([1.0]))
    assert tiny == pytest.approx(math.exp(-40), rel=1e-14)


def test_rows_far_out_on_the_right_side_take_nothing_from_the_others():
    scores, labels = np.array([-1e17, 1e17, 0.0]), np.array([0.0, 1.0, 1.0])
    value, _ = LOSSES["logistic"].evaluate(scores, labels)
    assert value == pytest.approx(math.log(2), rel=1e-15)
    with np.errstate(all="raise", under="ignore"):
        assert LOSSES["logistic"].evaluate(np.full(2, -1e308), np.zeros(2))[0] == 0.0


def test_which_labels_a_loss_takes():
    labels = np.array([0.0, 1.0, 2.0, 3.0, 0.5, -1.0, np.inf, np.nan])
    taken = {
        "squared": [0.0, 1.0, 2.0, 3.0, 0.5, -1.0],
        "poisson": [0.0, 1.0, 2.0, 3.0],
        "logistic": [0.0, 1.0],
        "softmax": [0.0, 1.0, 2.0],
    }
    for name, expected in taken.items():
        assert labels[find_loss(name).domain.holds(labels, 3)].tolist() == expected


def test_corners():
    _, [slope] = LOSSES["hinge"].evaluate(np.array([1.0]), np.array([1.0]))
    assert slope == 0.0  # MLlib: a row on the margin does not count
    _, [slope] = LOSSES["quantile"].evaluate(np.array([2.0]), np.array([2.0]))
    assert slope == 0.0


def test_the_quantile_loss_finds_the_quantile():
    labels = np.arange(101.0)
    loss = find_loss("quantile", 0.9)
    values = [loss.evaluate(np.full(101, score), labels)[0] for score in labels]
    assert int(np.argmin(values)) == 90


@pytest.mark.parametrize(
    ("name", "parameter", "message"),
    [
        ("cubic", None, "loss must be one of 'squared', 'huber'.* but is 'cubic'"),
        (None, None, "loss must be one of"),
        ("huber", 0.0, "the parameter of the huber loss must be a number > 0, but is 0.0"),
        ("quantile", 0.0, r"the parameter of the quantile loss must be a number in \(0, 1\)"),
        ("quantile", 1.0, r"the parameter of the quantile loss must be a number in \(0, 1\)"),
        ("squared", 1.0, "loss_parameter is for .* the squared loss has none"),
    ],
)
def test_what_is_no_loss(name, parameter, message):
    with pytest.raises(ArgumentError, match=message):
        Linear(name, loss_parameter=parameter)
