"""`train`: any model, any strategy, one problem.

    from ml import Linear, load_libsvm, train

    data = load_libsvm("data.libsvm", partitions=8)
    trained = train(Linear("logistic", intercept=True), data, step=0.5, penalty="l2", strength=0.01)
    trained.predict(data)

Whatever is asked for becomes a Problem, its data is looked over, and the strategy does the rest.
"""

import os
import sys
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml import prediction
from ml.arguments import number, start_vector, whole_number
from ml.batches import Batches
from ml.checks import check_model, fitted_to
from ml.delays import Delays
from ml.descent import NotFinite, OnStep, Trace, check_finite
from ml.divergence import advice, ran_away
from ml.errors import ArgumentError, Diverged
from ml.labeled_data import LabeledData
from ml.model_file import named, names_in, read_model, write_model
from ml.models import Model, model_from
from ml.optimizers import Optimizer
from ml.penalties import Penalty, find_penalty
from ml.problem import Problem
from ml.schedules import Schedule
from ml.strategies import Strategy, find_strategy, strain
from ml.vectors import Vector

FORMAT = "minimr trained model"
LONGEST = sys.maxsize // 8
"""The most float64s that an address can tell apart."""


@dataclass(eq=False)
class Trained:
    """A model, the parameters (size,) that were found for it, and how that went."""

    model: Model
    features: int
    parameters: Vector
    loss_history: list[float] = field(default_factory=list)
    updates: int = 0
    converged: bool = False
    seconds: list[float] = field(default_factory=list)
    """When each entry of the loss history was known, from the beginning on; not saved."""
    sent_bytes: int = 0
    """What was sent for it: parameters, gradients, scores. Not the loading of the data, but with
    what members of model_parallel and pipeline pass on of it before they begin. Not saved."""
    staleness: list[int] = field(default_factory=list)
    """Of a parameter server: how many updates came between the read and each update, as the owner
    of the first parameters counts. Not saved."""
    feature_names: list[str] = field(default_factory=list)
    """What the features are called, in order, if the files said it."""

    def predict(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """A float for one row (d,), an array (n,) for rows (n, d) or for a LabeledData.

        Classes for losses of classes, otherwise expected labels. Raises ArgumentError if the width
        is not the model's.
        """
        return prediction.predict(self, x)

    def scores(self, x: "npt.ArrayLike | LabeledData") -> "float | Vector":
        """What the loss compares with the labels: like `predict`, or for softmax one per class:
        (k,) for one row, (n, k) for rows."""
        return prediction.predict(self, x, scores=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON or, under a name in .npz, as arrays; `load` gives back the same bits."""
        fields = {
            "model": self.model.options(),
            "features": self.features,
            "parameters": self.parameters,
            "loss_history": np.array(self.loss_history, float),
            "updates": self.updates,
            "converged": self.converged,
        }
        write_model(path, fields | named(self.feature_names), FORMAT)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Trained":
        """Read what `save` wrote. Raises UsageError for anything else."""
        fields = read_model(
            path, FORMAT, ("parameters", "loss_history"), numbers=("features", "updates")
        )
        try:
            model = model_from(fields["model"])
            trained = cls(
                model,
                whole_number("features", fields["features"]),
                np.array(fields["parameters"], dtype=np.float64),
                [float(loss) for loss in fields["loss_history"]],
                whole_number("updates", fields["updates"]),
                bool(fields["converged"]),
            )
            trained.feature_names = names_in(fields, trained.features, path)
            size = model.size(trained.features)
            lost = model.options().keys() - fields["model"].keys()
        except (KeyError, TypeError, ValueError) as error:
            raise mr.UsageError(f"{path} is damaged: {error}.") from None
        if lost:  # Another value by default would make another model of the same parameters.
            raise mr.UsageError(f"{path} is damaged: its model lacks {', '.join(sorted(lost))}.")
        if len(trained.parameters) != size:
            raise mr.UsageError(
                f"{path} is damaged: the model has {size} parameters, but the file holds "
                f"{len(trained.parameters)}."
            )
        return trained


def train(
    model: Model,
    data: LabeledData,
    strategy: str | Strategy = "sync",
    *,
    optimizer: str | Optimizer = "sgd",
    schedule: str | Schedule = "mllib",
    step: float = 1.0,
    penalty: str | Penalty | None = None,
    strength: float = 0.0,
    l1_ratio: float = 0.5,
    iterations: int = 100,
    fraction: float = 1.0,
    batch_rows: int | None = None,
    tolerance: float = 0.0,
    seed: int = 42,
    start: npt.ArrayLike | None = None,
    on_step: OnStep | None = None,
    delays: Delays | None = None,
) -> Trained:
    """Train `model` on `data`, distributed by `strategy`.

    optimizer: "sgd", "momentum", "nesterov", "adagrad", "adam", or an Optimizer for constants of
        one's own.
    schedule: "mllib" (step / sqrt(i)), "constant", "inverse", "adaptive"; or a Schedule, whose step
        counts instead of `step`.
    penalty: None, "l1", "l2", "elastic_net" of that `strength` and `l1_ratio`; or a Penalty, which
        has its own. The constant terms of a model are not penalised unless the model says so.
    fraction: chance of each row to be in a step's mini-batch, in (0, 1].
    batch_rows: draw exactly so many rows of the whole data instead; 1 for single samples.
    tolerance: stop when a step is shorter than this times max(|parameters|, 1); 0 never.
    seed: what the mini-batches and the start of a network are drawn from.
    start: parameters to begin with, instead of the model's own.
    on_step: called as on_step(iteration, loss, parameters) with each entry of the loss history; if
        it returns True the training ends there.
    delays: stragglers, for experiments.

    Raises ArgumentError for an argument or data that does not fit, Diverged when the descent leaves
    the finite numbers, or ends on its way there: with a loss a million times that of its start and
    that of zeros (divergence.py).
    """
    check_model(model)
    unfitted = Problem(
        model,
        features=0,
        schedule=schedule if isinstance(schedule, Schedule) else Schedule(schedule, step),
        penalty=_penalty(penalty, strength, l1_ratio),
        optimizer=optimizer if isinstance(optimizer, Optimizer) else Optimizer(optimizer),
        iterations=whole_number("iterations", iterations),
        batches=batches_of(seed, fraction, batch_rows),
        tolerance=number("tolerance", tolerance, lambda v: 0 <= v <= 1, "in [0, 1]"),
        delays=delays or Delays(),
    )
    distribute = find_strategy(strategy)
    problem = fitted_to(unfitted, data)
    trace = descend(problem, data, _beginning(problem, start), distribute, on_step)
    return Trained(
        model,
        problem.features,
        trace.parameters,
        trace.loss_history,
        trace.updates,
        trace.converged,
        trace.seconds,
        trace.sent_bytes,
        trace.staleness,
        list(data.feature_names),
    )


def descend(
    problem: Problem,
    data: LabeledData,
    start: Vector,
    strategy: Strategy,
    on_step: OnStep | None = None,
) -> Trace:
    """Run the strategy; a descent that leaves the finite numbers, or has run away towards their
    end, is explained by Diverged."""
    seen: list[int] = []
    try:
        trace = strategy(problem, data, start, on_step)
        seen = trace.staleness
        check_finite(trace)
        if failure := ran_away(trace, start, problem, data):
            raise failure
    except NotFinite as failure:
        strained = strain(strategy, data.dataset.members_max, seen)
        raise Diverged(advice(failure, problem, data, strained)) from None
    return trace


def _penalty(kind: str | Penalty | None, strength: float, l1_ratio: float) -> Penalty:
    if isinstance(kind, Penalty):
        return kind
    found = find_penalty(kind, strength, l1_ratio)
    if kind is None and strength > 0:
        raise ArgumentError(
            f"strength={strength:g} has no effect without a penalty: pass penalty='l2', 'l1' or "
            "'elastic_net', or leave it out"
        )
    return found


def _beginning(problem: Problem, start: npt.ArrayLike | None) -> Vector:
    """The parameters (size,) that the descent begins with."""
    if start is None:
        if problem.size > LONGEST:  # numpy's error is none of memory.
            raise MemoryError(f"the model has {problem.size:,} parameters")
        return problem.model.start(problem.features, problem.batches.seed)
    return start_vector("start", start, problem.size, "parameters")


def batches_of(seed: int, fraction: float, rows: int | None) -> Batches:
    """The rule of the mini-batches. Raises ArgumentError for what is no number of rows."""
    share = number("fraction", fraction, lambda v: 0 < v <= 1, "in (0, 1]")
    if rows is not None and share < 1:
        raise ArgumentError(
            f"fraction={share:g} has no effect beside batch_rows={rows}, which says how many rows "
            "a mini-batch has: leave one of them out"
        )
    number_of_rows = None if rows is None else whole_number("batch_rows", rows)
    return Batches(whole_number("seed", seed), share, number_of_rows)
