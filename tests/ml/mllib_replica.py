"""MLlib's SGD retold in plain Python, one row at a time: an oracle that shares no code with ml/.

Written from Spark's GradientDescent.scala, Updater.scala and GeneralizedLinearAlgorithm.scala, in
their order of operations and with their names.
"""

import math
from collections.abc import Callable

Rows = list[tuple[float, list[float]]]


def train(
    rows: Rows,
    iterations: int = 100,
    step: float = 1.0,
    regParam: float = 0.0,
    regType: str | None = None,
    intercept: bool = False,
    convergenceTol: float = 0.001,
    initialWeights: list[float] | None = None,
    sample: Callable[[int], Rows] | None = None,
    loss: str = "squared",
) -> tuple[list[float], float, list[float]]:
    """Weights, intercept and loss history; `sample(i)` gives the rows of mini-batch i."""
    weights = list(initialWeights or [0.0] * len(rows[0][1]))
    if intercept:
        weights.append(1.0)
    history = []
    _, penalty = update(weights, [0.0] * len(weights), 0.0, 1, regParam, regType)
    previous_weights = current_weights = None
    has_converged = False
    i = 1
    while not has_converged and i <= iterations + 1:
        batch = rows if sample is None else sample(i)
        gradient, total = [0.0] * len(weights), 0.0
        for label, features in batch:
            x = [*features, 1.0] if intercept else features
            margin = sum(a * b for a, b in zip(x, weights, strict=True))
            value, multiplier = LOSSES[loss](margin, label)
            total += value
            gradient = [g + multiplier * v for g, v in zip(gradient, x, strict=True)]
        if batch:
            history.append(total / len(batch) + penalty)
            if i != iterations + 1:
                mean = [g / len(batch) for g in gradient]
                weights, penalty = update(weights, mean, step, i, regParam, regType)
                previous_weights, current_weights = current_weights, weights
                if previous_weights is not None:
                    has_converged = is_converged(previous_weights, current_weights, convergenceTol)
        i += 1
    if intercept:
        return weights[:-1], weights[-1], history
    return weights, 0.0, history


def least_squares(margin: float, label: float) -> tuple[float, float]:
    return (margin - label) ** 2 / 2.0, margin - label


def logistic(margin: float, label: float) -> tuple[float, float]:
    multiplier = 1.0 / (1.0 + math.exp(-margin)) - label
    value = math.log1p(math.exp(-margin))
    return (value if label > 0 else value + margin), multiplier


def hinge(margin: float, label: float) -> tuple[float, float]:
    sign = 2.0 * label - 1.0
    return (1.0 - sign * margin, -sign) if sign * margin < 1.0 else (0.0, 0.0)


LOSSES = {"squared": least_squares, "logistic": logistic, "hinge": hinge}


def update(
    weights: list[float], gradient: list[float], step: float, i: int, reg: float, kind: str | None
) -> tuple[list[float], float]:
    eta = step / math.sqrt(i)
    if kind == "l2":
        new = [w * (1.0 - eta * reg) - eta * g for w, g in zip(weights, gradient, strict=True)]
        return new, 0.5 * reg * norm(new) * norm(new)
    new = [w - eta * g for w, g in zip(weights, gradient, strict=True)]
    if kind == "l1":
        new = [math.copysign(max(0.0, abs(w) - reg * eta), w) for w in new]
        return new, reg * sum(abs(w) for w in new)
    return new, 0.0


def is_converged(previous: list[float], current: list[float], tolerance: float) -> bool:
    moved = norm([a - b for a, b in zip(previous, current, strict=True)])
    return moved < tolerance * max(norm(current), 1.0)


def norm(vector: list[float]) -> float:
    return math.sqrt(sum(v * v for v in vector))
