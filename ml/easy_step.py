"""A step for those who name none: half of the largest that cannot diverge (divergence.py).

Of plain descent on a convex loss that is the step of the textbooks, 1 / L with L the largest
curvature, and every step with it lowers the loss. It costs one round, and one more where a strategy
steps along the rows of single members, each of which must bear it, or draws mini-batches that bear
less than the whole. Where there is no bound to go by, as for AdaGrad and Adam, whose steps do not
grow with the gradient, it is theirs that is usual.
"""

from math import isfinite

import numpy as np

from ml.batches import Batches
from ml.checks import check_rows
from ml.divergence import bend_of, curvature_of, steepest, unrest, varies
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.models import Linear, Model
from ml.optimizers import Optimizer
from ml.penalties import Penalty
from ml.strategies import Strategy, strain

USUAL_STEP = 0.05
ALL_ROWS = Batches()


def easy_step(
    model: Model,
    data: LabeledData,
    optimizer: Optimizer,
    penalty: Penalty,
    strategy: str | Strategy = "sync",
    batches: Batches = ALL_ROWS,
) -> float:
    """The step for this data, strategy and mini-batches.

    Raises ArgumentError where none can be known.
    """
    if not isfinite(optimizer.stable_step(1.0)):
        return USUAL_STEP
    if not isinstance(model, Linear):
        raise ArgumentError(
            "nothing bounds the curvature of a network: pass a step, or optimizer='adam'"
        )
    check_rows(data)
    strained = strain(strategy, data.dataset.members_max)
    whole = curvature_of(data, model.intercept).largest
    rows = steepest(data, model.intercept) if strained.apart and isfinite(whole) else whole
    curvature = rows * bend_of(model, data) + float(np.max(penalty.l2))
    restless = unrest(model, batches, data, strained.apart)
    stable = optimizer.stable_step(curvature, strained.staleness, restless, varies(model))
    if stable == 0.0:
        raise ArgumentError("the squares of the features overflow; scale the features down")
    return stable / 2 if isfinite(stable) else USUAL_STEP
