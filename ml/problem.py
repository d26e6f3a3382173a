"""A problem: everything about a training but the data and the way of distributing it.

A strategy (ml/strategies/) is a function of a problem, data and start. It decides where sums are
taken and who adds them up; what a sum is, how a step is made and when the descent ends are the same
for all of them, and written once: here and in descent.py.

    problem.sums(parameters, block, iteration, partition_index)    one partition's part of one step
    problem.update(parameters, gradient, memory, eta, count)       the step itself

The update is elementwise: a range of the parameters, with the same range of the gradient and of
the memory, moves to the same bits alone as in the whole. Sums of partitions are to be added in the
order of the partitions, from left to right, by whatever strategy promises the bytes of `sync`.

A problem travels to the slots as plain values, `options`, from which `problem_from` makes it again.
"""

import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.batches import Batches
from ml.delays import Delays
from ml.models import Model, model_from
from ml.optimizers import Optimizer, Point
from ml.penalties import Penalty
from ml.schedules import Pace, Schedule, start_pace
from ml.vectors import Matrix, Vector

Keys = slice | npt.NDArray[np.intp]
"""Some of the parameters: a range, or where they stand."""
ALL = slice(None)


@dataclass(frozen=True)
class Problem:
    """A model for rows of `features` numbers, and how it is to be trained."""

    model: Model
    features: int
    penalty: Penalty = field(default_factory=Penalty)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    iterations: int = 100
    batches: Batches = field(default_factory=Batches)
    tolerance: float = 0.0
    """The descent ends when a step is shorter than this times max(|parameters|, 1); 0: never."""
    delays: Delays = field(default_factory=Delays)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.model.size(self.features)

    def sums(
        self, parameters: Vector, block: mr.Block, iteration: int, partition_index: int
    ) -> Vector:
        """[gradient, loss, rows] of this partition's share of the mini-batch: (size + 2,)."""
        began = time.perf_counter()
        rows = self.batches.of(block, iteration, partition_index)
        sums = self.model.sums(parameters, rows["X"], rows["y"], backwards=iteration % 2 == 0)
        self.delays.wait(began, iteration, partition_index)
        return sums

    def memory(self) -> Matrix:
        """The optimizer's memory at the start, (vectors, size); of a range: memory[:, keys]."""
        return self.optimizer.memory(self.size)

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        memory: Matrix,
        eta: float,
        count: int,
        keys: Keys = ALL,
    ) -> tuple[Vector, Matrix]:
        """New parameters and memory after update number `count`, from 1.

        parameters, gradient (of the mean loss) and memory are those of `keys` alone.
        Nothing is changed in place.
        """
        penalty = self._penalty_of(keys)
        return self.optimizer.move(Point(parameters, gradient, memory, eta, count, penalty))

    def penalty_value(self, parameters: Vector, keys: Keys = ALL) -> float:
        """What the penalty adds to the mean loss at these parameters, those of `keys` alone."""
        if not self._penalises:
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # whoever asks looks
            return self._penalty_of(keys).value(parameters)

    def pace(self) -> Pace:
        """The schedule of a descent that begins."""
        return start_pace(self.schedule)

    def options(self) -> dict[str, Any]:
        """Plain values that msgpack carries, from which `problem_from` makes an equal problem."""
        parts = {name: asdict(getattr(self, name)) for name in PARTS}
        plain = {name: getattr(self, name) for name in PLAIN}
        return {"model": self.model.options(), **parts, **plain}

    def _penalty_of(self, keys: Keys) -> Penalty:
        return self._penalty if keys is ALL else self._penalty.keys(keys)

    @cached_property
    def _penalises(self) -> bool:
        return bool(np.any(self._penalty.l1) or np.any(self._penalty.l2))

    @cached_property
    def _penalty(self) -> Penalty:
        return self.penalty.on(self.model.penalised(self.features))


PARTS = {
    "penalty": Penalty,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "batches": Batches,
    "delays": Delays,
}
PLAIN = ("features", "iterations", "tolerance")


def problem_from(options: dict[str, Any]) -> Problem:
    """The problem that gave these `options()`; for equal ones again, the same problem."""
    global _latest
    latest = _latest
    if latest is None or not _equal(latest[0], options):
        latest = _latest = (options, _made_of(options))
    return latest[1]


_latest: tuple[dict[str, Any], Problem] | None = None
"""The problem made last in this process, and the options that it was made from.

Every map task of a round has options of its own, which are equal to those of the others that a slot
runs, and mostly to those of the next round. To make the problem for each of them would take half as
long as the sums of a few rows do.
"""


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        return one == other
    except ValueError:  # Vectors tell by themselves only that they are the same object.
        return False


def _made_of(options: dict[str, Any]) -> Problem:
    parts: dict[str, Any] = {name: part(**options[name]) for name, part in PARTS.items()}
    plain = {name: options[name] for name in PLAIN}
    return Problem(model=model_from(options["model"]), **parts, **plain)


def mean_of(sums: Vector) -> tuple[Vector, float, int]:
    """Gradient and loss of the mean over the rows, and their number, from a step's sums.

    Of no rows: zeros.
    """
    rows = int(sums[-1])
    if rows == 0:
        return np.zeros(len(sums) - 2), 0.0, 0
    return sums[:-2] / rows, float(sums[-2]) / rows, rows
