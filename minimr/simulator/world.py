"""A world: coordinator, workers, client, network and disks in virtual time, from one seed.

The scheduler and the worker machine are the real ones. All chance comes from random sources made of
the seed's number; nothing depends on an address in memory or on the order of a set. The world keeps
the event log, and judges what no log shows: the published bytes, and that the journal at any moment
tells the state of its coordinator.
"""

import random
from bisect import bisect_left
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minimr.scheduler import actions
from minimr.scheduler.journal import Record
from minimr.scheduler.recovery import durable, restore
from minimr.scheduler.state import AttemptId, JobPlan, Location, Output
from minimr.simulator.client import SimClient
from minimr.simulator.computation import Computation, MadeMap, Skip
from minimr.simulator.coordinator import SimCoordinator
from minimr.simulator.disk import JournalDisk
from minimr.simulator.gang_client import DATA, GangClient
from minimr.simulator.gang_member import Meetings, life_of_member
from minimr.simulator.loop import Loop, ProcessState
from minimr.simulator.network import COORDINATOR, Line, Network, Stream
from minimr.simulator.storage import Storage
from minimr.simulator.work import Costs, Load, Transfer
from minimr.simulator.worker import SimWorker

JOB = "job-1"
SETTLE_S = 2.0
"""How long a world goes on after the end of its job, to see what is left behind."""
RESPAWN_S = 1.0
BACK_S = 0.5
"""After a crash in the middle of a chosen write."""
REPLAY_EVERY = 5
"""Of the journal's writes, one in so many is held against a replay."""


@dataclass(frozen=True, slots=True)
class GangPlan:
    """How many `members` it has, and who starts again when one is lost. With a `rival` something
    else wants the slots when the gang does."""

    members: int
    restart: str
    rival: bool = False


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """How large a world is. `inline` names the maps whose output travels with the message."""

    workers: int
    slots: int
    maps: int
    reduces: int
    inline: tuple[int, ...] = ()
    skip_max: int = 0
    backups: bool = True
    gang: GangPlan | None = None
    """Instead of a job: a gang that works on a dataset of `maps` partitions."""


class World:
    """Built from its parts; `start`, then `loop.run`."""

    def __init__(self, seed: int, plan: WorldPlan, computation: Computation, costs: Costs) -> None:
        self.plan, self.computation, self.costs = plan, computation, costs
        self.seed = seed
        self.loop = Loop()
        self.network = Network(self.loop, random.Random(seed), costs.latency_s)
        self.load = Load()
        self.journal = JournalDisk()
        self.storage = Storage()
        self.coordinator_ahead_s = 0.0
        self.coordinator = SimCoordinator(self, 0)
        self.workers: dict[int, SimWorker] = {}
        self.killers: dict[int, str] = {}
        """By map task: the record that kills whoever maps it."""
        self.fickle: set[int] = set()
        """Map tasks whose output differs from attempt to attempt."""
        self.banned: set[int] = set()
        """Machines on which no worker starts any more."""
        self.tearing: tuple[float, float | None] | None = None
        """The next write to the journal is the last: the share that is kept, and the way back."""
        self.torn_writes: dict[int, float] = {}
        """Which writes are torn, counted from 1, and what share of them is kept."""
        self.log: list[dict[str, Any]] = []
        self.traffic: list[Transfer] = []
        self.violations: list[str] = []
        self.gone = Gone()
        self._writes = 0
        self.meetings = Meetings()
        self.client: SimClient | GangClient
        if plan.gang is not None:
            self.client = GangClient(self, plan.gang.rival, self.gang_plan(plan.gang))
            self.storage.abort()  # What members yield travels with their messages.
        else:
            self.client = SimClient(self, self.job_plan())

    def job_plan(self) -> JobPlan:
        plan = self.plan
        return JobPlan(
            JOB,
            "simulated",
            "job",
            plan.maps,
            plan.reduces,
            publishes=True,
            skip_max=plan.skip_max,
            backups=plan.backups,
        )

    def gang_plan(self, gang: GangPlan) -> JobPlan:
        name = "simulated gang"
        return JobPlan(JOB, name, "gang", gang.members, 0, DATA, restart=gang.restart)

    def start(self) -> None:
        self.loop.at(0.0, None, self.client.submit, None)
        for number in range(self.plan.workers):
            self.loop.at(self.costs.start_s(number), None, self.start_worker, number)

    # What becomes of processes

    def start_worker(self, number: int) -> None:
        """A new worker process on this machine, if none lives there."""
        before = self.workers.get(number)
        if number in self.banned:
            return
        if before is not None and before.process.state is not ProcessState.DEAD:
            return
        worker = SimWorker(self, number, before.life + 1 if before else 0)
        self.workers[number] = worker
        worker.start()

    def crash_worker(self, number: int, silently: bool = False) -> None:
        """kill -9; or the machine loses its power, and nobody is told."""
        worker = self.workers.get(number)
        if worker is None or worker.process.state is ProcessState.DEAD:
            return
        if not self.computation.has_bytes:
            self.gone.add(worker.disk.outputs)
        if silently and worker.line is not None:
            worker.line.up.lost = True
        worker.die()

    def leave(self, worker: SimWorker) -> None:
        """A worker ends by itself. One that was not asked to is started again by its machine."""
        if not self.computation.has_bytes:
            self.gone.add(worker.disk.outputs)
        worker.die()
        if not worker.draining:
            self.loop.at(self.loop.now + RESPAWN_S, None, self.start_worker, worker.number)

    def crash_coordinator(self, back_in_s: float | None) -> None:
        if self.coordinator.process.state is ProcessState.DEAD:
            return
        self.coordinator.die()
        if back_in_s is not None:
            self.loop.at(self.loop.now + back_in_s, None, self.restart_coordinator, None)

    def restart_coordinator(self, _: None = None) -> None:
        if self.coordinator.process.state is not ProcessState.DEAD:
            return
        self.coordinator = SimCoordinator(self, self.coordinator.epoch + 1)
        self.coordinator.start()
        self.client.submit(None)

    # What processes ask of their world

    def connect(self, worker: SimWorker) -> Line | None:
        """A new connection to the coordinator, or None if nobody listens."""
        above = self.coordinator
        if above.process.state is ProcessState.DEAD:
            return None
        network, number = self.network, worker.number
        up = Stream(network, (number, COORDINATOR), above.process, above.heard, above.line_ended)
        down = Stream(
            network, (COORDINATOR, number), worker.process, worker.heard, worker.line_ended
        )
        line = up.tag = down.tag = Line(up, down)
        return line

    def serving(self, address: tuple[str, int]) -> SimWorker | None:
        """The worker process at this address; None if it is gone."""
        number = int(address[0].rpartition("-")[2])
        worker = self.workers.get(number)
        return worker if worker is not None and worker.life == address[1] else None

    def made_map(self, attempt: AttemptId, skip: Skip) -> MadeMap:
        """The output of a map attempt: always the same, unless the task is fickle."""
        index = attempt.index
        if index in self.fickle:
            index = (index + attempt.number) % self.plan.maps
        return self.computation.map(index, skip)

    def run_member(
        self, worker: SimWorker, order: actions.Assign
    ) -> Generator[float, None, Output]:
        return life_of_member(worker, order)

    def write_journal(self, records: Sequence[Record]) -> None:
        self._writes += 1
        if self._writes in self.torn_writes:
            self.tearing = (self.torn_writes[self._writes], BACK_S)
        if self.tearing is not None:
            (share, back_in_s), self.tearing = self.tearing, None
            self.journal.append(records, share)
            self.crash_coordinator(back_in_s)
            return
        self.journal.append(records)
        if self._writes % REPLAY_EVERY == self.seed % REPLAY_EVERY and self.computation.has_bytes:
            self.check_replay()

    def check_replay(self) -> None:
        """Invariant 8: the journal alone gives the state back."""
        coordinator = self.coordinator
        records = self.journal.read()
        replayed, _ = restore(records, coordinator.epoch, coordinator.process.clock())
        ok = durable(replayed.state) == durable(coordinator.scheduler.state)
        self.tell("journal_checked", None, {"ok": ok, "at": len(records)})

    def publish(self, action: actions.Publish) -> str | None:
        return self.storage.publish(action)

    def job_ended(self, action: actions.JobEnded) -> None:
        if not action.ok:
            self.storage.abort()
        self.loop.at(self.loop.now + self.costs.latency_s, None, self.client.told, action)

    def job_over(self) -> None:
        """The client knows; what is left is to see what stays behind."""
        self.loop.at(self.loop.now + SETTLE_S, None, self._close, None)

    def _close(self, _: None) -> None:
        self.loop.stopped = True

    def gone_for(self, worker: SimWorker, job: str) -> tuple[AttemptId, ...]:
        """In a world without bytes: the outputs that this worker would not find."""
        order = worker.told.get(job)
        if order is None or not self.gone:
            return ()
        return self.gone.among(order.locations, order.assign.announce.stop)

    # What is written down

    def tell(self, event: str, job: str | None, fields: Mapping[str, Any]) -> None:
        """One line of the event log."""
        self.log.append({"t": round(self.loop.now, 6), "event": event, "job": job, **fields})

    def moved(self, start: float, end: float, kind: str, size_bytes: int, worker: int) -> None:
        self.traffic.append(Transfer(start, end, kind, size_bytes, worker))

    def violate(self, text: str) -> None:
        self.violations.append(f"t={self.loop.now:.3f}: {text}")


@dataclass(slots=True)
class Gone:
    """Map outputs that died with their workers, in worlds too large to look for each.

    A reducer misses an output if the last location that it was told of is gone. The places of every
    map task in the list of locations are noted once; questions after that cost O(log n) per output.
    """

    outputs: set[AttemptId] = field(default_factory=set)
    _places: dict[int, list[int]] = field(default_factory=dict)
    _noted: int = 0
    _list: list[Location] | None = None
    _answers: dict[tuple[int, int], tuple[AttemptId, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.outputs)

    def add(self, outputs: Mapping[AttemptId, object]) -> None:
        self.outputs.update(outputs)

    def among(self, locations: list[Location], stop: int) -> tuple[AttemptId, ...]:
        """Those of the first `stop` locations that are gone and have no heir among them."""
        self._note(locations)
        key = (stop, len(self.outputs))
        if key not in self._answers:
            indices = sorted({attempt.index for attempt in self.outputs})
            last = [self._last(locations, index, stop) for index in indices]
            self._answers[key] = tuple(each for each in last if each in self.outputs)
        return self._answers[key]

    def _last(self, locations: list[Location], index: int, stop: int) -> AttemptId | None:
        places = self._places.get(index, [])
        position = bisect_left(places, stop)
        return locations[places[position - 1]].attempt if position else None

    def _note(self, locations: list[Location]) -> None:
        if locations is not self._list:
            self._list, self._noted = locations, 0
            self._places.clear()
            self._answers.clear()
        for place in range(self._noted, len(locations)):
            self._places.setdefault(locations[place].attempt.index, []).append(place)
        self._noted = len(locations)
