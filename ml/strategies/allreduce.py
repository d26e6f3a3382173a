"""All-reduce: every member holds the whole model, and the gradients travel around a ring.

How neural networks are trained on many machines (Goyal et al. 2017; Sergeev and Del Balso 2018).
The step is bulk synchronous like `sync`, but nobody is in the middle: each member adds up its own
partitions, `all_reduce` gives everybody the same sum to the last bit, and each of them makes the
same step from it. So the replicas stay equal without ever being compared. A member sends
2 (K - 1) / K (size + 2) numbers per step, however many members there are.

The ring adds in another order than `sync` does, so the two agree up to rounding.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.descent import Descent, NotFinite, OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.problem import Problem, problem_from
from ml.strategies.gang import Blocks, Checkpoints, own_sums, refuse, run_gang, told
from ml.vectors import Vector


class AllReduceGang(mr.Job):
    """One member: a replica of the model. State: {"start": (size,)}. Yields its descent."""

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem = problem_from(self.problem)
        checkpoints = Checkpoints(members)
        if checkpoints.resumed is None:
            descent = Descent(problem, self.state["start"])
        else:
            descent = Descent.resumed(problem, checkpoints.resumed)
        failed = None
        try:
            while not descent.ended:
                sums = own_sums(problem, blocks, descent.parameters, descent.iteration)
                descent.take(mr.all_reduce(members, sums))
                members.note(what="step", loss=descent.loss_history[-1:])
                checkpoints.offer(descent.iteration, descent.saved())
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


def allreduce(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
) -> Trace:
    """Descend from `start` (size,). Raises ArgumentError for an `on_step`."""
    refuse("allreduce", problem, on_step, tolerance=True)
    job = AllReduceGang(problem=problem.options())
    replicas = run_gang(data, job, {"start": start})
    if replicas[0]["failed"] is not None:
        raise NotFinite(*replicas[0]["failed"])
    first = replicas[0]["descent"]["parameters"]
    if any(not np.array_equal(each["descent"]["parameters"], first) for each in replicas):
        raise ArgumentError(
            "the replicas of an all-reduce differ, so the model's sums depend on more than their "
            "input; look for what is random in it"
        )
    trace = Descent.resumed(problem, replicas[0]["descent"]).trace()
    return told(trace, replicas)
