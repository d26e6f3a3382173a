"""How long the step of each iteration is.

    mllib      step / sqrt(i)      as MLlib's GradientDescent
    constant   step
    inverse    step / i^power      inverse scaling, as scikit-learn's "invscaling"
    adaptive   step / 5^k          where k counts the times that the loss had not fallen by
                                   `tolerance` below its best in `patience` evaluations in a row

The first three follow from the iteration alone. The last looks at the losses, so it has a state: a
Pace, one per descent.
"""

import math
from dataclasses import dataclass

from ml.arguments import choice, keep_plain, number, whole_number

KINDS = ("mllib", "constant", "inverse", "adaptive")
POWER_MAX = 10
"""With it the second step is a thousandth of the first; far beyond it there is no float."""
SLOWER = 5.0  # scikit-learn's divisor
SHORTEST = 1e-6  # and the step at which it divides no further


@dataclass(frozen=True)
class Schedule:
    """A rule for the step: `step` is that of iteration 1. Raises ArgumentError out of range."""

    kind: str = "mllib"
    step: float = 1.0
    power: float = 0.25
    patience: int = 5
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        choice("schedule", self.kind, KINDS)
        plain = {
            "step": number("step", self.step, lambda v: v > 0, "> 0"),
            "power": number(
                "power", self.power, lambda v: 0 <= v <= POWER_MAX, f"in [0, {POWER_MAX}]"
            ),
            "tolerance": number("tolerance", self.tolerance, lambda v: v >= 0, ">= 0"),
            "patience": whole_number("patience", self.patience, 1),
        }
        keep_plain(self, plain)


@dataclass
class Pace:
    """The schedule of one descent, and what "adaptive" remembers of its losses."""

    schedule: Schedule
    eta_now: float
    best: float = math.inf
    in_vain: int = 0
    """Evaluations in a row that did not lower the best loss by the tolerance."""

    def eta(self, iteration: int) -> float:
        """The step of iteration 1, 2, ..."""
        schedule = self.schedule
        if schedule.kind == "mllib":
            return schedule.step / math.sqrt(iteration)
        if schedule.kind == "inverse":
            return schedule.step / float(iteration**schedule.power)
        return self.eta_now

    def saw(self, loss: float) -> None:
        """Take note of an evaluation; only "adaptive" does."""
        if self.schedule.kind != "adaptive":
            return
        if loss > self.best - self.schedule.tolerance:
            self.in_vain += 1
        else:
            self.in_vain = 0
        self.best = min(self.best, loss)
        if self.in_vain >= self.schedule.patience and self.eta_now > SHORTEST:
            self.eta_now /= SLOWER
            self.in_vain = 0

    def saved(self) -> list[float]:
        """All that `resume` needs."""
        return [self.eta_now, self.best, self.in_vain]

    def resume(self, saved: list[float]) -> None:
        """Go on from what `saved` gave."""
        self.eta_now, self.best, self.in_vain = saved[0], saved[1], int(saved[2])


def start_pace(schedule: Schedule) -> Pace:
    """The pace of a descent that begins."""
    return Pace(schedule, schedule.step)
