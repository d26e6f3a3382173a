"""Parameter server: the parameters live in ranges, members read them and push gradients.

One knob says how long a fast member waits for a slow one (`mr.ParameterServer` has the theory):

    ssp:0     bulk synchronous; the bytes of `sync`
    ssp:S     stale synchronous: a member may be S clocks ahead of the slowest
    async     nobody waits; every push is an update of its own

Every member owns a range of the parameters and its share of the partitions. A clock is one step
over a member's own rows; with a staleness the ranges make one update per clock, from the gradients
of all partitions, without one K updates, from those of one member each.

A member that is lost is started again and goes on where its range's replica says; what it had not
pushed is computed again, and nothing else.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import minimr as mr
from ml.compression import find_compression
from ml.descent import OnStep, Trace
from ml.gradient import losses_at
from ml.labeled_data import LabeledData
from ml.problem import Problem, mean_of, problem_from
from ml.strategies.gang import Blocks, refuse, run_gang, told
from ml.vectors import Vector


class ParameterServerGang(mr.Job):
    """One member: a range of the parameters, and a trainer.

    State: {"start": (size,), "staleness": s or None, "compress": name or None}. Yields the
    parameters, the tail of each update ([loss, rows, penalty], summed over its pushes) and how
    stale each was.
    """

    problem: dict[str, Any]

    def gang(self, blocks: Blocks, members: mr.Members) -> Iterator[tuple[int, dict[str, Any]]]:
        problem, staleness = problem_from(self.problem), self.state["staleness"]
        steps = Steps(problem, members.size if staleness is None else 1)
        compression = find_compression(self.state["compress"])
        start = self.state["start"]
        server = mr.ParameterServer(members, start, steps.update, staleness, compression)
        began, seconds = time.perf_counter(), list[float]()
        for clock in range(server.clock, problem.iterations):
            parameters = server.read(clock)
            penalty = problem.penalty_value(parameters)
            server.push(clock, _gradients(problem, blocks, parameters, clock, penalty, staleness))
            seconds.append(time.perf_counter() - began)
        parameters = server.finish(problem.iterations)
        yield (
            members.rank,
            {
                "parameters": parameters,
                "tails": [[float(each) for each in tail] for tail in server.tails],
                "staleness": server.staleness_of_updates,
                "seconds": seconds,
                "sent_bytes": members.sent.total_bytes,
            },
        )


def _gradients(
    problem: Problem,
    blocks: Blocks,
    parameters: Vector,
    clock: int,
    penalty: float,
    staleness: int | None,
) -> dict[int, Vector]:
    """[gradient, loss, rows, penalty] of each partition. The penalty is that of the whole, so one
    partition alone brings it into the sum of an update: the first of all, or of a push."""
    first = 0 if staleness is not None or not blocks else blocks[0][0]
    return {
        index: np.append(
            problem.sums(parameters, block, clock + 1, index), penalty if index == first else 0.0
        )
        for index, block in blocks
    }


class Steps:
    """The update that a range makes: the problem's, with its memory and pace.

    `together` is how many updates make up a pass over all rows: the schedule counts passes.
    """

    def __init__(self, problem: Problem, together: int) -> None:
        self._problem, self._together = problem, together

    @np.errstate(over="ignore", invalid="ignore")  # whoever gets the trace looks
    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        tail: Vector,
        memory: Any,
        step: int,
        keys: slice,
    ) -> tuple[Vector, Any]:
        """See mr.ParameterServer. `memory` holds the optimizer's vectors, the number of updates
        and what the schedule remembers."""
        penalty = float(tail[2])
        pace = self._problem.pace()
        if memory is None:
            memory = {"vectors": self._problem.memory()[:, keys], "updates": 0}
        else:
            pace.resume(memory["pace"])
        mean, value, count = mean_of(np.concatenate([gradient, tail[:2]]))
        updates, vectors = memory["updates"], memory["vectors"]
        if count > 0:
            updates += 1
            pace.saw(value + penalty)
            parameters, vectors = self._problem.update(
                parameters, mean, vectors, pace.eta(step // self._together + 1), updates, keys
            )
        return parameters, {"vectors": vectors, "updates": updates, "pace": pace.saved()}


def ssp(
    problem: Problem,
    data: LabeledData,
    start: Vector,
    on_step: OnStep | None = None,
    *,
    staleness: int | None = 0,
    compress: str | None = None,
) -> Trace:
    """Descend from `start` (size,); `staleness` in clocks, or None for no bound.

    `compress` names what gradients travel in (ml/compression.py).

    The loss history has an entry for each update, over the rows and at the parameters that its
    gradients were taken at, and a last one for where it ended. Raises ArgumentError for an
    `on_step`, a tolerance, or a compression that is unknown.
    """
    find_compression(compress)
    refuse("async" if staleness is None else "ssp", problem, on_step, tolerance=False)
    job = ParameterServerGang(problem=problem.options())
    state = {"start": start, "staleness": staleness, "compress": compress}
    results = run_gang(data, job, state, restart="one")
    found = results[0]
    tails = [tail for tail in found["tails"] if tail[1] > 0]
    losses = [loss / rows + penalty for loss, rows, penalty in tails]
    last = losses_at(problem, data, found["parameters"])
    trace = Trace(found["parameters"], [*losses, *last], len(tails))
    trace.staleness = list(found["staleness"])
    # Nobody notes the time of an update: it is placed by its number among the clocks of member 0.
    clocks = found["seconds"] or [0.0]
    per_clock = max(len(losses) / len(clocks), 1.0)
    found["seconds"] = [
        clocks[min(int(i / per_clock), len(clocks) - 1)] for i in range(len(losses))
    ]
    found["seconds"] += [clocks[-1]] * len(last)
    return told(trace, results)


def asynchronous(
    problem: Problem,
    data: LabeledData,
    start: Vector,
    on_step: OnStep | None = None,
    *,
    compress: str | None = None,
) -> Trace:
    """`ssp` without a bound: nobody ever waits."""
    return ssp(problem, data, start, on_step, staleness=None, compress=compress)
