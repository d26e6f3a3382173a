"""The three update rules of MLlib: how a step changes the weights, and what the penalty costs.

With eta the step of this iteration, g the mean gradient and lambda the regularisation parameter:

    none   w <- w - eta g                              penalty 0
    l2     w <- (1 - eta lambda) w - eta g             penalty lambda/2 * |w|_2^2
    l1     w <- soft_threshold(w - eta g, eta lambda)  penalty lambda * |w|_1

L1 has no gradient at zero, so its rule is proximal: take the plain step, then move every weight
towards zero by eta lambda and stop there. That is what makes weights exactly zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.losses import Vector


@dataclass(frozen=True)
class Updater:
    """`step(weights, gradient, eta, reg_param)` gives new weights, `penalty` their added loss."""

    step: Callable[[Vector, Vector, float, float], Vector]
    penalty: Callable[[Vector, float], float]


def _simple_step(weights: Vector, gradient: Vector, eta: float, reg_param: float) -> Vector:
    del reg_param  # MLlib ignores it here too; train() warns about it
    return weights - eta * gradient


def _no_penalty(weights: Vector, reg_param: float) -> float:
    del weights, reg_param
    return 0.0


def _l2_step(weights: Vector, gradient: Vector, eta: float, reg_param: float) -> Vector:
    return (1.0 - eta * reg_param) * weights - eta * gradient


def _l2_penalty(weights: Vector, reg_param: float) -> float:
    return 0.5 * reg_param * float(weights @ weights)


def _l1_step(weights: Vector, gradient: Vector, eta: float, reg_param: float) -> Vector:
    moved = weights - eta * gradient
    shrunk: Vector = np.sign(moved) * np.maximum(np.abs(moved) - eta * reg_param, 0.0)
    return shrunk


def _l1_penalty(weights: Vector, reg_param: float) -> float:
    return reg_param * float(np.abs(weights).sum())


UPDATERS: dict[str | None, Updater] = {
    None: Updater(_simple_step, _no_penalty),
    "l1": Updater(_l1_step, _l1_penalty),
    "l2": Updater(_l2_step, _l2_penalty),
}
