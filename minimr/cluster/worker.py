"""The worker: owns slots, keeps map outputs and datasets, and serves them to reducers.

Its decisions are the worker machine's (`scheduler/worker_machine.py`); here are the processes,
files and sockets around it, and again one loop that owns the state. The worker itself runs no user
code and reads no data: a job's cargo passes through it to the slots.
"""

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minimr.cluster import messages as m
from minimr.cluster.address import Address, OtherCluster
from minimr.cluster.channel import Channel
from minimr.cluster.connect import connect
from minimr.cluster.fork_server import Died
from minimr.cluster.gang_messages import (
    Meet,
    MeetAgain,
    MemberEnded,
    MemberNotes,
    MemberReady,
)
from minimr.cluster.limits import slot_memory_bytes
from minimr.cluster.loop import Loop
from minimr.cluster.nursery import Nursery
from minimr.cluster.places import kept_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.cluster.slot_processes import SlotProcess, SlotProcesses
from minimr.errors import MinimrError, NoCoordinator
from minimr.scheduler import worker_machine as machine
from minimr.scheduler.policy import HEARTBEAT_S, LEASE_S, PATIENCE_S, PROGRESS_TIMEOUT_S
from minimr.scheduler.state import AttemptId

HELD_TOGETHER = 2_000
DRAIN_S = 60.0
STILLBORN_MAX = 3
REPORTS = (m.Done, m.Failed, m.FetchMissed)


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop; `text` says why, if it is not by order."""

    text: str | None = None


@dataclass(frozen=True, slots=True)
class HeartbeatTimer:
    pass


@dataclass(frozen=True, slots=True)
class ReconnectTimer:
    pass


@dataclass(frozen=True, slots=True)
class Reached:
    """A thread got through to the coordinator, with a socket that is the loop's from here on."""

    sock: socket.socket


@dataclass(frozen=True, slots=True)
class StillGone:
    text: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Somebody asked this worker to leave in good order."""


Item = Leave | HeartbeatTimer | ReconnectTimer | Reached | StillGone | Drain


class Worker:
    """Create it while the process has one thread, then `run()`, which blocks until the end."""

    def __init__(
        self,
        address: Address,
        slots: int,
        directory: Path,
        find: Callable[[], Address] | None = None,
        slots_here: int | None = None,
        progress_timeout_s: float = PROGRESS_TIMEOUT_S,
        shuffle_port: int = 0,
        advertise: tuple[str, int] | None = None,
    ) -> None:
        """`find` reads the connection file again: a restarted coordinator may have a new port.

        `slots_here` slots share this machine's memory, by default ours alone. Map outputs are
        served at `shuffle_port`, 0 for any; others fetch them at `advertise`, by default there.
        """
        from minimr.cluster.slot import slot_main  # The slot's code; imported by the nursery too.

        self._address = address
        self._find = find or (lambda: address)
        self._slots = slots
        self._directory = directory
        self._shuffle_port, self._advertise = shuffle_port, advertise
        self.name = ""
        self._epoch = 0
        self._coordinator: Channel | None = None
        token = address.secret
        memory_bytes = slot_memory_bytes(slots_here or slots)
        self._nursery = Nursery(
            lambda sock: slot_main(sock, token, directory, memory_bytes), directory
        )
        self._machine = machine.WorkerMachine(slots, progress_timeout_s)
        self._jobs: dict[str, m.JobCargo] = {}
        self._maps: dict[str, list[m.MapsAt]] = {}
        self._runs: dict[AttemptId, m.Run] = {}
        self._held: dict[AttemptId, Path] = {}
        self._stored: set[str] = set()
        self._outbox: list[m.Message] = []
        # Answers of slots that the machine has not heard of yet.
        self._reported: list[machine.MachineEvent] = []
        self._left: Leave | None = None
        self._loop: Loop[Item] = Loop(self._handle, self._flush)
        self._processes = SlotProcesses(self._nursery, self._loop, directory, self._hear)

    def run(self, on_joined: Callable[[str], None] = lambda _: None) -> None:
        """Join the cluster and serve it. Raises NoCoordinator if there is none, or it goes away."""
        self._on_joined = on_joined
        try:
            self._server = ShuffleServer(self._address.secret, self._held.get, self._shuffle_port)
            self._server.start()
            self._join()
            self._loop.watch(self._nursery.forks.sock, self._read_nursery)
            self._perform(self._machine.start())
            self._loop.at(time.monotonic() + HEARTBEAT_S, HeartbeatTimer())
            self._loop.run()
        finally:
            self._loop.close()
            self._nursery.close()
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._left is not None and self._left.text is not None:
            raise NoCoordinator(self._left.text)

    def leave(self, text: str | None = None) -> None:
        """From any thread: stop the slots and end `run`."""
        self._loop.post(Leave(text))

    def drain(self) -> None:
        """From any thread and from signal handlers: leave when the cluster can spare us."""
        self._loop.post(Drain())

    # The edges

    def _join(self) -> None:
        """For the first time. A coordinator with a journal is worth waiting for from the start."""
        if self._address.resumes:
            self._decide(machine.Connected(kept=True, patience_s=PATIENCE_S))
        try:
            self._register(connect(self._address, "worker"))
        except NoCoordinator as error:
            if not self._address.resumes:
                raise
            print(f"{error}; this worker tries again", file=sys.stderr, flush=True)
            self._coordinator_gone(str(error))

    def _register(self, sock: socket.socket) -> None:
        """Say who we are. After a break: who we were, what we hold, and what we run."""
        self._coordinator = Channel(sock, self._loop, self._obey_all, self._coordinator_gone)
        self._heard_at = time.monotonic()
        host, port = self._advertise or self._server.address
        unsent = [each.attempt for each in self._outbox if isinstance(each, REPORTS)]
        register = m.Register(
            slots=self._slots,
            host=host,
            port=port,
            pid=os.getpid(),
            name=self.name,
            epoch=self._epoch,
            running=[*self._runs, *unsent],
            jobs=list(self._jobs),
        )
        self._coordinator.send([*holding(list(self._held)), register])

    def _coordinator_gone(self, text: str) -> None:
        self._coordinator = None
        self._decide(machine.Disconnected(time.monotonic(), text))

    def _reach(self) -> None:
        """In a thread of its own, since it may block: look for the coordinator once."""
        try:
            found: Item = Reached(connect(self._find(), "worker"))
        except OtherCluster as error:
            found = Leave(str(error))
        except MinimrError as error:
            found = StillGone(str(error))
        if not self._loop.post(found) and isinstance(found, Reached):
            found.sock.close()

    def _read_nursery(self, _events: int) -> bool:
        match report := self._nursery.forks.read_report():
            case None:
                self._processes.kill_orphans()
                self._handle(Leave("the nursery process died; this worker ends"))
            case Died(serial, text):
                died = self._processes.exited(serial, text)
                self._decide(died)
                if self._processes.stillborn >= STILLBORN_MAX:
                    self._handle(Leave(self._why_stillborn(died.text)))
        return report is None

    def _why_stillborn(self, text: str) -> str:
        """One that has no room to begin would be born for ever, and its attempts wait as long."""
        return (
            f"{STILLBORN_MAX} slots in a row ended before they began, and this worker with them; "
            f"see whether there is room in {self._directory.parent}: {text.splitlines()[-1]}"
        )

    # The loop

    def _handle(self, item: Item) -> None:
        match item:
            case HeartbeatTimer():
                self._beat()
                self._look_for_progress()
                self._loop.at(time.monotonic() + HEARTBEAT_S, item)
            case ReconnectTimer():
                threading.Thread(target=self._reach, name="reconnect", daemon=True).start()
            case Reached(sock):
                self._register(sock)
            case StillGone(text):
                self._coordinator_gone(text)
            case Drain():
                self._decide(machine.DrainOrdered())
            case Leave():
                self._left = self._left or item
                self._loop.stop()

    def _beat(self) -> None:
        """A connection can be dead without a word: then the answers to heartbeats stay away."""
        if self._coordinator is None:
            return
        if time.monotonic() - self._heard_at > LEASE_S:
            self._coordinator.close()
            self._coordinator_gone(f"it said nothing for {LEASE_S:g} s")
        else:
            self._outbox.append(m.Beat())

    def _look_for_progress(self) -> None:
        counts = self._processes.ticks()
        self._decide(machine.Looked(time.monotonic(), counts))

    def _flush(self) -> None:
        """What the slots answered is on its way before we think about what they do next: the end of
        a round waits for it."""
        self._send()
        self._decide()
        self._processes.flush()
        self._send()

    def _send(self) -> None:
        if self._outbox and self._coordinator is not None:
            self._coordinator.send(self._outbox)
            self._outbox = []

    def _obey_all(self, messages: list[m.Message]) -> None:
        self._heard_at = time.monotonic()
        for message in messages:
            self._obey(message)

    def _obey(self, message: m.Message) -> None:
        match message:
            case m.Run():
                self._runs[message.attempt] = message
                code = self._jobs[message.attempt.job].code
                self._decide(machine.Assigned(message.attempt, code))
            case m.JobCargo():
                self._jobs[message.job] = message
            case m.MapsAt():
                self._maps.setdefault(message.job, []).append(message)
            case m.Cancel(attempt):
                self._decide(machine.CancelOrdered(attempt))
                self._runs.pop(attempt, None)
            case Meet() | MeetAgain() | MemberEnded():
                self._pass_on(message)
            case m.Forget(job):
                self._forget(job)
            case m.Registered():
                self._registered(message)
            case m.Stop():
                self._handle(Leave())

    def _pass_on(self, message: Meet | MeetAgain | MemberEnded) -> None:
        """To the member that it is for, if that still runs."""
        for number, slot in self._machine.slots.items():
            if message.attempt in slot.attempts:
                self._processes.living[number].outbox.append(message)

    def _registered(self, message: m.Registered) -> None:
        """We have a name. If it is a new one for us, what we held counts for nothing."""
        returning = bool(self.name)
        self.name, self._epoch = message.worker, message.epoch
        kept = message.kept or not returning
        self._decide(machine.Connected(kept, message.patience_s))
        if not returning:
            self._on_joined(message.worker)

    def _drop_everything(self) -> None:
        for job in list(self._jobs):
            self._forget(job)
        self._runs.clear()
        self._outbox.clear()

    def _hear(self, number: int, message: m.Message) -> None:
        match message:
            case m.Hello(pid):
                self._processes.living[number].pid = pid
                self._decide(machine.SlotReady(number))
            case m.Done() | m.Failed() | m.FetchMissed():
                self._runs.pop(message.attempt, None)
                if isinstance(message, m.Done) and message.segments is None:
                    self._stored.add(message.attempt.job)
                    self._held[message.attempt] = kept_path(self._directory, message.attempt)
                self._outbox.append(message)
                seconds = message.stats.get("seconds") if isinstance(message, m.Done) else None
                self._reported.append(machine.SlotReported(number, message.attempt, seconds))
            case MemberReady() | MemberNotes():
                self._outbox.append(message)

    def _forget(self, job: str) -> None:
        self._jobs.pop(job, None)
        self._maps.pop(job, None)
        for attempt in [attempt for attempt in self._held if attempt.job == job]:
            del self._held[attempt]
        self._processes.forget(job)
        if job in self._stored:
            self._stored.discard(job)
            for folder in ("jobs", "datasets"):
                shutil.rmtree(self._directory / folder / job, ignore_errors=True)

    # What the machine wants done

    def _decide(self, *events: machine.MachineEvent) -> None:
        """Perform what follows from these events, and before that from what slots have reported."""
        reported, self._reported = self._reported, []
        for event in (*reported, *events):
            self._perform(self._machine.handle(event))

    def _perform(self, actions: list[machine.MachineAction]) -> None:
        for action in actions:
            match action:
                case machine.SpawnSlot(number):
                    self._spawn(number)
                case machine.KillSlot(number):
                    self._processes.kill(number)
                case machine.StartAttempt(number, attempt):
                    self._start(self._processes.living[number], attempt)
                case machine.ReportFailure(attempt, failure):
                    self._runs.pop(attempt, None)
                    reason, text = failure.reason, failure.text
                    if reason == "stuck":
                        text += self._where(actions)
                    self._outbox.append(m.Failed(attempt, reason, text, failure.position, ""))
                case machine.Reconnect(after_s):
                    self._loop.at(time.monotonic() + after_s, ReconnectTimer())
                case machine.Leave(text):
                    self._handle(Leave(text))
                case machine.SayDraining():
                    self._outbox.append(m.Draining())
                    self._loop.at(time.monotonic() + DRAIN_S, Leave())
                case machine.DropEverything():
                    self._drop_everything()

    def _spawn(self, number: int) -> None:
        """It needs a descriptor and a place; somebody may have tidied up our directory."""
        try:
            self._processes.spawn(number)
        except OSError as error:
            why = f"no slot can begin in {self._directory}: {error.strerror}; this worker ends"
            self._handle(Leave(why))

    def _where(self, actions: list[machine.MachineAction]) -> str:
        """Where the attempt stands whose slot is to be killed, for people; its first try is not
        careful, and tells nobody."""
        for action in actions:
            if isinstance(action, machine.KillSlot):
                return self._processes.place(action.slot)
        return ""

    def _start(self, process: SlotProcess, attempt: AttemptId) -> None:
        messages: list[m.Message] = []
        job = attempt.job
        if process.worker != self.name:
            process.worker = self.name
            messages.append(m.Registered(self.name))
        if job not in process.cargo:
            process.cargo.add(job)
            messages.append(self._jobs[job])
        if attempt.stage == "gang":
            self._stored.add(job)  # Partitions that it fetched go with it.
        news = self._maps.get(job, [])
        messages += news[process.told.get(job, 0) :]
        process.told[job] = len(news)
        process.outbox += [*messages, self._runs[attempt]]


def holding(attempts: list[AttemptId]) -> list[m.Holds]:
    """In messages that are far from the limit of a message's head."""
    starts = range(0, len(attempts), HELD_TOGETHER)
    return [m.Holds(attempts[start : start + HELD_TOGETHER]) for start in starts]
