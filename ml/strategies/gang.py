"""What the strategies that run as a gang share: sums of one's own, checkpoints, what comes back.

A gang's program runs in every member at once (`mr.Members`), and nothing of it reaches the caller
before all have ended. So these strategies do not know `on_step`; what happens in a step is written
to the event log with `members.note`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

import minimr as mr
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.problem import Problem
from ml.vectors import Vector

CHECKPOINT_EVERY = 10
"""Steps between two checkpoints: what a gang that lost a member has to do again at most, twice."""
CHECKPOINTS_OF_ALL = 100
"""A checkpoint holds all losses until then. So that a long training does not end up writing them,
so many checkpoints follow each other at one distance, and then half as many at each that is twice
the last: at most a fiftieth of the steps is done again, twice."""

Blocks = Sequence[tuple[int, mr.Block]]
"""What a member owns: partition index and rows, in the order of the partitions."""


@np.errstate(over="ignore", invalid="ignore")  # the descent tells what is not finite
def own_sums(problem: Problem, blocks: Blocks, parameters: Vector, iteration: int) -> Vector:
    """[gradient, loss, rows] (size + 2,) over a member's partitions, in their order."""
    total = np.zeros(problem.size + 2)
    for index, block in blocks:
        total += problem.sums(parameters, block, iteration, index)
    return total


class Checkpoints:
    """What the members go on with when their gang starts again: a step that all of them saved.

    Some may have reached a checkpoint that others had not, so each keeps its last two. Where
    they are more than may be saved, the gang goes on from what all of them have, or begins anew.
    """

    def __init__(self, members: mr.Members) -> None:
        """Agree with the others. `resumed` is what this member saved at that step, or None."""
        self._members = members
        kept: list[dict[str, Any]] = members.saved or []
        steps = mr.all_gather(members, [each["step"] for each in kept])
        step = max(set(steps[0]).intersection(*steps), default=0)
        found = [each for each in kept if each["step"] == step]
        self.resumed: Any = found[0]["value"] if found else None
        self._kept = found
        self._are_too_large = False

    def offer(self, step: int, saved: Callable[[], Any]) -> None:
        """Keep what `saved` returns, which belongs to `step`, if it is time for it."""
        if step % steps_between(step) or self._are_too_large:
            return
        self._kept = [*self._kept[-1:], {"step": step, "value": saved()}]
        try:
            self._members.save(self._kept)
        except mr.UsageError as error:
            self._are_too_large = True
            self._members.note(what=f"no checkpoint from step {step} on: {error}")


def steps_between(step: int) -> int:
    """How many steps after this one a checkpoint follows; the same for all members."""
    steps = CHECKPOINT_EVERY
    while step >= CHECKPOINTS_OF_ALL * steps:
        steps *= 2
    return steps


def run_gang(
    data: LabeledData,
    job: mr.Job,
    state: dict[str, Any],
    *,
    members_max: int | None = None,
    restart: Literal["all", "one"] = "all",
) -> list[Any]:
    """What each member yields, by rank."""
    possible = data.dataset.members_max
    members = possible if members_max is None else min(possible, members_max)
    return [value for _, value in data.dataset.gang(job, state, members, restart)]


def refuse(name: str, problem: Problem, on_step: OnStep | None, tolerance: bool) -> None:
    """Raise ArgumentError for what this strategy cannot do; `tolerance` says that it can that."""
    if on_step is not None:
        raise ArgumentError(
            f"{name!r} runs inside the workers and cannot call on_step; leave it out, or use "
            "strategy='sync'",
            "strategy",
        )
    if problem.tolerance > 0 and not tolerance:
        raise ArgumentError(
            f"{name!r} cannot stop at a tolerance, as nobody there sees all parameters of a step; "
            "leave the tolerance at 0",
            "strategy",
        )


def told(trace: Trace, results: Sequence[dict[str, Any]]) -> Trace:
    """The trace itself, with when the losses were known at the first member, and what all sent.

    A member that was started again tells of its last life alone.
    """
    known = list(results[0]["seconds"])
    trace.seconds = [0.0] * (len(trace.loss_history) - len(known)) + known
    trace.sent_bytes = sum(each["sent_bytes"] for each in results)
    return trace
