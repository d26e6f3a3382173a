"""What the coordinator keeps about jobs beside the scheduler's state: cargo, watchers, logs."""

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from minimr.cluster.messages import Ended, Submit
from minimr.cluster.wire import Blob
from minimr.scheduler.state import Job, JobPlan, State

KEPT_MAX = 100
LOG_LINES_MAX = 200_000
NAMES = {"job": "job", "round": "round", "load": "data"}


@dataclass(eq=False, slots=True)
class JobEntry:
    plan: JobPlan
    code: str
    spec: Blob
    inputs: list[Blob | None]
    output: dict[str, Any] | None
    # Who watches, and whether they want the event log as it grows.
    watchers: dict[Any, bool] = field(default_factory=dict)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LINES_MAX))
    ended: Ended | None = None
    blamed: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    def is_followed(self) -> bool:
        """Does anybody want this job's events? Rounds are many and short, and keep no log."""
        return self.plan.kind != "round" or any(self.watchers.values())

    def note(self, line: dict[str, Any]) -> None:
        """Keep a log line. Those of rounds go to the watchers only."""
        if self.plan.kind != "round":
            self.log.append(line)


class JobBook:
    """Every job that runs, and the last ones that ended."""

    def __init__(self) -> None:
        self.entries: dict[str, JobEntry] = {}
        self._numbers = count(1)
        self._ended: deque[str] = deque()

    def add(self, message: Submit) -> JobEntry:
        prefix = NAMES.get(message.kind, "job")
        plan = JobPlan(
            f"{prefix}-{next(self._numbers)}",
            message.name,
            message.kind,
            message.maps,
            message.reduces,
            message.source,
            message.output is not None,
        )
        inputs: list[Blob | None] = [*message.inputs] or [None] * plan.maps
        entry = JobEntry(plan, message.code, message.spec, inputs, message.output)
        self.entries[plan.job] = entry
        return entry

    def blame(self, job: str, text: str) -> None:
        """The reason for which this job is about to be cancelled is this, not the user."""
        if entry := self.entries.get(job):
            entry.blamed = text

    def running(self) -> list[JobEntry]:
        return [entry for entry in self.entries.values() if entry.ended is None]

    def end(self, entry: JobEntry, ended: Ended) -> None:
        """Keep the story of the last jobs; a round leaves nothing, a dataset keeps its cargo."""
        entry.ended = ended
        if entry.plan.kind == "round":
            del self.entries[entry.plan.job]
            return
        if entry.plan.kind == "load":
            return
        entry.inputs, entry.spec = [], Blob(b"")
        self._ended.append(entry.plan.job)
        if len(self._ended) > KEPT_MAX:
            del self.entries[self._ended.popleft()]

    def sweep(self, state: State) -> None:
        """Drop the cargo of datasets that nobody keeps any more."""
        for job_id, entry in list(self.entries.items()):
            if entry.plan.kind == "load" and entry.ended and job_id not in state.jobs:
                del self.entries[job_id]

    def summaries(self, state: State, now: float) -> list[dict[str, Any]]:
        """One line per job for `status`, the running ones with their progress."""
        for job_id, entry in self.entries.items():
            if job := state.jobs.get(job_id):
                entry.summary = _progress(job, now)
            elif entry.ended is not None:
                entry.summary = _outcome(entry)
        return [entry.summary for entry in self.entries.values() if entry.summary]


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
    times = [line["t"] for line in entry.log if line["event"].startswith("job_")]
    return {
        "job": plan.job,
        "name": plan.name,
        "state": state,
        "maps_done": plan.maps if ended.ok else entry.summary.get("maps_done", 0),
        "maps": plan.maps,
        "reduces_done": plan.reduces if ended.ok else entry.summary.get("reduces_done", 0),
        "reduces": plan.reduces,
        "seconds": round(times[-1] - times[0], 3) if len(times) > 1 else 0.0,
    }
