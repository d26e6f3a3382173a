"""The coordinator: the scheduler's loop, with real workers and clients at its edges.

It is the master of the paper (Dean and Ghemawat, OSDI 2004, section 3.1), and it stays small by
what it does not do: it never imports user code, and never opens the data. A job's code, parameters
and inputs pass through it as blobs; shuffled data flows from worker to worker.

Readers post what arrives; the loop turns it into scheduler events and performs the actions. The
order within one event matters and is the scheduler's: for instance workers hear of a new job
before they hear of its tasks.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.address import Address, new_token
from minimr.cluster.connection import Connection
from minimr.cluster.jobs import JobBook, JobEntry
from minimr.cluster.listener import Listener
from minimr.cluster.loop import Loop
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.performer import Performer
from minimr.errors import ProtocolError
from minimr.scheduler import events
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.state import Failure, Output


@dataclass(frozen=True, slots=True)
class Arrived:
    peer: Peer
    messages: list[m.Message]


@dataclass(frozen=True, slots=True)
class Gone:
    peer: Peer
    text: str


Item = Arrived | Gone | events.LeaseTimer | events.Published | Callable[[], None]


class Coordinator:
    """`start()` opens the port and returns; `stop()` ends everything. Thread-safe."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        self._token = token or new_token()
        self._scheduler = Scheduler()
        self._book = JobBook()
        self._peers: dict[Peer, None] = {}
        self._workers: dict[str, Peer] = {}
        self._worker_count = 0
        self._awaiting: list[tuple[Peer, m.AwaitWorkers]] = []
        self._outboxes = Outboxes()
        self._stopped = threading.Event()
        self._loop: Loop[Item] = Loop(self._handle, self._outboxes.flush)
        self._performer = Performer(
            self._book, self._workers, self._outboxes, self._loop.at, self._loop.post
        )
        roles = ("worker", "client")
        self._listener = Listener(bytes.fromhex(self._token), roles, self._serve, host, port)
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)

    def address(self, pid: int) -> Address:
        host, port = self._listener.address
        return Address(host, port, self._token, pid)

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

    # The edges: one thread per connection reads and posts

    def _serve(self, sock: socket.socket, role: str) -> None:
        peer = Peer(Connection(sock), role)
        try:
            while True:
                self._loop.post(Arrived(peer, peer.connection.receive()))
        except (EOFError, OSError) as error:
            self._loop.post(Gone(peer, str(error) or "connection closed"))
        except ProtocolError as error:
            self._loop.post(Gone(peer, f"it broke the protocol: {error}"))
        finally:
            peer.connection.close()

    # The loop

    def _run(self) -> None:
        try:
            self._loop.run()
        finally:
            self._listener.close()
            for peer in self._peers:
                peer.connection.shut()
            self._stopped.set()

    def _handle(self, item: Item) -> None:
        match item:
            case Arrived(peer, messages):
                self._peers[peer] = None
                try:
                    for message in messages:
                        self._receive(peer, message)
                except ProtocolError as error:
                    self._gone(peer, f"it broke the protocol: {error}")
            case Gone(peer, text):
                self._gone(peer, text)
            case events.LeaseTimer() | events.Published():
                self._feed(item)
            case _:
                item()

    def _feed(self, event: events.Event) -> None:
        for action in self._scheduler.handle(event, time.monotonic()):
            self._performer.perform(action)

    def _gone(self, peer: Peer, text: str) -> None:
        peer.connection.shut()
        self._peers.pop(peer, None)
        if peer.role == "worker":
            if self._workers.pop(peer.name, None):
                self._feed(events.ConnectionLost(peer.name, text))
            return
        for job in sorted(peer.jobs):
            # Nobody waits for these any more: what a client watched ends with the client.
            self._feed(events.CancelRequested(job))
            self._feed(events.DatasetDropped(job))
        self._book.sweep(self._scheduler.state)

    def _leave(self) -> None:
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
        if peer.role == "worker" and not peer.name and type(message) is not m.Register:
            raise ProtocolError("a worker must register first")
        handler(self, peer, message)

    def _register(self, peer: Peer, message: m.Register) -> None:
        if peer.name or not 1 <= message.slots <= 1024:
            raise ProtocolError("a registration that makes no sense")
        self._worker_count += 1
        peer.name, peer.pid = f"worker-{self._worker_count}", message.pid
        self._workers[peer.name] = peer
        self._outboxes.tell(peer, m.Registered(peer.name))
        address = (message.host, message.port)
        self._feed(events.WorkerJoined(peer.name, message.slots, address))
        awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            self._await_workers(*each)

    def _await_workers(self, peer: Peer, message: m.AwaitWorkers) -> None:
        if len(self._workers) >= message.count:
            self._outboxes.tell(peer, m.Reply(message.request, len(self._workers), None))
        else:
            self._awaiting.append((peer, message))

    def _beat(self, peer: Peer, _: m.Beat) -> None:
        self._feed(events.Heartbeat(peer.name))
        if peer.later:
            self._outboxes.tell(peer, m.Beat())

    def _done(self, peer: Peer, message: m.Done) -> None:
        inline = None if message.segments is None else tuple(message.segments)
        output = Output(inline, message.stats, message.counters, message.part)
        self._printed(peer, message)
        self._feed(events.AttemptDone(peer.name, message.attempt, output))

    def _failed(self, peer: Peer, message: m.Failed) -> None:
        self._printed(peer, message)
        failure = Failure(message.reason, message.text, message.position)
        self._feed(events.AttemptFailed(peer.name, message.attempt, failure))

    def _fetch_missed(self, peer: Peer, message: m.FetchMissed) -> None:
        missing = tuple(message.missing)
        self._feed(events.FetchFailed(peer.name, message.attempt, missing, message.text))

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
        expected = 0 if message.source is not None else message.maps
        if message.maps < 1 or len(message.inputs) != expected:
            raise ProtocolError("a job without map tasks, or with another number of inputs")
        if (message.reduces < 1) != (message.kind == "load"):
            raise ProtocolError("a job needs reduce tasks, a load has none")
        entry = self._book.add(message)
        self._outboxes.tell(peer, m.Reply(message.request, entry.plan.job, None))
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
            for line in (*self._workers_now(), *entry.log):
                self._outboxes.tell_event(peer, entry.plan.job, line)

    def _workers_now(self) -> list[dict[str, Any]]:
        """A log that starts late still says which workers there are."""
        now = self._performer.clock()
        return [
            {
                "t": now,
                "event": "worker_joined",
                "job": None,
                "worker": worker.name,
                "slots": worker.slots,
                "address": "{}:{}".format(*worker.address),
            }
            for worker in self._scheduler.state.workers.values()
        ]

    def _cancel_job(self, peer: Peer, message: m.CancelJob) -> None:
        known = message.job in self._scheduler.state.jobs
        error = None if known else f"no job {message.job} is running"
        self._feed(events.CancelRequested(message.job))
        self._outboxes.tell(peer, m.Reply(message.request, known, error))

    def _drop_dataset(self, peer: Peer, message: m.DropDataset) -> None:
        peer.jobs.discard(message.job)
        self._feed(events.DatasetDropped(message.job))
        self._book.sweep(self._scheduler.state)

    def _status(self, peer: Peer, message: m.GetStatus) -> None:
        state = self._scheduler.state
        host, port = self._listener.address
        status = {
            "address": f"{host}:{port}",
            "workers": [
                {
                    "name": worker.name,
                    "pid": self._workers[worker.name].pid,
                    "slots": worker.slots,
                    "address": "{}:{}".format(*worker.address),
                    "running": [str(attempt) for attempt in worker.attempts],
                    "state": "alive",
                }
                for worker in state.workers.values()
            ],
            "jobs": self._book.summaries(state, time.monotonic()),
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


FROM_WORKER: dict[type, Callable[[Coordinator, Peer, Any], None]] = {
    m.Register: Coordinator._register,
    m.Beat: Coordinator._beat,
    m.Done: Coordinator._done,
    m.Failed: Coordinator._failed,
    m.FetchMissed: Coordinator._fetch_missed,
}
FROM_CLIENT: dict[type, Callable[[Coordinator, Peer, Any], None]] = {
    m.Submit: Coordinator._submit,
    m.Watch: Coordinator._watch,
    m.CancelJob: Coordinator._cancel_job,
    m.DropDataset: Coordinator._drop_dataset,
    m.GetStatus: Coordinator._status,
    m.AwaitWorkers: Coordinator._await_workers,
    m.GetLog: Coordinator._log,
    m.Shutdown: Coordinator._shutdown,
}
