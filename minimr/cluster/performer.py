"""The coordinator's hands: they perform what the scheduler decides, and decide nothing."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.gang_messages import Meet, MeetAgain, MemberEnded
from minimr.cluster.inlined import pack_inlined
from minimr.cluster.job_log import JobLog
from minimr.cluster.jobs import JobBook, JobEntry
from minimr.cluster.journal import Journal
from minimr.cluster.peers import Outboxes, Peer
from minimr.cluster.recall import written
from minimr.cluster.wire import BLOB_BYTES_MAX, Blob
from minimr.errors import MinimrError
from minimr.formats import committer
from minimr.formats.output import PartInfo
from minimr.scheduler import actions, events
from minimr.scheduler.journal import Record
from minimr.scheduler.state import Failure, Location

LOCATIONS_TOGETHER = 2_000
"""How many map outputs or partitions one message announces: far from the limit of its head."""
PARTS_TOLD_MAX = 500
"""So many parts a client is told of. More would burst the head; they stand in the manifest."""
LAST_LINES_S = 5.0
"""How long a coordinator that leaves waits for the disks of its jobs' logs."""


class Performer:
    """`perform` an action. `at` and `post` bring timers and later events back to the loop."""

    def __init__(
        self,
        book: JobBook,
        workers: dict[str, Peer],
        outboxes: Outboxes,
        at: Callable[[float, events.Timer], None],
        post: Callable[[events.Published | Callable[[], None]], object],
        locations: Callable[[str, range], list[Location]],
        feed: Callable[[events.Event], None],
        journal: Journal | None = None,
    ) -> None:
        """`feed` is the way to the scheduler, for what it has to hear after its own turn."""
        self._book, self._workers, self._outboxes = book, workers, outboxes
        self._at, self._post, self._locations, self._feed = at, post, locations, feed
        self._journal_file = journal
        self._started_at = time.monotonic()
        self._leaving = False

    def perform(self, action: actions.Action) -> None:
        PERFORM[type(action)](self, action)

    def _assign(self, action: actions.Assign) -> None:
        peer = self._workers[action.worker]
        attempt = action.attempt
        if (size_bytes := sum(len(segment) for _, segment, _ in action.inline)) > BLOB_BYTES_MAX:
            self._cannot_assign(action, size_bytes)
            return
        entry = self._book.entries[attempt.job]
        if attempt.job not in peer.cargo:
            peer.cargo.add(attempt.job)
            self._outboxes.tell(peer, m.JobCargo(attempt.job, entry.code, entry.spec))
        news = list(action.partitions)
        if action.announce:
            news += self._locations(attempt.job, action.announce)
        for start in range(0, len(news), LOCATIONS_TOGETHER):
            some = news[start : start + LOCATIONS_TOGETHER]
            self._outboxes.tell(peer, maps_at(attempt.job, some))
        inputs = None if attempt.stage == "reduce" else entry.inputs
        cargo = None if inputs is None else Blob(inputs[attempt.index])
        inline, skip = pack_inlined(action.inline), list(action.skip)
        self._outboxes.tell(peer, m.Run(attempt, cargo, inline, action.careful, skip, action.epoch))

    def _cannot_assign(self, action: actions.Assign, size_bytes: int) -> None:
        """An order that no message can carry would end the connection of every worker in turn."""
        text = (
            f"{action.attempt.task} has to reduce {size_bytes:,} bytes that came in messages, and "
            f"one can carry {BLOB_BYTES_MAX:,}. Let maps yield less, as with a combiner, or give "
            "more reducers"
        )
        failed = events.AttemptFailed(action.worker, action.attempt, Failure("system", text))
        self._post(lambda: self._feed(failed))

    def _meet(self, action: actions.Meet) -> None:
        hosts, ports = zip(*action.addresses, strict=True)
        message = Meet(action.attempt, list(hosts), list(ports))
        self._outboxes.tell(self._workers[action.worker], message)

    def _meet_again(self, action: actions.MeetAgain) -> None:
        message = MeetAgain(action.attempt, action.rank, *action.address)
        self._outboxes.tell(self._workers[action.worker], message)

    def _member_ended(self, action: actions.MemberEnded) -> None:
        message = MemberEnded(action.attempt, action.rank)
        self._outboxes.tell(self._workers[action.worker], message)

    def _cancel_attempt(self, action: actions.CancelAttempt) -> None:
        self._outboxes.tell(self._workers[action.worker], m.Cancel(action.attempt))

    def _forget_job(self, action: actions.ForgetJob) -> None:
        if peer := self._workers.get(action.worker):
            peer.cargo.discard(action.job)
            self._outboxes.tell_later(peer, m.Forget(action.job))

    def _drop_worker(self, action: actions.DropWorker) -> None:
        if peer := self._workers.pop(action.worker, None):
            peer.connection.shut()  # The loop will hear that it is gone.

    def _release_worker(self, action: actions.ReleaseWorker) -> None:
        if peer := self._workers.get(action.worker):
            self._outboxes.tell(peer, m.Stop())

    def write(self, records: Sequence[Record]) -> None:
        """Into the journal, before any action that rests on them.

        Raises MinimrError if the disk fails: the coordinator must stop, and can be resumed.
        """
        if records and self._journal_file is not None:
            self._journal_file.append([written(each, self._book) for each in records])

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
                    skipped=action.skipped,
                )
            except Exception as problem:
                # Whatever it is: the job ends, and says so.
                error = str(problem) or type(problem).__name__
            self._post(events.Published(action.job, error))

        try:
            threading.Thread(target=work, name="publish", daemon=True).start()
        except RuntimeError as problem:  # The system gives us no more threads.
            error = f"the coordinator cannot publish the output: {problem}; submit the job again"
            self._post(events.Published(action.job, error))

    def _job_ended(self, action: actions.JobEnded) -> None:
        entry = self._book.entries[action.job]
        error = entry.blamed or action.error
        if not action.ok and entry.output is not None:
            error += _abort(Path(entry.output["staging"]))
        cancelled = action.cancelled and entry.blamed is None
        results = [item for item in action.results if isinstance(item, Blob)]
        parts = list(action.parts) if len(action.parts) <= PARTS_TOLD_MAX else []
        ended = m.Ended(action.job, action.ok, cancelled, error, action.counters, parts, results)
        entry.done = action.done
        self._book.end(entry, ended)
        if entry.file is None or self._leaving:
            self._tell_end(entry, ended)
        else:
            # Whoever waits for the job finds its log complete.
            entry.file.close(lambda: self._post(lambda: self._tell_end(entry, ended)))

    def _tell_end(self, entry: JobEntry, ended: m.Ended) -> None:
        for peer, wants_events in entry.watchers.items():
            if entry.plan.kind == "round" and not wants_events:
                for line in self._book.story(entry, ended):
                    self._outboxes.tell_event(peer, ended.job, line)
            self._outboxes.tell(peer, ended)
            if entry.plan.kind != "load":
                peer.jobs.discard(ended.job)

    def _record(self, action: actions.Record) -> None:
        t = self.clock()
        entry = self._book.entries.get(action.job) if action.job else None
        if entry is None or not entry.note_later(t, action):
            self._add_line({"t": t, "event": action.event, "job": action.job, **action.fields})

    def record(self, event: str, job: str | None, fields: dict[str, Any]) -> None:
        """Add a line to a job's log, or to the logs of all that run if it names none."""
        self._add_line({"t": self.clock(), "event": event, "job": job, **fields})

    def _add_line(self, line: dict[str, Any]) -> None:
        for entry in self._book.concerned(line):
            entry.note(line)
            self._tell_watchers(entry, line)
            introduction, entry.introduction = entry.introduction, []
            for each in introduction:
                each["t"] = line["t"]
                if entry.file is not None:
                    entry.file.add(each)
                self._tell_watchers(entry, each)

    def _tell_watchers(self, entry: JobEntry, line: dict[str, Any]) -> None:
        for peer, wants_events in entry.watchers.items():
            if wants_events:
                self._outboxes.tell_event(peer, entry.plan.job, line)

    def open_log(self, entry: JobEntry, resume: bool = False) -> None:
        """Begin the log beside a job's output, or go on with it, if the job asked for one."""
        path = (entry.output or {}).get("log")
        if path is not None:

            def on_error(text: str) -> None:
                self._post(lambda: self._log_broke(entry, text))

            entry.file = JobLog(Path(path), on_error, resume)

    def _log_broke(self, entry: JobEntry, text: str) -> None:
        job = entry.plan.job
        entry.file_error = text
        print(f"{job}: {text}", file=sys.stderr, flush=True)
        if job in self._book.entries:
            self.record("note", job, {"text": text})

    def leave(self) -> None:
        """From now on the ends of jobs are told at once: nothing can be told later."""
        self._leaving = True

    def finish_logs(self) -> None:
        """When the loop is over: let the last lines reach the files."""
        files = [entry.file for entry in self._book.entries.values() if entry.file is not None]
        for file in files:
            file.close()
        deadline = time.monotonic() + LAST_LINES_S
        for file in files:
            file.join(max(0.0, deadline - time.monotonic()))

    def clock(self) -> float:
        return round(time.monotonic() - self._started_at, 6)


def _abort(staging: Path) -> str:
    """Remove a failed job's files; what stands in the way is part of the job's error."""
    try:
        committer.abort(staging)
    except (MinimrError, OSError) as error:
        return f"; {error}"
    return ""


def maps_at(job: str, locations: list[Location]) -> m.MapsAt:
    """The locations as columns, which msgpack packs tighter than records."""
    return m.MapsAt(
        job,
        [each.attempt for each in locations],
        [each.worker for each in locations],
        [each.address[0] for each in locations],
        [each.address[1] for each in locations],
        [each.size_bytes for each in locations],
        [each.digest or "" for each in locations],
    )


PERFORM: dict[type, Callable[[Performer, Any], None]] = {
    actions.Assign: Performer._assign,
    actions.Meet: Performer._meet,
    actions.MeetAgain: Performer._meet_again,
    actions.MemberEnded: Performer._member_ended,
    actions.CancelAttempt: Performer._cancel_attempt,
    actions.ForgetJob: Performer._forget_job,
    actions.DropWorker: Performer._drop_worker,
    actions.ReleaseWorker: Performer._release_worker,
    actions.SetTimer: Performer._set_timer,
    actions.Publish: Performer._publish,
    actions.JobEnded: Performer._job_ended,
    actions.Record: Performer._record,
}
