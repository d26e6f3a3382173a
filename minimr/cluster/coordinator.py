"""The coordinator: the scheduler's loop, with real workers and clients at its edges.

It is the master of the paper (Dean and Ghemawat, OSDI 2004, section 3.1), and it stays small by
what it does not do: it never imports user code, and never opens the data. A job's code, parameters
and inputs pass through it as blobs; shuffled data flows from worker to worker.

At its two desks what workers and clients say becomes events of the scheduler; the loop performs the
actions. The order within one event matters and is the scheduler's: for instance workers hear of a
new job before they hear of its tasks. Only what blocks has threads: the handshake with strangers,
and the last rename of a job.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from minimr.cluster import messages as m
from minimr.cluster.address import Address, new_token
from minimr.cluster.channel import Channel
from minimr.cluster.client_desk import ClientDesk
from minimr.cluster.jobs import JobBook
from minimr.cluster.journal import Journal
from minimr.cluster.listener import Listener
from minimr.cluster.loop import Loop
from minimr.cluster.office import Office
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.performer import Performer
from minimr.cluster.recall import recall, still_needed
from minimr.cluster.worker_desk import WorkerDesk
from minimr.errors import MinimrError
from minimr.scheduler import actions, events, policy
from minimr.scheduler.recovery import restore
from minimr.scheduler.scheduler import Scheduler

LOOK_UP_S = 1.0


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

        Raises UsageError if the port is taken, BadRecord if the records make no sense, MinimrError
        if the journal cannot be written.
        """
        identity = journal.identity if journal else None
        self._token = identity.token if identity else new_token()
        self._epoch = identity.epoch if identity else 0
        self._resumes = journal is not None
        patience_s = policy.PATIENCE_S if journal else policy.PATIENCE_WITHOUT_JOURNAL_S
        self._book = JobBook(self._epoch)
        self._scheduler = Scheduler()
        self._todo: list[actions.Action] = []
        if journal and self._epoch:
            records = recall(journal.records, self._book)
            self._scheduler, self._todo = restore(records, self._epoch, time.monotonic())
            journal.shorten(still_needed(journal.records, records))
        self.failed: MinimrError | None = None
        self._peers: dict[Peer, None] = {}
        self._workers: dict[str, Peer] = {}
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
            self._feed,
            journal,
        )
        office = Office(
            self._workers,
            self._scheduler.state,
            self._book,
            self._performer,
            self._outboxes,
            self._feed,
        )
        address = self._listener.address
        self._client_desk = ClientDesk(office, self._sweep, self._leave, address)
        self._worker_desk = WorkerDesk(
            office, self._client_desk.answer_who_awaits_workers, patience_s
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
        """Block until the coordinator has stopped, by `stop` or by a client's request.

        Without a limit it looks up now and then: a signal that another thread takes does not end
        the wait for a lock, and Ctrl-C would be lost.
        """
        if timeout_s is not None:
            return self._stopped.wait(timeout_s)
        while not self._stopped.wait(LOOK_UP_S):
            pass
        return True

    def expect_at_most(self, workers: int, why: str) -> None:
        """So many are left, and no other comes: whoever waits for more waits no longer. If none is
        left, whoever waits for a worker or a job is told why."""
        self._loop.post(lambda: self._client_desk.expect_at_most(workers, why))

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
        receive = self._desk_of(peer).receive
        for message in messages:
            receive(peer, message)

    def _desk_of(self, peer: Peer) -> WorkerDesk | ClientDesk:
        return self._worker_desk if peer.role == "worker" else self._client_desk

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
        self._client_desk.gone(peer)

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
