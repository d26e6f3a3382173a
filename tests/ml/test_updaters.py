"""The three update rules, on numbers that can be checked by hand."""

import numpy as np
import pytest

from ml.updaters import UPDATERS

WEIGHTS = np.array([1.0, -2.0, 0.0])
GRADIENT = np.array([1.0, -1.0, 0.5])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, [0.5, -1.5, -0.25]),
        ("l2", [0.4, -1.3, -0.25]),  # weights shrink to 0.9 of themselves, then the step
        ("l1", [0.4, -1.4, -0.15]),  # the step, then 0.1 towards zero
    ],
)
def test_one_step(kind, expected):
    moved = UPDATERS[kind].step(WEIGHTS, GRADIENT, 0.5, 0.2)
    np.testing.assert_allclose(moved, expected, rtol=1e-15)


def test_l1_makes_small_weights_exactly_zero():
    moved = UPDATERS["l1"].step(np.array([0.05, -0.05, 0.1]), np.zeros(3), 1.0, 0.1)
    assert moved.tolist() == [0.0, 0.0, 0.0]


def test_the_penalties():
    assert UPDATERS[None].penalty(WEIGHTS, 0.2) == 0.0
    assert UPDATERS["l2"].penalty(WEIGHTS, 0.2) == pytest.approx(0.1 * 5.0)
    assert UPDATERS["l1"].penalty(WEIGHTS, 0.2) == pytest.approx(0.2 * 3.0)


@pytest.mark.parametrize("kind", UPDATERS)
def test_the_old_weights_stay_as_they_are(kind):
    weights = WEIGHTS.copy()
    UPDATERS[kind].step(weights, GRADIENT, 0.5, 0.2)
    assert weights.tolist() == WEIGHTS.tolist()
