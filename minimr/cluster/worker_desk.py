"""What workers say to the coordinator, turned into the scheduler's events."""

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.gang_messages import MemberNotes, MemberReady, noted
from minimr.cluster.office import Office
from minimr.cluster.peers import Peer
from minimr.counters import check_counters
from minimr.errors import ProtocolError, UsageError
from minimr.formats.committer import part_name
from minimr.formats.output import PartInfo
from minimr.scheduler import events
from minimr.scheduler.state import AttemptId, Failure, Job, Output
from minimr.scheduler.workers import may_return
from minimr.shuffle.digest import DIGEST_CHARACTERS

SLOTS_MAX = 1024
PORT_MAX = 65_535
HOST_CHARACTERS_MAX = 255
STATS = {
    "records_in", "records_out", "bytes_out", "seconds", "messages", "sent_bytes", "hot",
}  # fmt: skip
"""What an attempt may tell for the event log; see scheduler/state.py, Output."""
AMOUNT_MAX = 1 << 62


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
        self._numbers = count(1)

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
        _check_address(message.host, message.port)
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
        if message.epoch >= self._office.state.epoch or message.name in self._office.workers:
            return False
        return bool(message.name) and may_return(self._office.state, message.name, time.monotonic())

    def _new_name(self) -> str:
        """One that nobody has: whoever returns may have said any."""
        epoch = f"{self._office.state.epoch}." if self._office.state.epoch else ""
        names = (f"worker-{epoch}{number}" for number in self._numbers)
        return next(name for name in names if name not in self._office.workers)

    def _draining(self, peer: Peer, _: m.Draining) -> None:
        self._office.feed(events.WorkerDraining(peer.name))

    def _beat(self, peer: Peer, _: m.Beat) -> None:
        self._office.feed(events.Heartbeat(peer.name))
        self._office.outboxes.tell(peer, m.Beat())  # Both ends must notice when the other is gone.

    def _done(self, peer: Peer, message: m.Done) -> None:
        _check_done(message, self._office.state.jobs.get(message.attempt.job))
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
        _check_address(message.host, message.port)
        address = (message.host, message.port)
        self._office.feed(events.MemberReady(peer.name, message.attempt, address))

    def _member_notes(self, peer: Peer, message: MemberNotes) -> None:
        """Of an attempt that runs: one that was stopped speaks of a time that does not count."""
        attempt = message.attempt
        if not self._runs(attempt, peer.name):
            return
        told = {"task": attempt.task, "worker": peer.name}
        _check_notes(message.lines)
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


# What the codec lets through has the right types at the top. Inside, anything may stand.


def _check_address(host: str, port: int) -> None:
    """Others will be told to connect there."""
    named = 0 < len(host) <= HOST_CHARACTERS_MAX and host.isascii() and host.isprintable()
    if not named or not 0 < port <= PORT_MAX:
        raise ProtocolError("an address that makes no sense")


def _check_notes(lines: list[dict[str, Any]]) -> None:
    try:
        json.dumps(lines)  # As they will stand in the event log.
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"notes that make no sense: {error}") from None


def _check_done(message: m.Done, job: Job | None) -> None:
    """`job` is the one that it speaks of, if that is known."""
    if not all(map(_is_stat, message.stats, message.stats.values())):
        raise ProtocolError("numbers of an attempt that make no sense")
    try:
        check_counters(message.counters or {})
    except UsageError as error:
        raise ProtocolError(f"counters that make no sense: {error}") from None
    for digest in (message.digest, message.inputs):
        if digest is not None and not (digest.isascii() and len(digest) <= DIGEST_CHARACTERS):
            raise ProtocolError("a digest that makes no sense")
    if not all(type(text) is str for each in message.skipped for text in each.values()):
        raise ProtocolError("records that were skipped, and that make no sense")
    _check_part(message, job)
    attempt, segments = message.attempt, message.segments
    if job is None or segments is None:
        return
    if attempt.stage == "load":
        raise ProtocolError("a partition of a dataset, which stays at its worker, in a message")
    if attempt.stage == "map" and len(segments) != job.plan.reduces > 0:
        raise ProtocolError(f"{len(segments)} segments for {job.plan.reduces} reduce tasks")


def _is_stat(name: str, value: Any) -> bool:
    if name == "hot":
        return type(value) is list and all(
            type(each) is dict and {str, int}.issuperset(map(type, each.values())) for each in value
        )
    return name in STATS and type(value) in (int, float) and 0 <= value < AMOUNT_MAX


def _check_part(message: m.Done, job: Job | None) -> None:
    """The reduce tasks of a job that publishes describe their parts; nobody else does."""
    attempt, part = message.attempt, message.part
    if job is not None:
        described = job.plan.publishes and attempt.stage == "reduce"
        if described != (part is not None):
            raise ProtocolError("an attempt that describes no part, or one that is none of its")
    if part is None:
        return
    try:
        info = PartInfo.from_dict(part)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"a description of a part that makes no sense: {error}") from None
    if job is not None and info.name != part_name(attempt.index):
        raise ProtocolError(f"{attempt.task} describes {info.name}")


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
