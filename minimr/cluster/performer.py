"""The coordinator's hands: they perform what the scheduler decides, and decide nothing."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.jobs import JobBook, JobEntry
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.wire import Blob
from minimr.errors import MinimrError
from minimr.formats import committer
from minimr.formats.output import PartInfo
from minimr.scheduler import actions, events


class Performer:
    """`perform` an action. `at` and `post` bring timers and later events back to the loop."""

    def __init__(
        self,
        book: JobBook,
        workers: dict[str, Peer],
        outboxes: Outboxes,
        at: Callable[[float, events.LeaseTimer], None],
        post: Callable[[events.Published], None],
    ) -> None:
        self._book, self._workers, self._outboxes = book, workers, outboxes
        self._at, self._post = at, post
        self._started_at = time.monotonic()

    def perform(self, action: actions.Action) -> None:
        PERFORM[type(action)](self, action)

    def _assign(self, action: actions.Assign) -> None:
        peer = self._workers[action.worker]
        attempt = action.attempt
        entry = self._book.entries[attempt.job]
        if attempt.job not in peer.cargo:
            peer.cargo.add(attempt.job)
            self._outboxes.tell(peer, m.JobCargo(attempt.job, entry.code, entry.spec))
        if action.announce:
            self._outboxes.tell(peer, maps_at(attempt.job, action.announce))
        cargo = None if attempt.stage == "reduce" else entry.inputs[attempt.index]
        maps = [index for index, _ in action.inline]
        segments = [segment for _, segment in action.inline]
        self._outboxes.tell(peer, m.Run(attempt, cargo, maps, segments))

    def _cancel_attempt(self, action: actions.CancelAttempt) -> None:
        self._outboxes.tell(self._workers[action.worker], m.Cancel(action.attempt))

    def _forget_job(self, action: actions.ForgetJob) -> None:
        if peer := self._workers.get(action.worker):
            peer.cargo.discard(action.job)
            peer.later.append(m.Forget(action.job))

    def _drop_worker(self, action: actions.DropWorker) -> None:
        if peer := self._workers.pop(action.worker, None):
            peer.connection.shut()  # Its reader will say that it is gone.

    def _set_timer(self, action: actions.SetTimer) -> None:
        self._at(action.at, action.timer)

    def _publish(self, action: actions.Publish) -> None:
        """Renames can be slow on a network's file system, so a thread of their own does them."""
        output = self._book.entries[action.job].output
        assert output is not None
        winners = [
            (committer.attempt_name(winner.index, winner.number), PartInfo.from_dict(part))
            for winner, part in zip(action.winners, action.parts, strict=True)
        ]

        def work() -> None:
            error = None
            try:
                committer.publish(
                    Path(output["staging"]),
                    Path(output["final"]),
                    winners,
                    output_format=output["format"],
                    overwrite=output["overwrite"],
                    counters=action.counters,
                )
            except (MinimrError, OSError) as problem:
                error = str(problem)
            self._post(events.Published(action.job, error))

        threading.Thread(target=work, name="publish", daemon=True).start()

    def _job_ended(self, action: actions.JobEnded) -> None:
        entry = self._book.entries[action.job]
        error = entry.blamed or action.error
        if not action.ok and entry.output is not None:
            error += _abort(Path(entry.output["staging"]))
        cancelled = action.cancelled and entry.blamed is None
        results = [item for item in action.results if isinstance(item, Blob)]
        ended = m.Ended(
            action.job, action.ok, cancelled, error, action.counters, list(action.parts), results
        )
        self._book.end(entry, ended)
        for peer in entry.watchers:
            self._outboxes.tell(peer, ended)
            if entry.plan.kind != "load":
                peer.jobs.discard(action.job)

    def _record(self, action: actions.Record) -> None:
        self.record(action.event, action.job, action.fields)

    def record(self, event: str, job: str | None, fields: dict[str, Any]) -> None:
        """Add a line to a job's log, or to the logs of all that run if it names none."""
        entries = self._book.running() if job is None else [self._book.entries[job]]
        if not any(map(JobEntry.is_followed, entries)):
            return
        line = {"t": self.clock(), "event": event, "job": job, **fields}
        for entry in entries:
            entry.note(line)
            for peer, wants_events in entry.watchers.items():
                if wants_events:
                    self._outboxes.tell_event(peer, entry.plan.job, line)

    def clock(self) -> float:
        return round(time.monotonic() - self._started_at, 6)


def _abort(staging: Path) -> str:
    """Remove a failed job's files; what stands in the way is part of the job's error."""
    try:
        committer.abort(staging)
    except MinimrError as error:
        return f"; {error}"
    return ""


def maps_at(job: str, locations: tuple[Any, ...]) -> m.MapsAt:
    """The locations as columns, which msgpack packs tighter than records."""
    return m.MapsAt(
        job,
        [each.attempt for each in locations],
        [each.worker for each in locations],
        [each.address[0] for each in locations],
        [each.address[1] for each in locations],
        [each.size_bytes for each in locations],
    )


PERFORM: dict[type, Callable[[Performer, Any], None]] = {
    actions.Assign: Performer._assign,
    actions.CancelAttempt: Performer._cancel_attempt,
    actions.ForgetJob: Performer._forget_job,
    actions.DropWorker: Performer._drop_worker,
    actions.SetTimer: Performer._set_timer,
    actions.Publish: Performer._publish,
    actions.JobEnded: Performer._job_ended,
    actions.Record: Performer._record,
}
