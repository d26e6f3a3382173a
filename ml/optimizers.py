"""How a gradient moves the parameters: SGD, momentum, Nesterov, AdaGrad and Adam.

All are elementwise: parameter j moves by its own gradient and its own memory, so a range of keys
moves alone exactly as in the whole. That lets parameter servers share the parameters out.

With g the mean gradient plus the slope of an L2 penalty, eta the step, and t = 1, 2, ... counting
the updates; `shrink` is the L1 penalty's proximal step, the identity without one:

    sgd       w <- MLlib's step (penalties.py)
    momentum  v <- m v - eta g                    w <- shrink(w + v)       (Polyak 1964)
    nesterov  v <- m v - eta g                    w <- w + m v - eta g     (Sutskever et al. 2013;
                                                  w is the point that the gradient is taken at)
    adagrad   a <- a + g^2                        w <- shrink(w - eta g / (sqrt(a) + epsilon))
    adam      m1 <- b1 m1 + (1 - b1) g            m2 <- b2 m2 + (1 - b2) g^2
              w <- shrink(w - eta m1 / (1 - b1^t) / (sqrt(m2 / (1 - b2^t)) + epsilon))
                                                  (Duchi et al. 2011; Kingma and Ba 2015)

Under an L1 penalty Nesterov's inner step w - eta g is what shrinks, v is the distance that was
really moved, and each weight shrinks by its own step length times the strength. So all of them come
to rest at the same weights: those whose gradient the penalty holds in balance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from ml.arguments import choice, keep_plain, number
from ml.penalties import Penalty
from ml.vectors import Matrix, Vector


@dataclass(frozen=True, eq=False)
class Point:
    """Where an update starts: weights and gradient (d,), memory (vectors, d)."""

    weights: Vector
    gradient: Vector
    """The gradient of the mean loss, without the penalty's."""
    memory: Matrix
    eta: float
    count: int
    """The number of this update, from 1."""
    penalty: Penalty

    @property
    def slope(self) -> Vector:
        """The gradient with that of the L2 penalty."""
        return self.gradient + self.penalty.slope(self.weights)


Moved = tuple[Vector, Matrix]
"""New weights and new memory."""


@dataclass(frozen=True)
class Optimizer:
    """A rule of the table above and its constants. Raises ArgumentError for one out of range."""

    kind: str = "sgd"
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        choice("optimizer", self.kind, tuple(RULES))
        plain = {"epsilon": number("epsilon", self.epsilon, lambda v: v > 0, "> 0")}
        for name in ("momentum", "beta1", "beta2"):
            plain[name] = number(name, getattr(self, name), lambda v: 0 <= v < 1, "in [0, 1)")
        keep_plain(self, plain)

    def memory(self, size: int) -> Matrix:
        """What it remembers at the start: (vectors, size) zeros, one column per parameter."""
        return np.zeros((RULES[self.kind].vectors, size))

    def move(self, start: Point) -> Moved:
        """New weights (d,) and memory (vectors, d); nothing is changed in place.

        A weight whose memory overflows is NaN: with infinite squares it would never move again.
        """
        weights, memory = RULES[self.kind].move(self, start)
        finite = np.isfinite(memory)
        if not finite.all():
            weights = np.where(finite.all(axis=0), weights, np.nan)
        return weights, memory

    def stable_step(
        self, curvature: float, staleness: int = 0, unrest: float = 0.0, varies: bool = False
    ) -> float:
        """The largest step that cannot diverge where the curvature is at most this; inf if any.

        Where gradients are up to `staleness` updates old, mini-batches bring an `unrest` of their
        own, or the curvature `varies` on the way, one that bears it (divergence.py).
        """
        rule = RULES[self.kind]
        fresh = rule.varying if varies and rule.varying else rule.stability
        factor = rule.stale(self) / (staleness + 1) if staleness else fresh(self)
        largest = factor / curvature if curvature > 0 else inf
        if unrest == 0.0:
            return largest
        asked = curvature / factor + unrest / rule.stale(self)
        return 1.0 / asked if asked > 0 else inf


def _sgd(_: Optimizer, at: Point) -> Moved:
    return at.penalty.step(at.weights, at.gradient, at.eta), at.memory


def _momentum(rule: Optimizer, at: Point) -> Moved:
    velocity = rule.momentum * at.memory[0] - at.eta * at.slope
    plain = at.weights + velocity
    moved = at.penalty.shrink(plain, at.eta)
    return moved, np.where(moved == plain, velocity, moved - at.weights)[None, :]


def _nesterov(rule: Optimizer, at: Point) -> Moved:
    step = -at.eta * at.slope
    plain = at.weights + step
    landed = at.penalty.shrink(plain, at.eta)
    step = np.where(landed == plain, step, landed - at.weights)
    velocity = rule.momentum * at.memory[0] + step
    return landed + rule.momentum * velocity, velocity[None, :]


def _adagrad(rule: Optimizer, at: Point) -> Moved:
    slope = at.slope
    squares = at.memory[0] + slope * slope
    etas = at.eta / (np.sqrt(squares) + rule.epsilon)
    return at.penalty.shrink(at.weights - etas * slope, etas), squares[None, :]


def _adam(rule: Optimizer, at: Point) -> Moved:
    slope = at.slope
    means = rule.beta1 * at.memory[0] + (1.0 - rule.beta1) * slope
    squares = rule.beta2 * at.memory[1] + (1.0 - rule.beta2) * (slope * slope)
    # Both averages start at zero; the powers of beta make up for that.
    scale = np.sqrt(squares / (1.0 - rule.beta2**at.count)) + rule.epsilon
    moved = at.weights - at.eta * (means / (1.0 - rule.beta1**at.count)) / scale
    return at.penalty.shrink(moved, at.eta / scale), np.stack([means, squares])


@dataclass(frozen=True)
class Rule:
    """One line of the table: how it moves, how many vectors it remembers, what step it bears."""

    move: Callable[[Optimizer, Point], Moved]
    vectors: int
    stability: Callable[[Optimizer], float]
    """The largest stable constant step on a quadratic, times its largest curvature."""
    stale: Callable[[Optimizer], float]
    """The same with old gradients, times the updates that they are old, plus one."""
    varying: Callable[[Optimizer], float] | None = None
    """The same where the curvature is not everywhere the largest, if that is less."""


RULES = {
    "sgd": Rule(_sgd, 0, lambda _: 2.0, lambda _: 1.0),
    "momentum": Rule(
        _momentum,
        1,
        lambda rule: 2.0 * (1.0 + rule.momentum),
        lambda rule: 1.0 - rule.momentum,
        varying=lambda rule: 2.0 * (1.0 - rule.momentum),
    ),
    "nesterov": Rule(
        _nesterov,
        1,
        lambda rule: 2.0 * (1.0 + rule.momentum) / (1.0 + 2.0 * rule.momentum),
        lambda rule: 1.0 - rule.momentum,
    ),
    # Their steps are divided by the size of the gradients: a steeper loss makes no longer step.
    "adagrad": Rule(_adagrad, 1, lambda _: inf, lambda _: inf),
    "adam": Rule(_adam, 2, lambda _: inf, lambda _: inf),
}
