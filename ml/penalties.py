"""Penalties on large weights: none, L2 (ridge), L1 (lasso) and both (elastic net).

With eta the step of this iteration, g the mean gradient, and l1, l2 the strengths:

    value   l1 * |w|_1 + l2 / 2 * |w|_2^2
    step    w <- soft_threshold((1 - eta l2) w - eta g, eta l1)

With one of the strengths zero this is MLlib's L1Updater or SquaredL2Updater, with both zero its
SimpleUpdater. L1 has no gradient at zero, so its rule is proximal (Parikh and Boyd 2014, section
4.2): take the plain step, then move every weight towards zero by eta l1 and stop there. That is
what makes weights exactly zero.

Optimizers that keep a memory of gradients need the L2 part as a gradient, `slope`, and the L1 part
as the last thing done to the weights, `shrink`.

The strengths may be vectors: a model's constant terms are usually not penalised. Everything but
`value` is elementwise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.arguments import choice, number
from ml.vectors import Vector

KINDS = (None, "l1", "l2", "elastic_net")


@dataclass(frozen=True, eq=False)
class Penalty:
    """How strongly the weights' sizes (l1) and squares (l2) are penalised: numbers, or (d,)."""

    l1: float | Vector = 0.0
    l2: float | Vector = 0.0

    def value(self, weights: Vector) -> float:
        """What is added to the mean loss."""
        absolute = float((self.l1 * np.abs(weights)).sum())
        return absolute + 0.5 * float((self.l2 * weights) @ weights)

    def step(self, weights: Vector, gradient: Vector, eta: float) -> Vector:
        """MLlib's step against `gradient`, which does not yet hold the penalty's."""
        return self.shrink((1.0 - eta * self.l2) * weights - eta * gradient, eta)

    def slope(self, weights: Vector) -> Vector:
        """The gradient of the L2 part."""
        return self.l2 * weights

    def shrink(self, weights: Vector, eta: float | Vector) -> Vector:
        """Move each weight towards zero by eta l1, but not beyond."""
        if not np.any(self.l1):
            return weights
        shrunk = np.sign(weights) * np.maximum(np.abs(weights) - eta * self.l1, 0.0)
        return np.where(np.asarray(self.l1) > 0, shrunk, weights)

    def on(self, penalised: Vector) -> "Penalty":
        """The same penalty where `penalised` (d,) is 1, and none where it is 0."""
        return Penalty(self.l1 * penalised, self.l2 * penalised)

    def keys(self, keys: "slice | npt.NDArray[np.intp]") -> "Penalty":
        """The part of a penalty with vector strengths that some of the weights need."""
        return Penalty(np.asarray(self.l1)[keys], np.asarray(self.l2)[keys])


def find_penalty(kind: object, strength: object, l1_ratio: object = 0.5) -> Penalty:
    """The penalty `kind`: None, "l1", "l2" or "elastic_net". Raises ArgumentError.

    An elastic net gives the share `l1_ratio` of its strength to L1, as scikit-learn's does.
    """
    chosen = choice("penalty", kind, KINDS)
    size = number("strength", strength, lambda v: v >= 0, ">= 0")
    share = number("l1_ratio", l1_ratio, lambda v: 0 <= v <= 1, "in [0, 1]")
    if chosen == "elastic_net":
        return Penalty(l1=size * share, l2=size * (1.0 - share))
    return Penalty(l1=size if chosen == "l1" else 0.0, l2=size if chosen == "l2" else 0.0)
