"""The penalties, on numbers that can be checked by hand."""

import numpy as np
import pytest

from ml import ArgumentError
from ml.penalties import KINDS, Penalty, find_penalty

WEIGHTS = np.array([1.0, -2.0, 0.0])
GRADIENT = np.array([1.0, -1.0, 0.5])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, [0.5, -1.5, -0.25]),
        ("l2", [0.4, -1.3, -0.25]),  # weights shrink to 0.9 of themselves, then the step
        ("l1", [0.4, -1.4, -0.15]),  # the step, then 0.1 towards zero
        ("elastic_net", [0.4, -1.35, -0.2]),  # weights to 0.95, the step, then 0.05 towards zero
    ],
)
def test_one_step(kind, expected):
    moved = find_penalty(kind, 0.2).step(WEIGHTS, GRADIENT, 0.5)
    np.testing.assert_allclose(moved, expected, rtol=1e-15)


def test_l1_makes_small_weights_exactly_zero():
    moved = Penalty(l1=0.1).step(np.array([0.05, -0.05, 0.1]), np.zeros(3), 1.0)
    assert moved.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "value"), [(None, 0.0), ("l2", 0.5), ("l1", 0.6), ("elastic_net", 0.55)]
)
def test_the_values(kind, value):
    assert find_penalty(kind, 0.2).value(WEIGHTS) == pytest.approx(value)


def test_the_shares_of_an_elastic_net_are_scikit_learns():
    penalty = find_penalty("elastic_net", 2.0, l1_ratio=0.25)
    assert (penalty.l1, penalty.l2) == (0.5, 1.5)
    assert find_penalty("elastic_net", 2.0, 1.0).step(WEIGHTS, GRADIENT, 0.1).tolist() == (
        find_penalty("l1", 2.0).step(WEIGHTS, GRADIENT, 0.1).tolist()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_old_weights_stay_as_they_are(kind):
    weights = WEIGHTS.copy()
    find_penalty(kind, 0.2).step(weights, GRADIENT, 0.5)
    assert weights.tolist() == WEIGHTS.tolist()


def test_a_weight_that_is_not_penalised_takes_the_plain_step():
    penalty = Penalty(0.2, 0.2).on(np.array([1.0, 0.0, 1.0]))
    moved = penalty.step(WEIGHTS, GRADIENT, 0.5)
    assert moved[1] == Penalty().step(WEIGHTS, GRADIENT, 0.5)[1]
    assert penalty.value(WEIGHTS) == pytest.approx(0.2 + 0.1)


def test_arguments_out_of_range():
    with pytest.raises(ArgumentError, match="penalty must be one of None, 'l1', 'l2', 'elastic"):
        find_penalty("l3", 0.1)
    with pytest.raises(ArgumentError, match="strength must be a number >= 0, but is -1"):
        find_penalty("l1", -1)
    with pytest.raises(ArgumentError, match=r"l1_ratio must be a number in \[0, 1\], but is 2"):
        find_penalty("elastic_net", 1.0, 2)
