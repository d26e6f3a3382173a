"""How the step falls."""

import pytest

from ml import ArgumentError, Schedule
from ml.schedules import start_pace


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule("mllib", 2.0), [2.0, 2.0 / 2**0.5, 2.0 / 3**0.5, 1.0]),
        (Schedule(), [1.0, 1.0 / 2**0.5, 1.0 / 3**0.5, 0.5]),
        (Schedule("constant", 2.0), [2.0] * 4),
        (Schedule("inverse", 2.0, power=0.5), [2.0, 2.0 / 2**0.5, 2.0 / 3**0.5, 1.0]),
        (Schedule("inverse", 2.0), [2.0, 2.0 / 2**0.25, 2.0 / 3**0.25, 2.0 / 4**0.25]),
    ],
)
def test_steps_that_follow_from_the_iteration(schedule, expected):
    pace = start_pace(schedule)
    steps = []
    for iteration in range(1, 5):
        pace.saw(1.0)
        steps.append(pace.eta(iteration))
    assert steps == pytest.approx(expected, rel=1e-15)


def test_adaptive_steps_fall_to_a_fifth_when_the_loss_has_not_fallen_for_a_while():
    """As scikit-learn counts: not below the best by the tolerance, `patience` times running."""
    pace = start_pace(Schedule("adaptive", 1.0, patience=2, tolerance=0.1))
    steps = []
    for loss in [5.0, 4.0, 3.95, 3.95, 3.0, 3.0, 2.0, 9.0, 9.0]:
        pace.saw(loss)
        steps.append(pace.eta(len(steps) + 1))
    assert steps == pytest.approx([1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.04])


def test_adaptive_steps_do_not_vanish():
    pace = start_pace(Schedule("adaptive", 1.0, patience=1))
    for _ in range(100):
        pace.saw(1.0)
    assert 1e-7 < pace.eta(1) <= 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "cosine"}, "schedule must be one of 'mllib', 'constant'"),
        ({"step": 0.0}, "step must be a number > 0, but is 0.0"),
        ({"power": -1}, r"power must be a number in \[0, 10\]"),
        ({"power": 2000}, r"power must be a number in \[0, 10\]"),
        ({"patience": 0}, "patience must be a whole number >= 1, but is 0"),
        ({"tolerance": -1}, "tolerance must be a number >= 0"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Schedule(**arguments)
