"""Metrics against their definitions, from pairs and merged from parts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import (
    ArgumentError,
    Linear,
    LinearRegressionModel,
    RegressionMetrics,
    Trained,
    evaluate,
)
from ml.metrics import Moments
from tests.ml.fakes import labeled_data

numbers = st.floats(-1e6, 1e6)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20)


def by_definition(pairs):
    """Every figure from its formula, with exact sums."""
    n = len(pairs)
    mean = math.fsum(y for _, y in pairs) / n
    squares = math.fsum((y - p) ** 2 for p, y in pairs)
    return {
        "explainedVariance": math.fsum((p - mean) ** 2 for p, _ in pairs) / n,
        "meanAbsoluteError": math.fsum(abs(y - p) for p, y in pairs) / n,
        "meanSquaredError": squares / n,
        "rootMeanSquaredError": math.sqrt(squares / n),
    }


@given(pairs)
def test_every_figure_is_its_definition(pairs):
    found = RegressionMetrics(pairs).as_dict()
    found.pop("r2")
    assert found == pytest.approx(by_definition(pairs), rel=1e-9, abs=1e-6)


def test_r2():
    pairs = [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)]
    assert RegressionMetrics(pairs).r2 == pytest.approx(0.9486081370449679, rel=1e-14)
    assert RegressionMetrics([(5.0, 1.0), (6.0, 1.0)]).r2 == -math.inf
    assert math.isnan(RegressionMetrics([(1.0, 1.0), (1.0, 1.0)]).r2)


@given(pairs, st.integers(0, 20), st.integers(0, 20))
def test_merged_parts_are_the_whole(pairs, a, b):
    both = np.array(pairs)
    first, last = sorted((a, b))
    parts = [
        Moments.of(*both[rows].T) for rows in (slice(first), slice(first, last), slice(last, None))
    ]
    merged = parts[0].merged(parts[1]).merged(parts[2])
    assert vars(merged) == pytest.approx(vars(Moments.of(*both.T)), rel=1e-9, abs=1e-3)


@pytest.mark.parametrize("label", [0.1, 1 / 3, -1e-9, 1e8 + 0.1, 5e-324])
@pytest.mark.parametrize("rows", [2, 3, 7, 10, 29, 1000])
def test_equal_observations_have_no_spread_however_they_are_rounded(label, rows):
    labels = np.full(rows, label)
    assert RegressionMetrics(labels + 1.0, labels).r2 == -math.inf
    perfect = Moments.of(labels, labels)
    assert (perfect.observation_mean, perfect.observation_spread) == (label, 0.0)
    both = perfect.merged(Moments.of(labels[1:], labels[1:]))
    assert math.isnan(RegressionMetrics.from_moments(both).r2)


def test_merging_does_not_cancel():
    """Labels around 1e9: the textbook sum of squares would lose every digit of the spread."""
    labels = 1e9 + np.arange(1000.0)
    parts = [Moments.of(labels[i : i + 100] + 1, labels[i : i + 100]) for i in range(0, 1000, 100)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part)
    assert merged.observation_spread == pytest.approx(1000 * (1000**2 - 1) / 12, rel=1e-12)
    assert RegressionMetrics.from_moments(merged).meanSquaredError == 1.0


def test_the_three_ways_to_give_pairs():
    pairs = [(1.0, 2.0), (3.0, 5.0)]
    expected = RegressionMetrics(pairs).as_dict()
    assert RegressionMetrics(np.array(pairs)).as_dict() == expected
    assert RegressionMetrics(iter(pairs)).as_dict() == expected
    assert RegressionMetrics([1.0, 3.0], np.array([2.0, 5.0])).as_dict() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "nothing to measure"),
        (([], []), "nothing to measure"),
        (([1.0, 2.0],), "pairs must be"),
        (([(1.0, 2.0, 3.0)],), "pairs must be"),
        (([(1.0,), (1.0, 2.0)],), "pairs of numbers"),
        (([("a", 2.0)],), "pairs of numbers"),
        (([(10**400, 2.0)],), "pairs of numbers"),
        (([1.0], [10**400]), "observations must be numbers"),
        (([1.0], np.array([1j])), "observations must be numbers"),
        (([1.0], [1.0, 2.0]), r"one length, but their shapes are \(1,\) and \(2,\)"),
    ],
)
def test_what_is_no_list_of_pairs(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        RegressionMetrics(*arguments)


def test_evaluate_measures_a_model_in_one_round():
    model = LinearRegressionModel(np.array([2.0, 1.0]), 0.5)
    X = np.arange(12.0).reshape(6, 2)
    labels = np.array([1.0, 7.0, 14.0, 19.0, 26.0, 33.0])
    data = labeled_data((X[:1], labels[:1]), (np.zeros((0, 0)), []), (X[1:], labels[1:]))
    data.count()
    rounds = data.dataset.rounds
    found = evaluate(model, data)
    assert data.dataset.rounds == rounds + 1
    expected = RegressionMetrics(model.predict(X), labels)
    assert found.as_dict() == pytest.approx(expected.as_dict(), rel=1e-13)
    assert found.rows == 6


def test_figures_that_overflow_are_infinite():
    """As those of a Poisson model are where features are not scaled: e^400 squared is no float."""
    model = Trained(Linear("poisson"), 1, np.array([1.0]))
    found = evaluate(model, labeled_data(([[400.0]], [1.0]), ([[0.0], [0.0]], [0.0, 2.0])))
    assert found.meanSquaredError == found.explainedVariance == math.inf
    assert (found.meanAbsoluteError, found.r2) == (pytest.approx(math.exp(400) / 3), -math.inf)
    assert RegressionMetrics([1e150, 0.0], [0.0, 1e-150]).r2 == -math.inf
    alike = RegressionMetrics([1e200, 1e200], [0.0, 1.0])
    assert (alike.explainedVariance, alike.r2) == (math.inf, -math.inf)
    assert RegressionMetrics([1.0, 0.0], [-1e200, 1e200]).meanSquaredError == math.inf


def test_evaluate_refuses_data_wider_than_the_model():
    with pytest.raises(ArgumentError, match="2 features, but the model has 1"):
        evaluate(LinearRegressionModel(np.ones(1), 0.0), labeled_data(([[1.0, 2.0]], [1.0])))


def test_it_prints_its_figures():
    assert repr(RegressionMetrics([(1.0, 2.0), (2.0, 4.0)])).startswith(
        "RegressionMetrics(rows=2, explainedVariance=2.5, meanAbsoluteError=1.5,"
    )
