"""What the coordinator keeps about jobs beside the scheduler's state: cargo, watchers, logs."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, count
from operator import itemgetter
from typing import Any

from minimr.cluster.job_log import JobLog
from minimr.cluster.joined import Joined
from minimr.cluster.kept_log import KeptLog
from minimr.cluster.messages import Ended, Submit
from minimr.cluster.wire import Blob
from minimr.errors import ProtocolError
from minimr.scheduler.actions import Record
from minimr.scheduler.state import Job, JobPlan, State

KEPT_MAX = 100
NAMES = {"job": "job", "round": "round", "load": "data", "gang": "gang"}
WORTH_A_STORY = {
    "attempt_failed",
    "attempt_cancelled",
    "worker_lost",
    "worker_excluded",
    "output_lost",
    "stale_message",
    "task_printed",
    "note",
}
"""A round in which none of these happened, to it or its datasets, is told in one line."""


@dataclass(eq=False, slots=True)
class JobEntry:
    plan: JobPlan
    code: str
    spec: Blob
    inputs: Joined | None
    output: dict[str, Any] | None
    # The client that submitted it. All that it does with datasets goes into one log, in order.
    owner: Any = None
    # Who watches, and whether they want the event log as it grows.
    watchers: dict[Any, bool] = field(default_factory=dict)
    log: KeptLog = field(default_factory=KeptLog)
    # Who was there before it: told behind the line with which it begins.
    introduction: list[dict[str, Any]] = field(default_factory=list)
    # The log beside the output, if the coordinator writes it, and what became of that.
    file: JobLog | None = None
    file_error: str | None = None
    eventful: bool = False
    # What a round has not turned into lines yet, as (time, record); most are never asked for.
    untold: list[tuple[float, Record]] = field(default_factory=list)
    ended: Ended | None = None
    # How many map and reduce tasks were done when it ended.
    done: tuple[int, int] = (0, 0)
    blamed: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    def note_later(self, t: float, record: Record) -> bool:
        """Keep a record of a round that nobody follows as it goes; False if somebody does."""
        if self.plan.kind != "round" or self.ended is not None or any(self.watchers.values()):
            return False
        self.untold.append((t, record))
        self.eventful |= record.event in WORTH_A_STORY
        return True

    def _tell_untold(self) -> None:
        self.log.extend(
            {"t": t, "event": record.event, "job": record.job, **record.fields}
            for t, record in self.untold
        )
        self.untold = []

    def note(self, line: dict[str, Any]) -> None:
        """Keep a log line."""
        if self.untold:
            self._tell_untold()
        self.log.append(line)
        self.eventful |= line["event"] in WORTH_A_STORY or line["job"] not in (None, self.plan.job)
        if self.file is not None:
            self.file.add(line)

    @property
    def shares_a_log(self) -> bool:
        """It runs, and is told into one log with all that its owner does with datasets."""
        return self.plan.kind != "job" and self.ended is None

    def worth_a_story(self, ended: Ended) -> bool:
        return self.eventful or not ended.ok

    def tell_so_far(self) -> list[dict[str, Any]]:
        """Its log, which is not told again. What is still to come is told in full, too."""
        self._tell_untold()
        lines, self.log, self.eventful = list(self.log), KeptLog(), True
        return lines

    def told(self, ended: Ended) -> list[dict[str, Any]]:
        """A round for its watchers, who hear of it when it is over: its log if that tells them
        something, else one line, after those that are not about it. Rounds are many, short and
        mostly alike."""
        if self.worth_a_story(ended):
            return self.tell_so_far()
        self.untold = self.untold[-1:]
        self._tell_untold()
        others = [line for line in self.log if line["job"] is None]
        done = self.log.last
        line = {
            "t": done["t"],
            "event": "round_done",
            "job": self.plan.job,
            "name": self.plan.name,
            "maps": self.plan.maps,
            "reduces": self.plan.reduces,
            "seconds": done["seconds"],
        }
        return [*others, line | {"counters": ended.counters} if ended.counters else line]


class JobBook:
    """Every job that runs, and the last ones that ended."""

    def __init__(self, epoch: int = 0) -> None:
        self.entries: dict[str, JobEntry] = {}
        # After a restart names carry the epoch, so that none is given twice.
        self._epoch = f"{epoch}." if epoch else ""
        self._numbers = count(1)
        self._ended: deque[str] = deque()
        # What befell workers and loaded datasets while nothing ran that heard of it, by owner.
        self._between: defaultdict[Any, KeptLog] = defaultdict(KeptLog)

    def add(self, message: Submit, owner: Any = None) -> JobEntry:
        """Raises ProtocolError if the inputs are not those of the map tasks."""
        prefix = NAMES.get(message.kind, "job")
        plan = JobPlan(
            f"{prefix}-{self._epoch}{next(self._numbers)}",
            message.name,
            message.kind,
            message.maps,
            message.reduces,
            message.source,
            message.output is not None,
            (message.output or {}).get("skip_max", 0),
            (message.output or {}).get("backups", True),
            message.restart,
        )
        inputs = None if message.inputs is None else Joined(message.inputs.data)
        if inputs is not None and len(inputs) != plan.maps:
            raise ProtocolError(f"a job of {plan.maps} map tasks with {len(inputs)} inputs")
        entry = JobEntry(plan, message.code, message.spec, inputs, message.output, owner)
        self.entries[plan.job] = entry
        if plan.source is not None:
            for line in self._between.pop(owner, ()):
                if line["job"] is None or self._stands_on(entry, line["job"]):
                    entry.note(line)
                else:
                    self._between[owner].append(line)
        return entry

    def blame(self, job: str, text: str) -> None:
        """The reason for which this job is about to be cancelled is this, not the user."""
        if entry := self.entries.get(job):
            entry.blamed = text

    def running(self) -> list[JobEntry]:
        return [entry for entry in self.entries.values() if entry.ended is None]

    def concerned(self, line: dict[str, Any]) -> list[JobEntry]:
        """Whose log the line belongs to: its job's, or if it names none, that of all that run.

        When a loaded dataset loses a partition and makes it again, that is part of the story of the
        round or gang that waits for it, or else of the next one. Where several share a log the
        first of them has the line.
        """
        job = line["job"]
        if job is None:
            entries = self.running()
            owners = {entry.owner for entry in self.entries.values() if entry.plan.kind == "load"}
        elif self.entries[job].ended is None:
            return [self.entries[job]]
        else:
            over = (entry for entry in self.running() if self._stands_on(entry, job))
            entries = [self.entries[job], *over]
            owners = {self.entries[job].owner}
        first: dict[Any, JobEntry] = {}
        for each in entries:
            if each.shares_a_log:
                first.setdefault(each.owner, each)
        for owner in owners - first.keys():
            self._between[owner].append(line)
        return [each for each in entries if not each.shares_a_log or each is first[each.owner]]

    def story(self, entry: JobEntry, ended: Ended) -> list[dict[str, Any]]:
        """What a round tells when it is over. If that is a story, its owner's rounds that run at
        the same time tell theirs up to now: together, in order, and nothing twice."""
        if not entry.worth_a_story(ended):
            return entry.told(ended)
        return _in_order([entry, *self._rounds_of(entry.owner)])

    def is_live(self, owner: Any) -> bool:
        """Is something of the owner's, of what shares a log, told as it goes?"""
        return any(each.shares_a_log and each.watchers.get(owner) for each in self.running())

    def make_live(self, owner: Any) -> list[dict[str, Any]]:
        """From now on the owner's rounds are told as they go; returns what they tell so far.

        Beside a gang or a load, which are told so, they must be: a worker that is lost belongs
        behind all that it did before, whoever it did that for.
        """
        rounds = [each for each in self._rounds_of(owner) if not each.watchers.get(owner)]
        for each in rounds:
            each.watchers[owner] = True
        return _in_order(rounds)

    def _rounds_of(self, owner: Any) -> list[JobEntry]:
        return [e for e in self.running() if e.plan.kind == "round" and e.owner == owner]

    def _stands_on(self, entry: JobEntry, dataset: str) -> bool:
        """Is the job a round over this dataset, or over one that was derived from it?"""
        source = entry.plan.source
        while source is not None and source != dataset:
            above = self.entries.get(source)
            source = above.plan.source if above else None
        return source is not None

    def end(self, entry: JobEntry, ended: Ended) -> None:
        """Keep the story of the last jobs; a round leaves nothing, a dataset keeps its cargo."""
        entry.ended = ended
        if entry.plan.kind == "round":
            del self.entries[entry.plan.job]
            return
        if entry.plan.kind == "load":
            return
        entry.inputs, entry.spec = None, Blob(b"")
        self._ended.append(entry.plan.job)
        if len(self._ended) > KEPT_MAX:
            del self.entries[self._ended.popleft()]

    def sweep(self, state: State) -> None:
        """Drop the cargo of datasets that nobody keeps any more."""
        for job_id, entry in list(self.entries.items()):
            if entry.plan.kind == "load" and entry.ended and job_id not in state.jobs:
                del self.entries[job_id]
        owners = {entry.owner for entry in self.entries.values() if entry.plan.kind == "load"}
        for owner in self._between.keys() - owners:
            del self._between[owner]

    def summaries(self, state: State, now: float) -> list[dict[str, Any]]:
        """One line per job for `status`, the running ones with their progress."""
        for job_id, entry in self.entries.items():
            if job := state.jobs.get(job_id):
                entry.summary = _progress(job, now)
            elif entry.ended is not None:
                entry.summary = _outcome(entry)
            if entry.summary and entry.file is not None:
                entry.summary |= {"log": str(entry.file.path), "log_error": entry.file_error}
        return [entry.summary for entry in self.entries.values() if entry.summary]


def _in_order(rounds: Iterable[JobEntry]) -> list[dict[str, Any]]:
    """What they tell so far, together."""
    lines = chain.from_iterable(each.tell_so_far() for each in rounds)
    return sorted(lines, key=itemgetter("t"))


def _progress(job: Job, now: float) -> dict[str, Any]:
    reduce_stage = job.reduce_stage
    return {
        "job": job.plan.job,
        "name": job.plan.name,
        "state": str(job.state),
        "maps_done": job.map_stage.done,
        "maps": job.plan.maps,
        "reduces_done": reduce_stage.done if reduce_stage else 0,
        "reduces": job.plan.reduces,
        "seconds": round(now - job.started_at, 3),
    }


def _outcome(entry: JobEntry) -> dict[str, Any]:
    assert entry.ended is not None
    plan, ended = entry.plan, entry.ended
    state = "succeeded" if ended.ok else "cancelled" if ended.cancelled else "failed"
    first = entry.log.first
    return {
        "job": plan.job,
        "name": plan.name,
        "state": state,
        "maps_done": plan.maps if ended.ok else entry.done[0],
        "maps": plan.maps,
        "reduces_done": plan.reduces if ended.ok else entry.done[1],
        "reduces": plan.reduces,
        # Of a job that had ended before a restart nobody knows any more: the journal has no times.
        "seconds": round(entry.log.last["t"] - first["t"], 3) if first else None,
    }
