"""What clients ask of the coordinator: jobs, their logs and ends, the cluster's state."""

import sys
import time
from collections.abc import Callable
from typing import Any

import msgpack

from minimr.cluster import messages as m
from minimr.cluster.jobs import NAMES, JobEntry
from minimr.cluster.office import Office
from minimr.cluster.peers import Peer
from minimr.cluster.wire import HEAD_BYTES_MAX
from minimr.cluster.workers_now import workers_joined, workers_now
from minimr.errors import ProtocolError
from minimr.scheduler import events
from minimr.scheduler.state import Job


class ClientDesk:
    """`receive` what a client sends. Raises ProtocolError for what it may not."""

    def __init__(
        self,
        office: Office,
        sweep: Callable[[], None],
        shut_down: Callable[[], None],
        address: tuple[str, int],
    ) -> None:
        """`sweep` drops what belongs to datasets that are gone; `shut_down` ends the cluster."""
        self._office = office
        self._sweep, self._shut_down, self._address = sweep, shut_down, address
        self._awaiting: list[tuple[Peer, m.AwaitWorkers]] = []
        self._workers_max, self._why_no_more = sys.maxsize, ""

    def receive(self, peer: Peer, message: m.Message) -> None:
        handler = HANDLERS.get(type(message))
        if handler is None:
            raise ProtocolError(f"a client may not send {type(message).__name__}")
        handler(self, peer, message)

    def answer_who_awaits_workers(self) -> None:
        """Some who wait may have enough of them now; the others wait on."""
        awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            self._await_workers(*each)

    def gone(self, peer: Peer) -> None:
        """What a client watched ends with the client: nobody waits for it any more."""
        self._awaiting = [each for each in self._awaiting if each[0] is not peer]
        for job in sorted(peer.jobs):
            self._office.feed(events.CancelRequested(job))
            self._office.feed(events.DatasetDropped(job))
        self._sweep()

    def expect_at_most(self, workers: int, why: str) -> None:
        """See Coordinator."""
        self._workers_max, self._why_no_more = workers, why
        self.answer_who_awaits_workers()
        for job in [] if workers else list(self._office.state.jobs):
            self._office.book.blame(job, why)
            self._office.feed(events.CancelRequested(job))

    def _beat_back(self, peer: Peer, _: m.Beat) -> None:
        self._office.outboxes.tell(peer, m.Beat())

    def _await_workers(self, peer: Peer, message: m.AwaitWorkers) -> None:
        here = len(self._office.workers)
        if here >= min(message.count, max(self._workers_max, 1)):
            self._reply(peer, message.request, here)
        elif self._workers_max == 0:
            self._reply(peer, message.request, None, self._why_no_more)
        else:
            self._awaiting.append((peer, message))

    def _submit(self, peer: Peer, message: m.Submit) -> None:
        _check_submission(message, self._office.state.jobs)
        if message.kind == "job":
            self._sweep()  # What was decided before it is no part of its story.
        entry = self._office.book.add(message, peer)
        self._office.performer.open_log(entry)
        if message.kind == "job":
            entry.introduction = workers_joined(self._office.state, 0.0)
        reply = m.Reply(message.request, entry.plan.job, None)
        if message.kind == "round":
            # Its client waits for the end, and for the name only to cancel it.
            peer.later.append(reply)
        else:
            self._office.outboxes.tell(peer, reply)
        if message.watch:
            peer.jobs.add(entry.plan.job)
            wants_events = message.events
            if entry.shares_a_log:
                wants_events = self._tell_with_others(peer, entry, wants_events)
            self._watch_entry(peer, entry, wants_events)
        self._office.feed(events.JobSubmitted(entry.plan))

    def _watch(self, peer: Peer, message: m.Watch) -> None:
        entry = self._office.book.entries.get(message.job)
        if entry is None:
            self._reply(peer, message.request, None, _no_such_job(message.job))
            return
        self._reply(peer, message.request, message.job)
        self._watch_entry(peer, entry, True)
        if entry.ended is not None:
            self._office.outboxes.tell(peer, entry.ended)

    def _watch_entry(self, peer: Peer, entry: JobEntry, wants_events: bool) -> None:
        entry.watchers[peer] = wants_events
        if wants_events and not entry.introduction:
            began_at = entry.log.first["t"] if entry.log.first else self._office.performer.clock()
            for line in (*workers_joined(self._office.state, began_at), *entry.log):
                self._office.outboxes.tell_event(peer, entry.plan.job, line)

    def _tell_with_others(self, peer: Peer, entry: JobEntry, wants_events: bool) -> bool:
        """Whether to tell it as it goes: if it wants that, or the others of its log are told so.
        Then the rounds among them are, too, from now on."""
        if not (wants_events or self._office.book.is_live(peer)):
            return False
        for line in self._office.book.make_live(peer):
            self._office.outboxes.tell_event(peer, entry.plan.job, line)
        return True

    def _cancel_job(self, peer: Peer, message: m.CancelJob) -> None:
        known = message.job in self._office.state.jobs
        error = None if known else f"no job {message.job} is running"
        self._office.feed(events.CancelRequested(message.job))
        self._reply(peer, message.request, known, error)

    def _drop_dataset(self, peer: Peer, message: m.DropDataset) -> None:
        peer.jobs.discard(message.job)
        self._office.feed(events.DatasetDropped(message.job))
        self._sweep()

    def _status(self, peer: Peer, message: m.GetStatus) -> None:
        host, port = self._address
        pids = {name: worker.pid for name, worker in self._office.workers.items()}
        jobs = self._office.book.summaries(self._office.state, time.monotonic())
        told = _newest(jobs)
        status = {
            "address": f"{host}:{port}",
            "workers": workers_now(self._office.state, pids),
            "jobs": told,
            "older_jobs": len(jobs) - len(told),
        }
        self._reply(peer, message.request, status)

    def _log(self, peer: Peer, message: m.GetLog) -> None:
        entry = self._office.book.entries.get(message.job)
        if entry is None:
            self._reply(peer, message.request, None, _no_such_job(message.job))
            return
        for line in entry.log:
            self._office.outboxes.tell_event(peer, message.job, line)
        self._reply(peer, message.request, message.job)

    def _shutdown(self, peer: Peer, message: m.Shutdown) -> None:
        self._reply(peer, message.request, True)
        self._shut_down()

    def _reply(self, peer: Peer, request: int, value: Any, error: str | None = None) -> None:
        self._office.outboxes.tell(peer, m.Reply(request, value, error))


def _no_such_job(job: str) -> str:
    return f"there is no job {job}; 'minimr status' lists them"


def _newest(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the last ones as a reply has room for, in their order."""
    room = JOBS_BYTES_MAX
    for index in reversed(range(len(jobs))):
        room -= len(msgpack.packb(jobs[index], unicode_errors="surrogatepass"))
        if room < 0:
            return jobs[index + 1 :]
    return jobs


def _check_submission(message: m.Submit, jobs: dict[str, Job]) -> None:
    """`jobs` are those that run, and the datasets."""
    if message.kind not in NAMES:
        raise ProtocolError(f"there are no jobs of the kind {message.kind[:20]!r}")
    if message.maps > MAPS_MAX or message.reduces > REDUCES_MAX:
        raise ProtocolError(f"{message.maps:,} map tasks and {message.reduces:,} reduce tasks")
    if message.maps < 1 or (message.inputs is None) != (message.source is not None):
        raise ProtocolError("a job without map tasks, or without inputs")
    has_some, may_not = message.reduces > 0, message.kind in ("load", "gang")
    if message.reduces < 0 or (has_some == may_not and message.kind != "round"):
        raise ProtocolError("a job needs reduce tasks; a load or a gang has none")
    if (message.kind == "gang") != (message.restart in ("all", "one")):
        raise ProtocolError("a gang, and nothing else, says who is to restart")
    _check_source(message, jobs)
    _check_output(message)


def _check_source(message: m.Submit, jobs: dict[str, Job]) -> None:
    """What is not there any more is no nonsense: the job fails, and says so."""
    if message.source is None:
        if message.kind in ("round", "gang"):
            raise ProtocolError(f"a {message.kind} is over a dataset")
        return
    if message.kind == "job":
        raise ProtocolError("a job reads files, no dataset")
    source = jobs.get(message.source)
    if source is None:
        return
    partitions = source.plan.maps
    if source.plan.kind != "load" or (message.kind != "gang" and message.maps != partitions):
        raise ProtocolError(f"{message.maps} map tasks over {partitions} of {message.source}")


def _check_output(message: m.Submit) -> None:
    output = message.output
    if output is None:
        return
    if message.kind != "job" or not all(type(output.get(name)) is str for name in WHERE):
        raise ProtocolError("an output that makes no sense")
    for name, value in output.items():
        if type(value) not in OUTPUT.get(name, ()) or (type(value) is str and "\0" in value):
            raise ProtocolError(f"an output whose {name[:20]!r} makes no sense")


JOBS_BYTES_MAX = HEAD_BYTES_MAX // 2
"""Of a reply with the cluster's state; the other half is for the workers."""
MAPS_MAX, REDUCES_MAX = 1 << 22, 100_000
"""What the scheduler can take; each task is an object, and they are made in one go."""
WHERE = ("staging", "final", "format")
OUTPUT: dict[str, tuple[type, ...]] = {
    "staging": (str,),
    "final": (str,),
    "format": (str,),
    "overwrite": (bool,),
    "skip_max": (int,),
    "backups": (bool,),
    "log": (str, type(None)),
}
"""What may be said of a job's output, and how."""

HANDLERS: dict[type, Callable[[ClientDesk, Peer, Any], None]] = {
    m.Beat: ClientDesk._beat_back,
    m.Submit: ClientDesk._submit,
    m.Watch: ClientDesk._watch,
    m.CancelJob: ClientDesk._cancel_job,
    m.DropDataset: ClientDesk._drop_dataset,
    m.GetStatus: ClientDesk._status,
    m.AwaitWorkers: ClientDesk._await_workers,
    m.GetLog: ClientDesk._log,
    m.Shutdown: ClientDesk._shutdown,
}
