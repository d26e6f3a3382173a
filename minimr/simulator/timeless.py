"""A world without time, small enough that all its orders of events can be tried.

Two real worker machines, the real scheduler and its journal; whatever is pending may come next. A
state is known by a canonical tuple of all that can influence its future.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from minimr.observe.checks import check as check_log
from minimr.scheduler import actions, events
from minimr.scheduler import worker_machine as machine
from minimr.scheduler.journal import Record
from minimr.scheduler.recovery import durable, restore
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.state import AttemptId, Failure, Job, JobPlan, Location, Output, Stage

JOB = "job-1"
MAPS, REDUCES = 2, 2
NAMES = ("worker-1", "worker-2")
READ_ALL = tuple(range(MAPS))

Choice = tuple[str, str]
"""What happens next, and to whom."""


class Broken(Exception):
    """A promise does not hold in this state."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may go wrong on one path."""

    crashes: int = 1
    duplicates: int = 1
    restarts: int = 0


@dataclass
class End:
    """One worker: its real machine, its disk, and the messages under way in both directions."""

    machine: machine.WorkerMachine
    up: list[Any] = field(default_factory=list)
    down: list[Any] = field(default_factory=list)
    disk: list[AttemptId] = field(default_factory=list)
    known: dict[int, AttemptId] = field(default_factory=dict)
    running: AttemptId | None = None
    alive: bool = True


class Model:
    """A world without time. `choices` says what may happen next, `apply` lets it happen."""

    def __init__(self, limits: Limits) -> None:
        self.scheduler = Scheduler()
        self.ends = {name: End(machine.WorkerMachine(1)) for name in NAMES}
        self.left = {
            "crash": limits.crashes,
            "again": limits.duplicates,
            "restart": limits.restarts,
        }
        self.late: list[events.Event] = []
        self.journal: list[Record] = []
        self.epoch = 0
        self.publishing: actions.Publish | None = None
        self.ended: actions.JobEnded | None = None
        self.parts: dict[AttemptId, tuple[int, ...]] = {}
        self.commits: dict[str, AttemptId] = {}
        self.timer = False
        self.pauses: list[events.RetryTimer] = []
        self.watched = True
        """False on the way back to a state that was judged before."""
        self.log: list[dict[str, Any]] = []
        for name, end in self.ends.items():
            self._machine(name, end.machine.start())
            end.up.append(events.WorkerJoined(name, 1, (name, 1)))
        plan = JobPlan(JOB, "explored", "job", MAPS, REDUCES, publishes=True, backups=False)
        self._feed(events.JobSubmitted(plan))

    def choices(self) -> Iterator[Choice]:
        for name, end in self.ends.items():
            if end.up:
                yield "report", name
            if end.down:
                yield "order", name
            if end.running is not None:
                yield "finish", name
        if self.publishing is not None:
            yield "publish", ""
        if self.late:
            yield "late", ""
        if self.timer and not self._under_way(events.WorkerJoined):
            yield "timer", ""
        if self.pauses and not self._under_way(events.ConnectionLost):
            yield "pause", ""
        yield from self._faults()

    def _under_way(self, kind: type[events.Event]) -> bool:
        """Timers are slow: after a restart all who live come back in time, and before a reduce task
        has paused for the last time everybody knows that a worker is dead."""
        waiting = (event for end in self.ends.values() for event in end.up)
        return any(isinstance(event, kind) for event in waiting)

    def _faults(self) -> Iterator[Choice]:
        """What may go wrong here; nothing does once the job has ended."""
        if self.ended is not None:
            return
        alive = [name for name, end in self.ends.items() if end.alive]
        if self.left["crash"] and len(alive) > 1:
            for name in alive:
                yield "crash", name
        if self.left["again"]:
            for name, end in self.ends.items():
                if end.up and isinstance(end.up[0], events.AttemptDone | events.FetchFailed):
                    yield "again", name
        if self.left["restart"]:
            yield "restart", ""

    def apply(self, choice: Choice) -> None:
        kind, name = choice
        APPLY[kind](self, name)

    def _report(self, name: str) -> None:
        event = self.ends[name].up.pop(0)
        self._feed(event)
        if isinstance(event, events.WorkerJoined) and JOB not in self.scheduler.state.jobs:
            self._tell(name, (actions.ForgetJob(name, JOB, "registered"), []))

    def _late(self, _: str) -> None:
        self._feed(self.late.pop(0))

    def _again(self, name: str) -> None:
        """The report arrives now, and once more at any later time."""
        self.left["again"] -= 1
        self.late.append(self.ends[name].up[0])
        self._report(name)

    def _timer(self, _: str) -> None:
        self.timer = False
        self._feed(events.ReturnTimer())

    def _pause(self, _: str) -> None:
        self._feed(self.pauses.pop(0))

    def _publish(self, _: str) -> None:
        action, self.publishing = self.publishing, None
        assert action is not None
        for winner in action.winners:
            if self.parts.get(winner) != READ_ALL:
                raise Broken(f"{winner} read {self.parts.get(winner)} and is published")
        self._feed(events.Published(action.job))

    def _crash(self, name: str) -> None:
        self.left["crash"] -= 1
        end = self.ends[name]
        end.alive, end.running = False, None
        end.down.clear()
        end.disk.clear()
        end.up.append(events.ConnectionLost(name, "killed"))

    def _restart(self, _: str) -> None:
        """The coordinator dies between two events, and goes on from its journal."""
        self.left["restart"] -= 1
        self.epoch += 1
        self.publishing, self.ended = None, None
        self.scheduler, resumed = restore(self.journal, self.epoch, 0.0)
        self.timer = True
        self.late.clear()
        self.pauses.clear()
        for name, end in self.ends.items():
            end.up.clear()
            end.down.clear()
            if end.alive:
                running = (end.running,) if end.running is not None else ()
                holds = tuple(end.disk)
                end.up.append(events.WorkerJoined(name, 1, (name, 1), holds, running))
        self._perform(resumed)

    def _finish(self, name: str) -> None:
        """What runs at this worker comes to its end."""
        end = self.ends[name]
        attempt = end.running
        assert attempt is not None
        end.running = None
        if attempt.stage == "map":
            end.disk.append(attempt)
            report: events.Event = events.AttemptDone(name, attempt, _map_output(attempt))
        else:
            report = self._reduce(name, end, attempt)
        end.up.append(report)
        self._machine(name, end.machine.handle(machine.SlotReported(0, attempt, 1.0)))

    def _reduce(self, name: str, end: End, attempt: AttemptId) -> events.Event:
        held = [each for other in self.ends.values() for each in other.disk]
        missing = tuple(each for each in end.known.values() if each not in held)
        if missing:
            return events.FetchFailed(name, attempt, (), "no answer", missing)
        self.parts[attempt] = tuple(sorted(end.known))
        part = {"name": f"part-{attempt.index}", "records": 1, "bytes": 1}
        return events.AttemptDone(name, attempt, Output(None, {}, {}, part))

    # The scheduler and what it wants

    def _feed(self, event: events.Event) -> None:
        self._perform(self.scheduler.handle(event, 0.0))
        self._check()

    def _perform(self, wanted: list[actions.Action]) -> None:
        for action in wanted:
            match action:
                case actions.Journal(records):
                    self.journal += records
                case actions.Assign(worker):
                    announced = self.scheduler.locations(JOB, action.announce)
                    self._tell(worker, (action, announced))
                case actions.CancelAttempt(worker) | actions.ForgetJob(worker):
                    self._tell(worker, (action, []))
                case actions.Publish():
                    self.publishing = action
                case actions.JobEnded():
                    self.ended = action
                case actions.SetTimer(_, events.RetryTimer() as timer):
                    self.pauses.append(timer)
                case actions.Record(event, job, fields):
                    self._note({"t": 0.0, "event": event, "job": job, **fields})

    def _tell(self, worker: str, message: tuple[actions.Action, list[Location]]) -> None:
        if self.ends[worker].alive:
            self.ends[worker].down.append(message)

    def _note(self, line: dict[str, Any]) -> None:
        self.log.append(line)
        if line["event"] == "commit_granted":
            attempt = AttemptId(JOB, line["stage"], line["index"], line["attempt"])
            if self.commits.setdefault(line["task"], attempt) != attempt:
                raise Broken(f"{line['task']} commits a second time, as {attempt}")

    def _order(self, name: str) -> None:
        """A worker obeys."""
        end = self.ends[name]
        action, announced = end.down.pop(0)
        match action:
            case actions.Assign():
                end.known.update({each.attempt.index: each.attempt for each in announced})
                order = machine.Assigned(action.attempt, JOB)
                self._machine(name, end.machine.handle(order))
            case actions.CancelAttempt(_, attempt):
                self._machine(name, end.machine.handle(machine.CancelOrdered(attempt)))
            case actions.ForgetJob():
                end.disk.clear()
                end.known.clear()

    def _machine(self, name: str, wanted: list[machine.MachineAction]) -> None:
        """Slots start and die at once: their own order is the worker machine's tests' matter."""
        end = self.ends[name]
        for action in wanted:
            match action:
                case machine.SpawnSlot(slot):
                    self._machine(name, end.machine.handle(machine.SlotReady(slot)))
                case machine.KillSlot(slot):
                    started = int(end.running is not None)
                    end.running = None
                    died = machine.SlotDied(slot, "killed", started)
                    self._machine(name, end.machine.handle(died))
                case machine.StartAttempt(_, attempt):
                    if end.running is None:
                        end.running = attempt
                case machine.ReportFailure(attempt, failure):
                    end.up.append(_failed(name, attempt, failure))

    # What must hold, and what a state is

    def _check(self) -> None:
        """After every event of the scheduler."""
        if not self.watched:
            return
        if self.ended is not None and not self.ended.ok:
            raise Broken(f"the job failed: {self.ended.error}")
        replayed, _ = restore(self.journal, self.epoch, 0.0)
        if durable(replayed.state) != durable(self.scheduler.state):
            raise Broken("the journal does not give the state")

    def check_end(self) -> None:
        """When nothing can happen any more."""
        if self.ended is None:
            raise Broken("nothing can happen any more, and the job has not ended")
        left = [each for end in self.ends.values() for each in end.disk if end.alive]
        if left:
            raise Broken(f"{left[0]} is left on a disk")
        for found in check_log(self.log):
            raise Broken(f"invariant {found.invariant} ({found.name}): {found.text}")

    def key(self) -> bytes:
        """A short name for all that can influence what comes."""
        state = self.scheduler.state
        parts = (
            [_job_key(job) for job in state.jobs.values()],
            [(w.name, list(w.attempts), list(w.holds)) for w in state.workers.values()],
            [(name, list(holds)) for name, holds in state.awaited.items()],
            sorted(state.fenced),
            [_end_key(end) for end in self.ends.values()],
            [str(event) for event in self.late],
            sorted(self.left.items()),
            self.publishing is not None,
            self.ended is not None,
            self.timer,
            [timer.index for timer in self.pauses],
            sorted(self.commits.items()),
        )
        return blake2b(repr(parts).encode(), digest_size=16).digest()


APPLY: dict[str, Callable[[Model, str], None]] = {
    "report": Model._report,
    "order": Model._order,
    "finish": Model._finish,
    "publish": Model._publish,
    "late": Model._late,
    "again": Model._again,
    "timer": Model._timer,
    "pause": Model._pause,
    "crash": Model._crash,
    "restart": Model._restart,
}


def _map_output(attempt: AttemptId) -> Output:
    return Output(None, {"bytes_out": 1}, {}, digest=f"map-{attempt.index}")


def _failed(name: str, attempt: AttemptId, failure: Failure) -> events.Event:
    return events.AttemptFailed(name, attempt, failure)


def _job_key(job: Job) -> tuple[Any, ...]:
    stages = [_stage_key(stage) for stage in (job.map_stage, job.reduce_stage) if stage]
    located = [(each.attempt, each.worker) for each in job.locations]
    told = sorted(job.told.items())
    known = sorted(job.workers), {holder: list(by) for holder, by in job.unreached.items()}
    return job.state.value, stages, located, told, job.read, job.announced, known


def _stage_key(stage: Stage) -> tuple[Any, ...]:
    tasks = [
        (
            task.state.value,
            task.attempts,
            task.losses,
            [(attempt, each.worker) for attempt, each in task.running.items()],
            task.winner,
            task.worker,
            task.digest,
            sorted(task.avoid),
            task.missed,
            sorted(task.failed_on),
        )
        for task in stage.tasks
    ]
    return stage.kind, list(stage.ready), stage.done, tasks


def _end_key(end: End) -> tuple[Any, ...]:
    slots = [
        (s.state.value, s.code, list(s.attempts), s.depth, s.reported)
        for s in end.machine.slots.values()
    ]
    return (
        [str(event) for event in end.up],
        [str(message[0]) for message in end.down],
        [[str(each.attempt) for each in message[1]] for message in end.down],
        sorted(end.disk),
        sorted(end.known.items()),
        end.running,
        end.alive,
        slots,
        list(end.machine.queue),
    )
