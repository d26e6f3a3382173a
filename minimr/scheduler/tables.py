"""The life of a job, a task and a worker, as tables of transitions.

A MapReduce master keeps "the state (idle, in-progress, or completed)" of each task (Dean and
Ghemawat, OSDI 2004, section 3.2). Everything it ever does is a walk through such a table, so the
tables come before the code: a pair that is missing is a bug, and `move` says so at once.

The step that surprises at first is (DONE, OUTPUT_LOST) -> PENDING. Map output stays on the disk of
the worker that made it, so a map task that was done is done no longer when that worker dies before
every reducer has fetched it (section 3.3). A committed reduce task never goes back.
"""

from enum import StrEnum
from typing import TypeVar


class TaskState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobState(StrEnum):
    RUNNING = "running"
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What moves a task or a job from one state to the next."""

    ASSIGNED = "assigned"
    SUCCEEDED = "succeeded"
    ATTEMPT_OVER = "attempt over"
    GAVE_UP = "gave up"
    OUTPUT_LOST = "output lost"
    ALL_COMMITTED = "all committed"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


TASK_TABLE = {
    (TaskState.PENDING, Step.ASSIGNED): TaskState.RUNNING,
    # A backup attempt beside one that takes too long (section 3.6).
    (TaskState.RUNNING, Step.ASSIGNED): TaskState.RUNNING,
    (TaskState.RUNNING, Step.SUCCEEDED): TaskState.DONE,
    (TaskState.RUNNING, Step.ATTEMPT_OVER): TaskState.PENDING,
    (TaskState.RUNNING, Step.GAVE_UP): TaskState.FAILED,
    (TaskState.DONE, Step.OUTPUT_LOST): TaskState.PENDING,
}

JOB_TABLE = {
    (JobState.RUNNING, Step.ALL_COMMITTED): JobState.PUBLISHING,
    (JobState.RUNNING, Step.SUCCEEDED): JobState.SUCCEEDED,
    (JobState.RUNNING, Step.GAVE_UP): JobState.FAILED,
    (JobState.RUNNING, Step.CANCELLED): JobState.CANCELLED,
    (JobState.PUBLISHING, Step.PUBLISHED): JobState.SUCCEEDED,
    (JobState.PUBLISHING, Step.GAVE_UP): JobState.FAILED,
    # A dataset that lost a partition is rebuilt: its load job runs again.
    (JobState.SUCCEEDED, Step.OUTPUT_LOST): JobState.RUNNING,
}

ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

State = TypeVar("State", TaskState, JobState)


class InvalidTransition(AssertionError):
    """The scheduler tried a step that its table does not have: a bug, never a user's mistake."""


def move(table: dict[tuple[State, Step], State], state: State, step: Step) -> State:
    """The state after `step`."""
    try:
        return table[state, step]
    except KeyError:
        raise InvalidTransition(f"no step '{step}' from state '{state}'") from None
