"""A simulated member of a gang: a program whose members need one another at every step.

In each step a member says a number that depends on its partitions, waits until all others have said
theirs, adds them up in the order of the ranks, and saves the sum. So the result is known
beforehand, and any mixture of members, epochs or partitions that do not belong together gives
another one, or none. Members talk over the same network as everybody, and read partitions from the
same disks.

With restart="all" everybody agrees at the start on the last step that all have saved. With
restart="one" a member that starts again says once more what it had said before, for some may not
have heard it, and the others wait for it.
"""

import zlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minimr.scheduler import events
from minimr.scheduler.actions import Assign
from minimr.scheduler.state import AttemptId, Failure, Output, State
from minimr.simulator.attempt import fetch, phases
from minimr.simulator.computation import Broken

if TYPE_CHECKING:
    from minimr.simulator.worker import SimWorker
    from minimr.simulator.world import GangPlan

STEPS = 4
LOOK_S = 0.05
SILENCE_S = 6.0
"""A member that cannot be heard for so long is lost for whoever listens."""
AWAIT_S = 30.0
"""With restart="one": how long a member waits for one that is to come back."""
SAVED = -1
"""Under this step a member says what it has saved."""

Address = tuple[str, int]
Steps = dict[int, int]


@dataclass
class Member:
    """One member in one epoch, on machine `number`: what it has said, and whether it is gone."""

    attempt: AttemptId
    number: int
    said: dict[int, tuple[int, ...]] = field(default_factory=dict)
    gone: bool = False


@dataclass
class Meetings:
    """All members that ever were, by address, and what was saved, by rank and attempt."""

    members: dict[Address, Member] = field(default_factory=dict)
    saved: dict[tuple[int, int], Steps] = field(default_factory=dict)

    def newest(self, rank: int, before: int, epoch: int) -> Steps:
        """What the last of the attempts of this life has saved."""
        for number in range(before - 1, before - epoch, -1):
            if (rank, number) in self.saved:
                return self.saved[rank, number]
        return {}

    def is_back(self, rank: int, asker: AttemptId, state: State) -> bool:
        """Does a member of this rank live of which the coordinator says that all know it, and is
        the asker one of them? One whose worker was given up is told nothing any more."""
        task = state.jobs[asker.job].task(asker) if asker.job in state.jobs else None
        if task is None or asker not in task.running:
            return False
        met = [attempt for job in state.gangs.values() if job.gang for attempt in job.gang.met]
        return any(
            each.attempt.index == rank and each.attempt in met and not each.gone
            for each in self.members.values()
        )


def life_of_member(worker: "SimWorker", order: Assign) -> Generator[float, None, Output]:
    """Raises Missing if its partitions cannot be had, Broken if another member is lost."""
    world, attempt = worker.world, order.attempt
    contents: dict[int, bytes] = {}
    yield from fetch(worker, list(order.partitions), 0, contents)
    me = Member(attempt, worker.number)
    address = (f"member-{attempt.index}", len(world.meetings.members))
    world.meetings.members[address] = me
    data = b"".join(contents[index] for index in sorted(contents))
    assert world.plan.gang is not None
    program = Program(worker, order, me, data, world.plan.gang)
    done = False
    try:
        worker.say(events.MemberReady(worker.name, attempt, address))
        while attempt not in worker.met:
            yield LOOK_S
        total = yield from program.run()
        done = True
    finally:
        me.gone = not done
    return Output((f"{attempt.index}:{total}".encode(),), {"records_in": 1, "records_out": 1})


@dataclass
class Program:
    worker: "SimWorker"
    order: Assign
    me: Member
    data: bytes
    gang: "GangPlan"

    def run(self) -> Generator[float, None, int]:
        world, attempt = self.worker.world, self.order.attempt
        saved = world.meetings.newest(attempt.index, attempt.number, self.order.epoch)
        self.me.said[SAVED] = tuple(saved)
        first = max(saved, default=0)
        if self.gang.restart == "all":
            everybody = yield from self._hear_all(SAVED)
            first = max({0, *saved}.intersection(*({0, *steps} for steps in everybody)))
        else:
            for step in range(first):
                self.me.said[step] = (value(self.data, step),)
        total = saved.get(first, 0)
        for step in range(first, STEPS):
            work = world.costs.map_phases(self.worker.number, attempt.index, world.load)
            yield from phases(self.worker, work)
            self.me.said[step] = (value(self.data, step),)
            everybody = yield from self._hear_all(step)
            total += sum(number for (number,) in everybody)
            kept = {step + 1: total, step: saved.get(step, 0)}
            saved = world.meetings.saved[attempt.index, attempt.number] = kept
        return total

    def _hear_all(self, step: int) -> Generator[float, None, list[tuple[int, ...]]]:
        said = []
        for rank in range(self.gang.members):
            heard = yield from self._hear(rank, step)
            said.append(heard)
        return said

    def _hear(self, rank: int, step: int) -> Generator[float, None, tuple[int, ...]]:
        """What this member said at this step. Raises Broken if it is lost."""
        world, attempt = self.worker.world, self.order.attempt
        give_up_at = world.loop.now + AWAIT_S
        while True:
            other = world.meetings.members[self.worker.met[attempt][rank]]
            trip_s = world.network.transit_s((other.number, self.worker.number))
            if trip_s >= SILENCE_S:
                yield SILENCE_S
                raise lost(rank, "it is silent")
            if not other.gone and step in other.said:
                yield trip_s
                return other.said[step]
            if other.gone and self.gang.restart == "all":
                yield trip_s
                raise lost(rank, "it died")
            if other.gone and world.loop.now > give_up_at:
                if world.meetings.is_back(rank, attempt, world.coordinator.scheduler.state):
                    world.violate(f"{attempt} was not told where member {rank} is now")
                raise lost(rank, "it does not come back")
            yield LOOK_S


def lost(rank: int, why: str) -> Broken:
    return Broken(Failure("member_lost", f"member {rank} of the gang is lost: {why}"))


def value(data: bytes, step: int) -> int:
    return zlib.crc32(data, step)


def expected(partitions: Sequence[bytes], members: int) -> tuple[bytes, ...]:
    """The results by rank, of a run in which nothing happens."""
    data = [b""] * members
    for index, content in enumerate(partitions):
        data[((index + 1) * members - 1) // len(partitions)] += content
    total = sum(value(each, step) for step in range(STEPS) for each in data)
    return tuple(f"{rank}:{total}".encode() for rank in range(members))
