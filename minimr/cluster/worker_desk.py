"""What workers say to the coordinator, turned into the scheduler's events."""

import time
from collections.abc import Callable
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.gang_messages import MemberNotes, MemberReady, noted
from minimr.cluster.office import Office
from minimr.cluster.peers import Peer
from minimr.errors import ProtocolError
from minimr.formats.output import PartInfo
from minimr.scheduler import events
from minimr.scheduler.state import AttemptId, Failure, Output
from minimr.scheduler.workers import may_return

SLOTS_MAX = 1024


class WorkerDesk:
    """`receive` what a worker sends. Raises ProtocolError for what it may not."""

    def __init__(
        self,
        office: Office,
        on_joined: Callable[[], None],
        patience_s: float,
    ) -> None:
        """A worker waits for a coordinator that is gone for `patience_s`."""
        self._office = office
        self._on_joined, self._patience_s = on_joined, patience_s
        self._named = 0

    def receive(self, peer: Peer, message: m.Message) -> None:
        handler = HANDLERS.get(type(message))
        if handler is None:
            raise ProtocolError(f"a worker may not send {type(message).__name__}")
        if not peer.name and type(message) not in BEFORE_A_NAME:
            raise ProtocolError("a worker must register first")
        handler(self, peer, message)

    def _register(self, peer: Peer, message: m.Register) -> None:
        if peer.name or not 1 <= message.slots <= SLOTS_MAX:
            raise ProtocolError("a registration that makes no sense")
        kept = self._may_keep_its_name(message)
        peer.name, peer.pid = message.name if kept else self._new_name(), message.pid
        self._office.workers[peer.name] = peer
        epoch = self._office.state.epoch
        self._office.outboxes.tell(peer, m.Registered(peer.name, epoch, kept, self._patience_s))
        holds, peer.holds = [*peer.holds, *message.holds], []
        holds, running = (holds, message.running) if kept else ([], [])
        address = (message.host, message.port)
        self._office.feed(
            events.WorkerJoined(peer.name, message.slots, address, tuple(holds), tuple(running))
        )
        for job in dict.fromkeys([*message.jobs, *(each.job for each in running)] if kept else ()):
            if job not in self._office.state.jobs:
                self._office.outboxes.tell(peer, m.Forget(job))
        self._on_joined()

    def _holds(self, peer: Peer, message: m.Holds) -> None:
        if peer.name:
            raise ProtocolError("a worker that registered said already what it holds")
        peer.holds += message.attempts

    def _may_keep_its_name(self, message: m.Register) -> bool:
        """Only a worker of an earlier epoch may: this one gave up whoever was cut off."""
        if not message.name or message.epoch >= self._office.state.epoch:
            return False
        return may_return(self._office.state, message.name, time.monotonic())

    def _new_name(self) -> str:
        self._named += 1
        epoch = f"{self._office.state.epoch}." if self._office.state.epoch else ""
        return f"worker-{epoch}{self._named}"

    def _draining(self, peer: Peer, _: m.Draining) -> None:
        self._office.feed(events.WorkerDraining(peer.name))

    def _beat(self, peer: Peer, _: m.Beat) -> None:
        self._office.feed(events.Heartbeat(peer.name))
        self._office.outboxes.tell(peer, m.Beat())  # Both ends must notice when the other is gone.

    def _done(self, peer: Peer, message: m.Done) -> None:
        _check_part(message)
        inline = None if message.segments is None else tuple(message.segments)
        output = Output(
            inline,
            message.stats,
            message.counters,
            message.part,
            message.digest,
            message.inputs,
            tuple(message.skipped),
        )
        self._printed(peer, message)
        self._office.feed(events.AttemptDone(peer.name, message.attempt, output))

    def _failed(self, peer: Peer, message: m.Failed) -> None:
        self._printed(peer, message)
        failure = Failure(message.reason, message.text, message.position)
        self._office.feed(events.AttemptFailed(peer.name, message.attempt, failure))

    def _fetch_missed(self, peer: Peer, message: m.FetchMissed) -> None:
        gone, unreached = tuple(message.gone), tuple(message.unreached)
        self._office.feed(
            events.FetchFailed(peer.name, message.attempt, gone, message.text, unreached)
        )

    def _member_ready(self, peer: Peer, message: MemberReady) -> None:
        address = (message.host, message.port)
        self._office.feed(events.MemberReady(peer.name, message.attempt, address))

    def _member_notes(self, peer: Peer, message: MemberNotes) -> None:
        """Of an attempt that runs: one that was stopped speaks of a time that does not count."""
        attempt = message.attempt
        if not self._runs(attempt, peer.name):
            return
        told = {"task": attempt.task, "worker": peer.name}
        for line in message.lines:
            self._office.performer.record("member_note", attempt.job, noted(line) | told)

    def _runs(self, attempt: AttemptId, worker: str) -> bool:
        job = self._office.state.jobs.get(attempt.job)
        task = job.task(attempt) if job else None
        running = task.running.get(attempt) if task else None
        return running is not None and running.worker == worker

    def _printed(self, peer: Peer, message: m.Done | m.Failed) -> None:
        if message.printed and message.attempt.job in self._office.book.entries:
            attempt = message.attempt
            fields = {
                "task": attempt.task,
                "attempt": attempt.number,
                "worker": peer.name,
                "text": message.printed,
            }
            self._office.performer.record("task_printed", attempt.job, fields)


def _check_part(message: m.Done) -> None:
    try:
        if message.part is not None:
            PartInfo.from_dict(message.part)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"a description of a part that makes no sense: {error}") from None


BEFORE_A_NAME = (m.Holds, m.Register)
HANDLERS: dict[type, Callable[[WorkerDesk, Peer, Any], None]] = {
    m.Register: WorkerDesk._register,
    m.Holds: WorkerDesk._holds,
    m.Beat: WorkerDesk._beat,
    m.Draining: WorkerDesk._draining,
    m.Done: WorkerDesk._done,
    m.Failed: WorkerDesk._failed,
    m.FetchMissed: WorkerDesk._fetch_missed,
    MemberReady: WorkerDesk._member_ready,
    MemberNotes: WorkerDesk._member_notes,
}
