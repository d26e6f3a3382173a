"""The simulated coordinator: the scheduler as it is, with the world's edges and a journal's disk.

It feeds the events that arrive, and performs the actions in order. A crash may come between any
two actions, and in the middle of a write to the journal.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minimr.scheduler import actions, events, policy
from minimr.scheduler.recovery import restore
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.workers import may_return
from minimr.simulator.loop import Process
from minimr.simulator.network import Line
from minimr.simulator.worker import Beat, Order, Register, Registered

if TYPE_CHECKING:
    from minimr.simulator.world import World

ToWorker = actions.CancelAttempt | actions.Meet | actions.MeetAgain | actions.MemberEnded

RENAME_S = 0.02
"""From the rename of a job's directory to the news of it."""


class SimCoordinator:
    """One process of the coordinator. `epoch` counts them."""

    def __init__(self, world: "World", epoch: int) -> None:
        self.world = world
        self.epoch = epoch
        self.process = Process(world.loop)
        self.process.ahead_s = world.coordinator_ahead_s
        self.scheduler = Scheduler()
        self.lines: dict[str, Line] = {}
        self.ended: set[str] = set()
        self._names = 0

    def start(self) -> None:
        """Begin, or go on where the journal ends."""
        if self.epoch == 0:
            return
        records = self.world.journal.read()
        self.scheduler, resumed = restore(records, self.epoch, self.process.clock())
        self.perform(resumed)

    def die(self) -> None:
        self.process.die()
        for line in self.lines.values():
            line.down.close()
        self.lines.clear()

    def feed(self, event: events.Event) -> None:
        self.perform(self.scheduler.handle(event, self.process.clock()))

    def perform(self, wanted: Sequence[actions.Action]) -> None:
        for action in wanted:
            if self.process.state:
                return  # It died between two actions.
            PERFORM[type(action)](self, action)

    # What arrives

    def heard(self, item: tuple[Line, Any]) -> None:
        """A message of a worker. What a line says before its registration does not count."""
        line, message = item
        if type(message) is Register:
            self._register(line, message)
        elif line.name:
            self.feed(message)
            if type(message) is events.Heartbeat:
                line.beat_at = self.process.clock()
                line.down.send(Beat())

    def line_ended(self, line: Line) -> None:
        self._gone(line, "connection closed")

    def _gone(self, line: Line, text: str) -> None:
        line.down.close()
        if line.name and self.lines.get(line.name) is line:
            del self.lines[line.name]
            self.feed(events.ConnectionLost(line.name, text))

    def _register(self, line: Line, message: Register) -> None:
        if line.name:
            self._gone(line, "it broke the protocol: it registered twice")
            return
        kept = self._may_keep_its_name(message)
        line.name = message.name if kept else self._new_name()
        self.lines[line.name] = line
        line.down.send(Registered(line.name, self.epoch, kept))
        holds, running = (message.holds, message.running) if kept else ((), ())
        address, slots = message.worker.address, self.world.plan.slots
        self.feed(events.WorkerJoined(line.name, slots, address, holds, running))
        for job in dict.fromkeys(attempt.job for attempt in (*holds, *running)):
            if job not in self.scheduler.state.jobs:
                line.down.send(actions.ForgetJob(line.name, job, "registered"))

    def _may_keep_its_name(self, message: Register) -> bool:
        """Only a worker of an earlier epoch may: this one gave up whoever was cut off."""
        if not message.name or message.epoch >= self.epoch:
            return False
        return may_return(self.scheduler.state, message.name, self.process.clock())

    def _new_name(self) -> str:
        self._names += 1
        epoch = f"{self.epoch}." if self.epoch else ""
        return f"worker-{epoch}{self._names}"

    # What the scheduler wants done

    def _journal(self, action: actions.Journal) -> None:
        self.world.write_journal(action.records)

    def _assign(self, action: actions.Assign) -> None:
        locations = self.scheduler.state.jobs[action.attempt.job].locations
        self._tell(action.worker, Order(action, locations))

    def _to_worker(self, action: ToWorker) -> None:
        self._tell(action.worker, action)

    def _tell(self, worker: str, message: Any) -> None:
        if line := self.lines.get(worker):
            line.down.send(message)

    def _drop_worker(self, action: actions.DropWorker) -> None:
        if line := self.lines.pop(action.worker, None):
            line.down.close()
            silent_s = self.process.clock() - line.beat_at
            if silent_s < policy.HEARTBEAT_S:
                self.world.violate(f"{action.worker} is given up {silent_s:.1f} s after it spoke")

    def _set_timer(self, action: actions.SetTimer) -> None:
        if type(action.timer) is not events.LeaseTimer or self.world.costs.heartbeats:
            self.process.timer(action.at, self.feed, action.timer)

    def _publish(self, action: actions.Publish) -> None:
        self.process.soon(self.world.costs.publish_s(), self._rename, action)

    def _rename(self, action: actions.Publish) -> None:
        error = self.world.publish(action)
        self.process.soon(RENAME_S, self.feed, events.Published(action.job, error))

    def knows(self, job: str) -> bool:
        """Whether a client that asks for this job need not submit it again."""
        return job in self.scheduler.state.jobs or job in self.ended

    def _job_ended(self, action: actions.JobEnded) -> None:
        self.ended.add(action.job)
        self.world.job_ended(action)

    def _record(self, action: actions.Record) -> None:
        self.world.tell(action.event, action.job, action.fields)


PERFORM: dict[type, Callable[[SimCoordinator, Any], None]] = {
    actions.Journal: SimCoordinator._journal,
    actions.Assign: SimCoordinator._assign,
    actions.Meet: SimCoordinator._to_worker,
    actions.MeetAgain: SimCoordinator._to_worker,
    actions.MemberEnded: SimCoordinator._to_worker,
    actions.CancelAttempt: SimCoordinator._to_worker,
    actions.ForgetJob: SimCoordinator._to_worker,
    actions.ReleaseWorker: SimCoordinator._to_worker,
    actions.DropWorker: SimCoordinator._drop_worker,
    actions.SetTimer: SimCoordinator._set_timer,
    actions.Publish: SimCoordinator._publish,
    actions.JobEnded: SimCoordinator._job_ended,
    actions.Record: SimCoordinator._record,
}
