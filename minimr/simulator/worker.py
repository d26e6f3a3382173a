"""A simulated worker: the real worker machine, with simulated slots, disk and connection around it.

What it says to the coordinator are the scheduler's events, what it hears are the scheduler's
actions: the messages of the wire without their encoding.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from minimr.scheduler import actions, events, policy
from minimr.scheduler import worker_machine as machine
from minimr.scheduler.state import AttemptId, Location
from minimr.simulator.attempt import CONNECT_TIMEOUT_S, Report
from minimr.simulator.disk import Disk
from minimr.simulator.loop import Process, ProcessState
from minimr.simulator.network import COORDINATOR, Line
from minimr.simulator.slot import SimSlot

if TYPE_CHECKING:
    from minimr.simulator.world import World

PROGRESS_TIMEOUT_S = 12.0
"""Short, since nobody learns anything from ten minutes of heartbeats."""


@dataclass(frozen=True, slots=True)
class Register:
    worker: "SimWorker"
    name: str
    epoch: int
    holds: tuple[AttemptId, ...]
    running: tuple[AttemptId, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    name: str
    epoch: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Order:
    """An Assign, with the job's list of locations of which it announces a range."""

    assign: actions.Assign
    locations: list[Location]


@dataclass(frozen=True, slots=True)
class Beat:
    """The coordinator lives."""


class SimWorker:
    """One worker process on machine `number`. `life` counts the processes of that machine."""

    def __init__(self, world: "World", number: int, life: int) -> None:
        self.world = world
        self.number, self.life = number, life
        self.address = (f"machine-{number}", life)
        self.process = Process(world.loop)
        self.disk = Disk()
        self.slots: dict[int, SimSlot] = {}
        self.name, self.epoch = "", -1
        self.slowness = 1.0
        self.draining = False
        """Somebody asked it to leave. It may not have heard it yet."""
        self.drained_at: float | None = None
        self.line: Line | None = None
        self.last_words: dict[AttemptId, str] = {}
        """The record at which a careful attempt was when its slot died."""
        self.met: dict[AttemptId, list[tuple[str, int]]] = {}
        """What members of gangs here know of the others: their addresses, by rank."""
        self._known: dict[str, dict[int, Location]] = {}
        self.told: dict[str, Order] = {}
        """In a world without bytes, the last order of each job stands for all that was told."""
        self._machine = machine.WorkerMachine(world.plan.slots, PROGRESS_TIMEOUT_S)
        self._orders: dict[AttemptId, actions.Assign] = {}
        self._registered = False
        self._unsent: list[Report] = []
        self._heard_at = 0.0

    def start(self) -> None:
        self._perform(self._machine.start())
        self._connect(None)
        if self.world.costs.heartbeats:
            self.process.timer(self.process.clock() + policy.HEARTBEAT_S, self._beat, None)

    def die(self) -> None:
        """kill -9: slots and directory go with the process."""
        self.process.die()
        for slot in self.slots.values():
            slot.vanish()
        self.disk.outputs.clear()
        if self.line is not None:
            self.line.up.close()

    def serves(self) -> bool:
        return self.process.state is ProcessState.RUNNING

    def hear(self, event: machine.MachineEvent) -> None:
        self._perform(self._machine.handle(event))

    def report(self, number: int, order: actions.Assign, report: Report) -> None:
        """A slot came to the end of an attempt."""
        seconds = None
        if isinstance(report, events.AttemptDone):
            seconds = report.output.stats["seconds"]
        self._say_of(order.attempt, report)
        self.hear(machine.SlotReported(number, order.attempt, seconds))

    def say(self, event: events.MemberReady) -> None:
        """A member of a gang has something to say; without a coordinator nobody needs to know."""
        if self._registered and self.line is not None:
            self.line.up.send(event)

    def drain(self, _: None) -> None:
        """SIGTERM."""
        self.drained_at = self.world.loop.now
        self.hear(machine.DrainOrdered())

    def sources(self, job: str) -> list[Location]:
        """Where this worker would fetch each map output of a job: the latest that it was told."""
        return list(self._known.get(job, {}).values())

    # The connection

    def _connect(self, _: None) -> None:
        trip_s = self.world.network.round_trip_s(self.number, COORDINATOR)
        if trip_s > CONNECT_TIMEOUT_S:
            self.process.soon(CONNECT_TIMEOUT_S, self._failed, "no answer")
        else:
            self.process.soon(trip_s, self._connected, None)

    def _connected(self, _: None) -> None:
        line = self.world.connect(self)
        if line is None:
            self._failed("connection refused")
            return
        self.line, self._registered, self._heard_at = line, False, self.process.clock()
        holds = tuple(self.disk.outputs) if self.name else ()
        running = (*self._orders, *(each.attempt for each in self._unsent)) if self.name else ()
        line.up.send(Register(self, self.name, self.epoch, holds, running))

    def _failed(self, text: str) -> None:
        self.hear(machine.Disconnected(self.process.clock(), text))

    def line_ended(self, line: Line) -> None:
        if line is self.line:
            self._hang_up("connection closed")

    def _hang_up(self, text: str) -> None:
        assert self.line is not None
        self.line.up.close()
        self.line, self._registered = None, False
        self._failed(text)

    def _beat(self, _: None) -> None:
        now = self.process.clock()
        counts = {number: slot.progress() for number, slot in self.slots.items()}
        self.hear(machine.Looked(now, counts))
        if self.line is not None:
            if now - self._heard_at > policy.LEASE_S:
                self._hang_up("the coordinator is silent")
            elif self._registered:
                self.line.up.send(events.Heartbeat(self.name))
        self.process.timer(now + policy.HEARTBEAT_S, self._beat, None)

    def _say_of(self, attempt: AttemptId, report: Report) -> None:
        """Send a report; while there is no coordinator it waits, and the attempt counts as ours."""
        if self._orders.pop(attempt, None) is None:
            return
        if self._registered and self.line is not None:
            self.line.up.send(report)
        else:
            self._unsent.append(report)

    def heard(self, item: tuple[Line, Any]) -> None:
        line, message = item
        if line is self.line:
            self._heard_at = self.process.clock()
            HEARD[type(message)](self, message)

    def _welcome(self, message: Registered) -> None:
        first = not self.name
        self.name, self.epoch, self._registered = message.name, message.epoch, True
        unsent, self._unsent = self._unsent, []
        self.hear(machine.Connected(message.kept or first, policy.PATIENCE_S))
        if message.kept and self.line is not None:
            for report in unsent:
                self.line.up.send(report)
        if self.drained_at is not None:
            self._say_draining(machine.SayDraining())

    # Orders

    def _order(self, order: Order) -> None:
        assign = order.assign
        job = assign.attempt.job
        self._learn(order, job)
        self._orders[assign.attempt] = assign
        self.hear(machine.Assigned(assign.attempt, job))

    def _learn(self, order: Order, job: str) -> None:
        """A later location of the same map task replaces the earlier one."""
        announce = order.assign.announce
        if self.world.computation.has_bytes:
            known = self._known.setdefault(job, {})
            for each in order.locations[announce.start : announce.stop]:
                known[each.attempt.index] = each
        elif order.assign.attempt.stage == "reduce":
            self.told[job] = order

    def _meet(self, action: actions.Meet) -> None:
        self.met[action.attempt] = list(action.addresses)

    def _meet_again(self, action: actions.MeetAgain) -> None:
        if action.attempt in self.met:
            self.met[action.attempt][action.rank] = action.address

    def _cancel(self, action: actions.CancelAttempt) -> None:
        self._orders.pop(action.attempt, None)
        self.hear(machine.CancelOrdered(action.attempt))

    def _forget(self, action: actions.ForgetJob) -> None:
        self.disk.forget(action.job)
        self._known.pop(action.job, None)
        self.told.pop(action.job, None)

    def _release(self, _: actions.ReleaseWorker) -> None:
        self.world.leave(self)

    def _noted(self, _: Beat | actions.MemberEnded) -> None:
        """What an ended member has said stays there to be heard (gang_member.py)."""

    # What the machine wants done

    def _perform(self, wanted: list[machine.MachineAction]) -> None:
        for action in wanted:
            PERFORM[type(action)](self, action)

    def _spawn(self, action: machine.SpawnSlot) -> None:
        self.slots[action.slot] = SimSlot(self, action.slot)

    def _kill(self, action: machine.KillSlot) -> None:
        self.slots[action.slot].kill("killed by signal 9 (SIGKILL)")

    def _start_attempt(self, action: machine.StartAttempt) -> None:
        self.slots[action.slot].order(self._orders[action.attempt])

    def _report_failure(self, action: machine.ReportFailure) -> None:
        failure = action.failure
        if failure.reason == "died":
            failure = replace(failure, position=self.last_words.pop(action.attempt, None))
        self._say_of(action.attempt, events.AttemptFailed(self.name, action.attempt, failure))

    def _reconnect(self, action: machine.Reconnect) -> None:
        self.process.soon(action.after_s, self._connect, None)

    def _leave(self, _: machine.Leave) -> None:
        self.world.leave(self)

    def _say_draining(self, _: machine.SayDraining) -> None:
        if self._registered and self.line is not None:
            self.line.up.send(events.WorkerDraining(self.name))

    def _drop_everything(self, _: machine.DropEverything) -> None:
        self.disk.outputs.clear()
        self._known.clear()
        self.told.clear()
        self._orders.clear()
        self._unsent.clear()


HEARD: dict[type, Callable[[SimWorker, Any], None]] = {
    Registered: SimWorker._welcome,
    Order: SimWorker._order,
    Beat: SimWorker._noted,
    actions.Meet: SimWorker._meet,
    actions.MeetAgain: SimWorker._meet_again,
    actions.MemberEnded: SimWorker._noted,
    actions.CancelAttempt: SimWorker._cancel,
    actions.ForgetJob: SimWorker._forget,
    actions.ReleaseWorker: SimWorker._release,
}

PERFORM: dict[type, Callable[[SimWorker, Any], None]] = {
    machine.SpawnSlot: SimWorker._spawn,
    machine.KillSlot: SimWorker._kill,
    machine.StartAttempt: SimWorker._start_attempt,
    machine.ReportFailure: SimWorker._report_failure,
    machine.Reconnect: SimWorker._reconnect,
    machine.Leave: SimWorker._leave,
    machine.SayDraining: SimWorker._say_draining,
    machine.DropEverything: SimWorker._drop_everything,
}
