"""What the rows of a block cost at given scores, and the slope of that cost.

A linear model gives row x the score z = w.x, a network some other function of x. A loss maps score
and label to a cost, and by the chain rule its gradient with respect to w is slope(z, y) * dz/dw. So
a loss is two things per row, its value and its slope, and the gradient of a linear model's whole
block is one product, slopes @ X. That is the summation form of Chu et al. (NIPS 2006): a sum over
rows splits into sums over partitions.

With s = 2y - 1 in {-1, +1} for labels y in {0, 1}, r = z - y and the parameter p of a loss:

    name           value                                       slope              labels
    squared        r^2 / 2                                     r                  any
    huber          r^2 / 2 if |r| <= p, else p (|r| - p / 2)   r cut to [-p, p]   any
    quantile       p (y - z) if y > z, else (1 - p) (z - y)    -p or 1 - p        any
    poisson        e^z - y z                                   e^z - y            counts from 0
    logistic       log(1 + e^-z), plus z if y = 0              sigmoid(z) - y     0 or 1
    hinge          max(0, 1 - s z)                             -s if 1 > s z      0 or 1
    squared_hinge  max(0, 1 - s z)^2                           -2 s max(0, 1 - s z)
    softmax        log sum_c e^(z_c) - z_y, one z per class    p_c - [c = y]      0, 1, ..., k - 1

`curvature` bounds the second derivative in the scores, whatever the labels are: with it goes the
largest step that cannot diverge (divergence.py). The hinge and the quantile loss have corners
instead of curvature; the Poisson loss curves without bound.

Every form here is computed so that no intermediate value overflows before the result does: the
logistic loss row by row and the sigmoid by whichever of its two forms has a negative exponent,
softmax after the largest score is taken away (Higham 2002, section 27.8).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from ml.arguments import choice, number
from ml.errors import ArgumentError
from ml.vectors import Matrix, Vector

Mask = NDArray[np.bool_]
ValueAndSlope = Callable[[NDArray[np.float64], Vector, float], tuple[float, NDArray[np.float64]]]


@dataclass(frozen=True)
class Domain:
    """Which labels a loss takes: `words` says it to people, `holds` tells it of each label."""

    words: str
    holds: Callable[[Vector, int], Mask]

    def words_for(self, classes: int) -> str:
        """The words, where so many classes are meant."""
        return self.words.format(last=classes - 1)


ANY = Domain("finite numbers", lambda labels, _: np.isfinite(labels))
COUNTS = Domain(
    "counts: whole numbers from 0 on",
    lambda labels, _: (labels >= 0) & (labels == np.floor(labels)) & np.isfinite(labels),
)
TWO = Domain("0 or 1", lambda labels, _: (labels == 0) | (labels == 1))
CLASSES = Domain(
    "the numbers of the classes, 0 to {last}",
    lambda labels, classes: (labels >= 0) & (labels < classes) & (labels == np.floor(labels)),
)


@dataclass(frozen=True)
class Loss:
    """A loss: `of(scores, labels, parameter)` gives its sum over the rows and a slope per score."""

    name: str
    of: ValueAndSlope
    domain: Domain
    curvature: float
    parameter: float = 0.0
    steep: bool = False
    """Whether the slope grows without bound: then a step that a mini-batch does not bear leads ever
    further away."""
    per_class: bool = False
    """Whether a row has one score for each class, scores (n, k), in place of one, (n,)."""

    @property
    def takes_classes(self) -> bool:
        """Whether a label names a class, and so does a prediction."""
        return self.per_class or self.domain is TWO

    def evaluate(
        self, scores: NDArray[np.float64], labels: Vector
    ) -> tuple[float, NDArray[np.float64]]:
        """The loss summed over the rows, and its slope in each score, in the scores' shape.

        scores: (n,), or (n, classes) if `per_class`. What overflows becomes infinity, silently
        inside `np.errstate`: the descent reports it.
        """
        return self.of(scores, labels, self.parameter)


def squared(scores: Vector, labels: Vector, _: float) -> tuple[float, Vector]:
    """(z - y)^2 / 2, MLlib's least squares."""
    residuals = scores - labels
    return 0.5 * float(residuals @ residuals), residuals


def huber(scores: Vector, labels: Vector, delta: float) -> tuple[float, Vector]:
    """Squared near the label, linear beyond `delta`: an outlier pulls no harder than that."""
    residuals = scores - labels
    slopes: Vector = np.clip(residuals, -delta, delta)
    # With c the residual cut to [-delta, delta], both branches are c (r - c / 2).
    return float(slopes @ (residuals - 0.5 * slopes)), slopes


def quantile(scores: Vector, labels: Vector, level: float) -> tuple[float, Vector]:
    """The pinball loss: its minimum is the `level` quantile of the labels, not their mean."""
    slopes = np.where(labels > scores, -level, 1.0 - level)
    slopes[labels == scores] = 0.0  # a corner: 0 is one of its slopes
    return float(slopes @ (scores - labels)), slopes


def poisson(scores: Vector, labels: Vector, _: float) -> tuple[float, Vector]:
    """Counts with mean e^z; the constant log(y!) is left out, as it has no slope."""
    means = np.exp(scores)
    return float(means.sum() - labels @ scores), means - labels


def logistic(scores: Vector, labels: Vector, _: float) -> tuple[float, Vector]:
    """-log of the probability of the label, where sigmoid(z) is that of label 1."""
    # What a row on the right side leaves over is exactly 0 here, however far out it lies. With the
    # sum of log(1 + e^-z) beside the sum of z, one such row would take all digits of the others.
    far = np.maximum(scores, 0.0) - labels * scores
    value = float((far + np.log1p(np.exp(-np.abs(scores)))).sum())
    return value, sigmoid(scores) - labels


def hinge(scores: Vector, labels: Vector, _: float) -> tuple[float, Vector]:
    """The support vector machine's: no cost on the right side of the margin. MLlib's."""
    signs = 2.0 * labels - 1.0
    slopes: Vector = np.where(signs * scores < 1.0, -signs, 0.0)
    return float(np.maximum(1.0 - signs * scores, 0.0).sum()), slopes


def squared_hinge(scores: Vector, labels: Vector, _: float) -> tuple[float, Vector]:
    """The hinge with its corner rounded off."""
    signs = 2.0 * labels - 1.0
    short = np.maximum(1.0 - signs * scores, 0.0)
    return float(short @ short), -2.0 * signs * short


def softmax(scores: Matrix, labels: Vector, _: float) -> tuple[float, Matrix]:
    """-log of the probability of the label's class; scores (n, k), labels 0 to k - 1."""
    rows = np.arange(len(labels))
    classes = labels.astype(np.intp)
    shifted = scores - scores.max(axis=1, keepdims=True)
    slopes = np.exp(shifted)
    totals = slopes.sum(axis=1, keepdims=True)
    value = float((np.log(totals[:, 0]) - shifted[rows, classes]).sum())
    slopes /= totals
    slopes[rows, classes] -= 1.0
    return value, slopes


def sigmoid(scores: Vector) -> Vector:
    """1 / (1 + e^-z), exact to the last digits on both sides of zero."""
    small = np.exp(-np.abs(scores))
    result: Vector = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return result


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("squared", squared, ANY, 1.0, steep=True),
        Loss("huber", huber, ANY, 1.0, parameter=1.35),
        Loss("quantile", quantile, ANY, 0.0, parameter=0.5),
        Loss("poisson", poisson, COUNTS, inf, steep=True),
        Loss("logistic", logistic, TWO, 0.25),
        Loss("hinge", hinge, TWO, 0.0),
        Loss("squared_hinge", squared_hinge, TWO, 2.0, steep=True),
        Loss("softmax", softmax, CLASSES, 0.5, per_class=True),
    )
}
# The parameters that a loss may be given: Huber's delta, the quantile's level.
PARAMETERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "huber": (lambda delta: delta > 0, "> 0"),
    "quantile": (lambda level: 0 < level < 1, "in (0, 1)"),
}


def find_loss(name: object, parameter: float | None = None) -> Loss:
    """The loss of that name, with its parameter if one is given. Raises ArgumentError."""
    loss = LOSSES[choice("loss", name, tuple(LOSSES))]
    if parameter is None:
        return loss
    if loss.name not in PARAMETERS:
        raise ArgumentError(
            f"is for the losses {' and '.join(PARAMETERS)}, and the {loss.name} loss has none: "
            "leave it out",
            "loss_parameter",
        )
    allowed, words = PARAMETERS[loss.name]
    return replace(
        loss, parameter=number(f"the parameter of the {loss.name} loss", parameter, allowed, words)
    )
