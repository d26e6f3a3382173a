"""One member's share of a model that is cut up: `model_parallel` by columns, `pipeline` by layers.

Every member keeps some of the parameters, with the optimizer's memory of them, and nobody keeps
all. The update is elementwise, so each moves its own, and all of them do so in the same iterations
and at the same pace, since all are told the same losses.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

import minimr as mr
from ml.problem import Keys, Problem
from ml.strategies.gang import Blocks
from ml.vectors import Vector


class Share:
    """The parameters at `keys`, and the descent as far as it concerns them."""

    def __init__(self, problem: Problem, keys: Keys, start: Vector) -> None:
        """Begin with those of `start` (size,), which are all parameters."""
        self._problem, self.keys = problem, keys
        self.parameters = start[keys]
        self.memory = problem.memory()[:, keys]
        self._pace = problem.pace()
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._began = time.perf_counter()
        self.iteration, self.updates = 1, 0

    def penalty_value(self) -> float:
        """These parameters' part of the penalty."""
        return self._problem.penalty_value(self.parameters, self.keys)

    def take(self, loss: float, gradient: Vector) -> None:
        """Step against the gradient in these parameters of everybody's mean `loss`, which counts
        the penalty; but not after the last iteration."""
        self.losses.append(loss)
        self.seconds.append(time.perf_counter() - self._began)
        self._pace.saw(loss)
        if self.iteration > self._problem.iterations:
            return
        self.updates += 1
        eta = self._pace.eta(self.iteration)
        self.parameters, self.memory = self._problem.update(
            self.parameters, gradient, self.memory, eta, self.updates, self.keys
        )

    def saved(self) -> dict[str, Any]:
        """All that `resume` needs: plain values and arrays, which later steps do not change."""
        return {name: getattr(self, name) for name in KEPT} | {"losses": list(self.losses)}

    def resume(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave."""
        for name in KEPT:
            setattr(self, name, saved[name])
        self.losses = list(saved["losses"])
        for loss in self.losses:
            self._pace.saw(loss)


KEPT = ("parameters", "memory", "losses", "iteration", "updates")


def share_of(number: int, size: int, rank: int) -> slice:
    """Which of so many belong to a member: neighbours, as even as possible."""
    return slice(rank * number // size, (rank + 1) * number // size)


def exchanged(
    blocks: Blocks,
    members: mr.Members,
    partitions: int,
    part: Callable[[mr.Block, int], list[npt.NDArray[Any]]],
) -> list[mr.Block]:
    """What is ours of all partitions, in their order: X and y as `part(block, rank)` cuts them.

    By turns, one partition to somebody and one from somebody: the rows may be many, and two members
    that only send to each other come to a stop as soon as neither takes any more unread.
    """
    rank, size = members.rank, members.size
    found: dict[int, list[Any]] = {rank: [part(block, rank) for _, block in blocks]}
    for distance in range(1, size):
        to, source = (rank + distance) % size, (rank - distance) % size
        ours, theirs = len(blocks), len(range(partitions)[share_of(partitions, size, source)])
        found[source] = []
        for turn in range(max(ours, theirs)):
            if turn < ours:
                members.send(to, "rows", part(blocks[turn][1], to))
            if turn < theirs:
                found[source].append(members.receive(source, "rows"))
    return [mr.Block({"X": X, "y": y}) for each in range(size) for X, y in found[each]]
