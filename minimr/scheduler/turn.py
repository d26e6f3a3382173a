"""One turn of the scheduler: an event being handled, and all that it leads to.

The parts of the scheduler (workers, attempts, jobs, backups) are functions that take the turn. They
change `state` and leave here what the world must do about it.
"""

from dataclasses import dataclass, field
from typing import Any

from minimr.scheduler.actions import Action, Record
from minimr.scheduler.journal import Record as JournalRecord
from minimr.scheduler.state import AttemptId, Job, State


@dataclass(slots=True)
class Turn:
    state: State
    now: float
    cause: str
    actions: list[Action] = field(default_factory=list)
    journal: list[JournalRecord] = field(default_factory=list)
    # The workers that may take more work now: by name, or all of them.
    woken: dict[str, None] = field(default_factory=dict)
    all_woken: bool = False

    def emit(self, action: Action) -> None:
        self.actions.append(action)

    def write(self, job: Job, record: JournalRecord) -> None:
        """Into the journal, if this job is one that survives a restart."""
        if job.plan.survives:
            self.journal.append(record)

    def record(self, event: str, job: Job | None, **fields: Any) -> None:
        """Into the event log."""
        self.actions.append(Record(event, job.plan.job if job else None, fields))

    def record_attempt(self, event: str, attempt: AttemptId, worker: str, **fields: Any) -> None:
        line = attempt_fields(attempt, worker)
        line.update(fields)
        self.actions.append(Record(event, attempt.job, line))

    def wake(self, worker: str) -> None:
        self.woken[worker] = None

    def wake_all(self) -> None:
        self.all_woken = True


def attempt_fields(attempt: AttemptId, worker: str) -> dict[str, Any]:
    """What every log line about an attempt says."""
    return {
        "task": attempt.task,
        "stage": attempt.stage,
        "index": attempt.index,
        "attempt": attempt.number,
        "worker": worker,
    }
