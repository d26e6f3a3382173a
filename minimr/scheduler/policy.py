"""Decisions that could be made otherwise, as pure functions of what they look at.

Changing one of these changes how well the system runs, never whether its answer is right.
"""

from collections.abc import Iterable
from math import ceil

from minimr.scheduler.state import Failure, Job, Stage, Task, Worker

LEASE_S = 10.0
HEARTBEAT_S = 1.0
ATTEMPTS_MAX = 4
LOSSES_MAX = 20
SHORT_TASK_S = 0.01
LONG_TASK_S = 0.5
# Failures that say nothing about the task: they are not charged to it, only capped.
UNCHARGED = frozenset({"worker_lost", "fetch", "cancelled"})


def queue_limit(worker: Worker, stage: Stage) -> int:
    """How many attempts a worker may hold, waiting ones included.

    Attempts sent ahead hide the round trip to the coordinator, which matters as much as tasks are
    short. Behind a long task a waiting one would miss the slots that become idle elsewhere, and
    nobody knows how long tasks are before one has ended.
    """
    mean_s = stage.mean_s
    if mean_s is None or mean_s > LONG_TASK_S:
        return worker.slots
    return worker.slots * (16 if mean_s < SHORT_TASK_S else 2)


def fair_order(jobs: Iterable[Job]) -> list[Job]:
    """Fair share: the job that runs least goes first, the older one at a tie."""
    return sorted(jobs, key=lambda job: (job.running, job.order))


def placement_quota(partitions: int, slots: int, slots_total: int) -> int:
    """How many partitions of a dataset one worker should hold: its share of the slots."""
    return ceil(partitions * slots / max(slots_total, 1))


def may_run_on(task: Task, worker: str, workers: dict[str, Worker]) -> bool:
    """A task that failed on a worker is tried elsewhere, if there is an elsewhere."""
    return worker not in task.failed_on or task.failed_on.issuperset(workers)


def gives_up(task: Task, failure: Failure) -> str | None:
    """Why the job must fail now, or None for another attempt.

    The same record failing twice will fail for ever, so the second time is the last.
    """
    if failure.reason in UNCHARGED:
        if task.losses >= LOSSES_MAX:
            return f"{task.name} was lost {task.losses} times; the cluster is not stable enough"
        return None
    if failure.position is not None and task.positions.count(failure.position) >= 2:
        return f"{task.name} failed twice at the same record"
    if task.failures >= ATTEMPTS_MAX:
        return f"{task.name} failed {task.failures} times"
    return None
