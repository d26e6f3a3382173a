"""All-reduce: every member holds the whole model, and the gradients travel around a ring.

How neural networks are trained on many machines (Goyal et al. 2017; Sergeev and Del Balso 2018).
The step is bulk synchronous like `sync`, but nobody is in the middle: each member adds up its own
partitions, `all_reduce` gives everybody the same sum to the last bit, and each of them makes the
same step from it. So the replicas stay equal without ever being compared. A member sends
2 (K - 1) / K (size + 2) numbers per step, however many members there are.

The ring adds in another order than `sync` does, so the two agree up to rounding.

Compressed gradients travel in two ways. Half precision goes around the ring as well. The sum of
what top-k keeps, or of signs, cannot be packed so again; there everybody gets what everybody packed
and adds it up in the order of the ranks, which sends K - 1 packed gradients from each member. What
was not sent is saved with the descent, so a gang that starts again sends what it would have sent.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import minimr as mr
from ml.compression import find_compression
from ml.descent import Descent, NotFinite, OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.problem import Problem, problem_from
from ml.strategies.gang import Blocks, Checkpoints, own_sums, refuse, run_gang, told
from ml.vectors import Vector


class AllReduceGang(mr.Job):
    """One member: a replica of the model. State: {"start": (size,), "compress": name or None}.

    Yields its descent.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        total = Total(members, find_compression(self.state["compress"]))
        if checkpoints.resumed is None:
            descent = Descent(problem, self.state["start"])
        else:
            descent = Descent.resumed(problem, checkpoints.resumed["descent"])
            total.residual = checkpoints.resumed["residual"]
        failed = None
        try:
            while not descent.ended:
                sums = own_sums(problem, blocks, descent.parameters, descent.iteration)
                descent.take(total.of(sums))
                members.note(what="step", loss=descent.loss_history[-1:])
                checkpoints.offer(descent.iteration, partial(_saved, descent, total))
        except NotFinite as failure:  # All replicas meet it in the same step.
            failed = [failure.what, failure.iteration]
        yield (
            members.rank,
            {
                "descent": descent.saved(),
                "failed": failed,
                "seconds": descent.seconds,
                "sent_bytes": members.sent.total_bytes,
            },
        )


def _saved(descent: Descent, total: "Total") -> dict[str, Any]:
    return {"descent": descent.saved(), "residual": total.residual}


class Total:
    """The sum of everybody's [gradient, loss, rows], the same bits at every member."""

    def __init__(self, members: mr.Members, compression: mr.Compression | None) -> None:
        self._members = members
        self._packer = None if compression is None else mr.as_sent(compression)

    @np.errstate(over="ignore", invalid="ignore")  # the descent tells what is not finite
    def of(self, sums: Vector) -> Vector:
        """Loss and rows are exact, whatever becomes of the gradient."""
        members, packer = self._members, self._packer
        if packer is None:
            return mr.all_reduce(members, sums)
        gradient, tail = sums[:-2], sums[-2:]
        if isinstance(packer, mr.HalfPrecision):
            mr.all_reduce(members, gradient, packer)
            mr.all_reduce(members, tail)
            return sums
        total = np.zeros(len(sums))
        for packed, their_tail in mr.all_gather(members, [packer.pack(gradient), tail]):
            total += np.concatenate([packer.unpack(packed), their_tail])
        return total

    @property
    def residual(self) -> Vector | None:
        """What was not sent yet, (size,), of a compression that remembers it."""
        return self._packer.residual if isinstance(self._packer, mr.ErrorFeedback) else None

    @residual.setter
    def residual(self, residual: Vector | None) -> None:
        if isinstance(self._packer, mr.ErrorFeedback):
            self._packer.residual = residual


def allreduce(
    problem: Problem,
    data: LabeledData,
    start: Vector,
    on_step: OnStep | None = None,
    *,
    compress: str | None = None,
) -> Trace:
    """Descend from `start` (size,). Raises ArgumentError for an `on_step`.

    `compress` names what gradients travel in (ml/compression.py).
    """
    find_compression(compress)
    refuse("allreduce", problem, on_step, tolerance=True)
    job = AllReduceGang(problem=problem.options())
    replicas = run_gang(data, job, {"start": start, "compress": compress})
    if replicas[0]["failed"] is not None:
        raise NotFinite(*replicas[0]["failed"])
    first = replicas[0]["descent"]["parameters"]
    if any(not np.array_equal(each["descent"]["parameters"], first) for each in replicas):
        raise ArgumentError(
            "the replicas of an all-reduce differ, so the model's sums depend on more than their "
            "input; look for what is random in it"
        )
    return told(Descent.resumed(problem, replicas[0]["descent"]).trace(), replicas)
