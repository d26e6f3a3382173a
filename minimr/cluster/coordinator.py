"""The coordinator: the scheduler's loop, with real workers and clients at its edges.

It is the master of the paper (Dean and Ghemawat, OSDI 2004, section 3.1), and it stays small by
what it does not do: it never imports user code, and never opens the data. A job's code, parameters
and inputs pass through it as blobs; shuffled data flows from worker to worker.

The loop turns what arrives into scheduler events and performs the actions. The order within one
event matters and is the scheduler's: for instance workers hear of a new job before they hear of its
tasks. Only what blocks has threads: the handshake with strangers, and the last rename of a job.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.address import Address, new_token
from minimr.cluster.channel import Channel
from minimr.cluster.gang_messages import MemberNotes, MemberReady, noted
from minimr.cluster.jobs import JobBook, JobEntry
from minimr.cluster.journal import Journal
from minimr.cluster.listener import Listener
from minimr.cluster.loop import Loop
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.performer import Performer
from minimr.cluster.recall import recall
from minimr.cluster.workers_now import workers_joined, workers_now
from minimr.errors import MinimrError, ProtocolError
from minimr.formats.output import PartInfo
from minimr.scheduler import actions, events, policy
from minimr.scheduler.recovery import restore
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.state import Failure, Output
from minimr.scheduler.workers import may_return


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody passed the gate; from here on the socket is the loop's."""

    sock: socket.socket
    role: str


Item = Admitted | events.Timer | events.Published | Callable[[], None]


class Coordinator:
    """`start()` opens the port and returns; `stop()` ends everything. Thread-safe."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, journal: Journal | None = None
    ) -> None:
        """With a journal, resume the cluster that it remembers: same token, same port, next epoch.

        Raises UsageError if the port is taken, BadRecord if the records make no sense.
        """
        identity = journal.identity if journal else None
        self._token = identity.token if identity else new_token()
        self._epoch = identity.epoch if identity else 0
        self._resumes = journal is not None
        self._patience_s = policy.PATIENCE_S if journal else policy.PATIENCE_WITHOUT_JOURNAL_S
        self._book = JobBook(self._epoch)
        self._scheduler = Scheduler()
        self._todo: list[actions.Action] = []
        if journal and self._epoch:
            records = recall(journal.records, self._book)
            self._scheduler, self._todo = restore(records, self._epoch, time.monotonic())
        self.failed: MinimrError | None = None
        self._peers: dict[Peer, None] = {}
        self._workers: dict[str, Peer] = {}
        self._worker_count = 0
        self._awaiting: list[tuple[Peer, m.AwaitWorkers]] = []
        self._outboxes = Outboxes()
        self._stopped = threading.Event()
        roles = ("worker", "client")
        port = port or (identity.port if identity else 0)
        self._listener = Listener(bytes.fromhex(self._token), roles, self._admitted, host, port)
        if journal:
            journal.keep_port(self._listener.address[1])
        self._loop: Loop[Item] = Loop(self._handle, self._settle)
        self._performer = Performer(
            self._book,
            self._workers,
            self._outboxes,
            self._loop.at,
            self._loop.post,
            self._scheduler.locations,
            journal,
        )
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)

    def address(self, pid: int) -> Address:
        host, port = self._listener.address
        return Address(host, port, self._token, pid, resumes=self._resumes)

    def start(self) -> None:
        self._listener.start()
        self._thread.start()

    def stop(self) -> None:
        """Tell the workers to leave and end the loop."""
        self._loop.post(self._leave)
        self._stopped.wait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the coordinator has stopped, by `stop` or by a client's request."""
        return self._stopped.wait(timeout_s)

    def fail_waiting(self, text: str) -> None:
        """No worker will ever come: whoever waits gets this error instead of waiting on."""
        self._loop.post(lambda: self._fail_all(text))

    def _admitted(self, sock: socket.socket, role: str) -> None:
        """From the thread of the handshake."""
        if not self._loop.post(Admitted(sock, role)):
            sock.close()

    # The loop

    def _run(self) -> None:
        try:
            for job in self._scheduler.state.jobs:
                self._performer.open_log(self._book.entries[job], resume=True)
            self._settle()
            self._loop.run()
        except MinimrError as error:
            if not self._resumes:
                raise
            self.failed = error  # The journal's disk; what it holds is safe.
        finally:
            self._listener.close()
            for peer in self._peers:
                peer.connection.close()
            for item in self._loop.close():
                if isinstance(item, Admitted):
                    item.sock.close()
            self._performer.finish_logs()
            self._stopped.set()

    def _handle(self, item: Item) -> None:
        match item:
            case Admitted(sock, role):
                self._welcome(sock, role)
            case events.Published():
                self._feed(item)
            case _ if isinstance(item, events.Timer):
                self._feed(item)
            case _:
                item()

    def _welcome(self, sock: socket.socket, role: str) -> None:
        connection = Channel(
            sock,
            self._loop,
            lambda messages: self._arrived(peer, messages),
            lambda text: self._gone(peer, text),
        )
        peer = Peer(connection, role)
        self._peers[peer] = None

    def _arrived(self, peer: Peer, messages: list[m.Message]) -> None:
        for message in messages:
            self._receive(peer, message)

    def _feed(self, event: events.Event) -> None:
        """What is to be done about it is done when the batch ends, or when somebody must see it."""
        self._scheduler.react(event, time.monotonic())

    def _settle(self) -> None:
        """Write down all that this batch of events decided, with one sync for all; then act."""
        self._perform_todo()
        self._outboxes.flush()

    def _perform_todo(self) -> None:
        todo, self._todo = [*self._todo, *self._scheduler.settle()], []
        self._performer.write(
            [record for each in todo if type(each) is actions.Journal for record in each.records]
        )
        for action in todo:
            if type(action) is not actions.Journal:
                self._performer.perform(action)

    def _gone(self, peer: Peer, text: str) -> None:
        self._perform_todo()  # Some of it may be for this peer.
        peer.connection.close()
        self._peers.pop(peer, None)
        if peer.role == "worker":
            if self._workers.pop(peer.name, None):
                self._feed(events.ConnectionLost(peer.name, text))
            return
        for job in sorted(peer.jobs):
            # Nobody waits for these any more: what a client watched ends with the client.
            self._feed(events.CancelRequested(job))
            self._feed(events.DatasetDropped(job))
        self._sweep()

    def _sweep(self) -> None:
        self._perform_todo()
        self._book.sweep(self._scheduler.state)

    def _leave(self) -> None:
        self._performer.leave()
        for peer in self._peers:
            if peer.role == "worker":
                self._outboxes.tell(peer, m.Stop())
        for job in list(self._scheduler.state.jobs):
            self._feed(events.CancelRequested(job))
        self._loop.stop()

    def _fail_all(self, text: str) -> None:
        for peer, message in self._awaiting:
            self._outboxes.tell(peer, m.Reply(message.request, None, text))
        self._awaiting = []
        for job in list(self._scheduler.state.jobs):
            self._book.blame(job, text)
            self._feed(events.CancelRequested(job))

    # What arrives

    def _receive(self, peer: Peer, message: m.Message) -> None:
        allowed = FROM_WORKER if peer.role == "worker" else FROM_CLIENT
        handler = allowed.get(type(message))
        if handler is None:
            raise ProtocolError(f"a {peer.role} may not send {type(message).__name__}")
        if peer.role == "worker" and not peer.name and type(message) not in BEFORE_A_NAME:
            raise ProtocolError("a worker must register first")
        handler(self, peer, message)

    def _register(self, peer: Peer, message: m.Register) -> None:
        if peer.name or not 1 <= message.slots <= 1024:
            raise ProtocolError("a registration that makes no sense")
        kept = self._may_keep_its_name(message)
        peer.name, peer.pid = message.name if kept else self._new_name(), message.pid
        self._workers[peer.name] = peer
        self._outboxes.tell(peer, m.Registered(peer.name, self._epoch, kept, self._patience_s))
        holds, peer.holds = [*peer.holds, *message.holds], []
        holds, running = (holds, message.running) if kept else ([], [])
        address = (message.host, message.port)
        self._feed(
            events.WorkerJoined(peer.name, message.slots, address, tuple(holds), tuple(running))
        )
        for job in dict.fromkeys([*message.jobs, *(each.job for each in running)] if kept else ()):
            if job not in self._scheduler.state.jobs:
                self._outboxes.tell(peer, m.Forget(job))
        awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            self._await_workers(*each)

    def _holds(self, peer: Peer, message: m.Holds) -> None:
        if peer.name:
            raise ProtocolError("a worker that registered said already what it holds")
        peer.holds += message.attempts

    def _may_keep_its_name(self, message: m.Register) -> bool:
        """Only a worker of an earlier epoch may: this one gave up whoever was cut off."""
        if not message.name or message.epoch >= self._epoch:
            return False
        return may_return(self._scheduler.state, message.name, time.monotonic())

    def _new_name(self) -> str:
        self._worker_count += 1
        epoch = f"{self._epoch}." if self._epoch else ""
        return f"worker-{epoch}{self._worker_count}"

    def _beat_back(self, peer: Peer, _: m.Beat) -> None:
        self._outboxes.tell(peer, m.Beat())

    def _draining(self, peer: Peer, _: m.Draining) -> None:
        self._feed(events.WorkerDraining(peer.name))

    def _await_workers(self, peer: Peer, message: m.AwaitWorkers) -> None:
        if len(self._workers) >= message.count:
            self._outboxes.tell(peer, m.Reply(message.request, len(self._workers), None))
        else:
            self._awaiting.append((peer, message))

    def _beat(self, peer: Peer, _: m.Beat) -> None:
        self._feed(events.Heartbeat(peer.name))
        self._outboxes.tell(peer, m.Beat())  # Both ends must notice when the other is gone.

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
        self._feed(events.AttemptDone(peer.name, message.attempt, output))

    def _failed(self, peer: Peer, message: m.Failed) -> None:
        self._printed(peer, message)
        failure = Failure(message.reason, message.text, message.position)
        self._feed(events.AttemptFailed(peer.name, message.attempt, failure))

    def _fetch_missed(self, peer: Peer, message: m.FetchMissed) -> None:
        gone, unreached = tuple(message.gone), tuple(message.unreached)
        self._feed(events.FetchFailed(peer.name, message.attempt, gone, message.text, unreached))

    def _member_ready(self, peer: Peer, message: MemberReady) -> None:
        address = (message.host, message.port)
        self._feed(events.MemberReady(peer.name, message.attempt, address))

    def _member_notes(self, peer: Peer, message: MemberNotes) -> None:
        entry = self._book.entries.get(message.attempt.job)
        if entry is not None and entry.ended is None:
            told = {"task": message.attempt.task, "worker": peer.name}
            for line in message.lines:
                self._performer.record("member_note", message.attempt.job, noted(line) | told)

    def _printed(self, peer: Peer, message: m.Done | m.Failed) -> None:
        if message.printed and message.attempt.job in self._book.entries:
            attempt = message.attempt
            fields = {
                "task": attempt.task,
                "attempt": attempt.number,
                "worker": peer.name,
                "text": message.printed,
            }
            self._performer.record("task_printed", attempt.job, fields)

    def _submit(self, peer: Peer, message: m.Submit) -> None:
        if message.maps < 1 or (message.inputs is None) != (message.source is not None):
            raise ProtocolError("a job without map tasks, or without inputs")
        if (message.reduces < 1) != (message.kind in ("load", "gang")):
            raise ProtocolError("a job needs reduce tasks; a load or a gang has none")
        if (message.kind == "gang") != (message.restart in ("all", "one")):
            raise ProtocolError("a gang, and nothing else, says who is to restart")
        entry = self._book.add(message)
        self._performer.open_log(entry)
        if entry.file is not None:
            for line in workers_joined(self._scheduler.state, self._performer.clock()):
                entry.file.add(line)
        reply = m.Reply(message.request, entry.plan.job, None)
        if message.kind == "round":
            # Its client waits for the end, and for the name only to cancel it.
            peer.later.append(reply)
        else:
            self._outboxes.tell(peer, reply)
        if message.watch:
            peer.jobs.add(entry.plan.job)
            self._watch_entry(peer, entry, message.events)
        self._feed(events.JobSubmitted(entry.plan))

    def _watch(self, peer: Peer, message: m.Watch) -> None:
        entry = self._book.entries.get(message.job)
        if entry is None:
            self._outboxes.tell(
                peer, m.Reply(message.request, None, f"there is no job {message.job}")
            )
            return
        self._outboxes.tell(peer, m.Reply(message.request, message.job, None))
        self._watch_entry(peer, entry, True)
        if entry.ended is not None:
            self._outboxes.tell(peer, entry.ended)

    def _watch_entry(self, peer: Peer, entry: JobEntry, wants_events: bool) -> None:
        entry.watchers[peer] = wants_events
        if wants_events:
            began_at = entry.log.first["t"] if entry.log.first else self._performer.clock()
            for line in (*workers_joined(self._scheduler.state, began_at), *entry.log):
                self._outboxes.tell_event(peer, entry.plan.job, line)

    def _cancel_job(self, peer: Peer, message: m.CancelJob) -> None:
        known = message.job in self._scheduler.state.jobs
        error = None if known else f"no job {message.job} is running"
        self._feed(events.CancelRequested(message.job))
        self._outboxes.tell(peer, m.Reply(message.request, known, error))

    def _drop_dataset(self, peer: Peer, message: m.DropDataset) -> None:
        peer.jobs.discard(message.job)
        self._feed(events.DatasetDropped(message.job))
        self._sweep()

    def _status(self, peer: Peer, message: m.GetStatus) -> None:
        state, now = self._scheduler.state, time.monotonic()
        host, port = self._listener.address
        pids = {name: worker.pid for name, worker in self._workers.items()}
        status = {
            "address": f"{host}:{port}",
            "workers": workers_now(state, pids),
            "jobs": self._book.summaries(state, now),
        }
        self._outboxes.tell(peer, m.Reply(message.request, status, None))

    def _log(self, peer: Peer, message: m.GetLog) -> None:
        entry = self._book.entries.get(message.job)
        if entry is None:
            error = f"there is no job {message.job}; 'minimr status' lists them"
            self._outboxes.tell(peer, m.Reply(message.request, None, error))
            return
        for line in entry.log:
            self._outboxes.tell_event(peer, message.job, line)
        self._outboxes.tell(peer, m.Reply(message.request, message.job, None))

    def _shutdown(self, peer: Peer, message: m.Shutdown) -> None:
        self._outboxes.tell(peer, m.Reply(message.request, True, None))
        self._leave()


def _check_part(message: m.Done) -> None:
    try:
        if message.part is not None:
            PartInfo.from_dict(message.part)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"a description of a part that makes no sense: {error}") from None


BEFORE_A_NAME = (m.Holds, m.Register)
FROM_WORKER: dict[type, Callable[[Coordinator, Peer, Any], None]] = {
    m.Register: Coordinator._register,
    m.Holds: Coordinator._holds,
    m.Beat: Coordinator._beat,
    m.Draining: Coordinator._draining,
    m.Done: Coordinator._done,
    m.Failed: Coordinator._failed,
    m.FetchMissed: Coordinator._fetch_missed,
    MemberReady: Coordinator._member_ready,
    MemberNotes: Coordinator._member_notes,
}
FROM_CLIENT: dict[type, Callable[[Coordinator, Peer, Any], None]] = {
    m.Beat: Coordinator._beat_back,
    m.Submit: Coordinator._submit,
    m.Watch: Coordinator._watch,
    m.CancelJob: Coordinator._cancel_job,
    m.DropDataset: Coordinator._drop_dataset,
    m.GetStatus: Coordinator._status,
    m.AwaitWorkers: Coordinator._await_workers,
    m.GetLog: Coordinator._log,
    m.Shutdown: Coordinator._shutdown,
}
