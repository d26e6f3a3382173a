"""Backup tasks: a second attempt for what takes too long near the end of a stage.

One slow machine can double the time of a job: the paper measured 44% more without backups (sections
3.6 and 5.4). Once nothing waits, a timer looks at what still runs. An attempt that has run for much
longer than the others of its stage took gets a rival on another worker; the first to finish wins,
the other is cancelled. Only jobs get them: the tasks of a round must run where their data is.
"""

from minimr.scheduler import events, policy
from minimr.scheduler.actions import SetTimer
from minimr.scheduler.state import Stage, Task
from minimr.scheduler.tables import JobState
from minimr.scheduler.turn import Turn


def look(turn: Turn, event: events.BackupTimer) -> None:
    """The timer fired: queue the rivals that are due, and look again as long as tasks run."""
    job = turn.state.jobs.get(event.job)
    stage = job.stage(event.stage) if job else None
    if job is None or stage is None:
        return
    stage.backups_watched = False
    if stage.complete or stage.ready or job.state is not JobState.RUNNING:
        return  # The next attempt that empties the queue starts the watch again.
    late = [task.index for task in stage.running_tasks() if _is_late(stage, task, turn.now)]
    if late:
        stage.backups.extend(late)
        turn.wake_all()
    stage.backups_watched = True
    turn.emit(SetTimer(turn.now + max(policy.BACKUP_CHECK_S, _next_in_s(stage, turn.now)), event))


def _next_in_s(stage: Stage, now: float) -> float:
    """Until when no attempt becomes late: one that starts from now on is due after all these."""
    if stage.mean_s is None:
        return policy.BACKUP_UNKNOWN_S
    limit_s = policy.backup_after_s(stage.mean_s)
    due = (_due_at(task, limit_s) for task in stage.running_tasks())
    return min((at - now for at in due if at is not None and at > now), default=limit_s)


def _due_at(task: Task, limit_s: float) -> float | None:
    """When the attempt of this task becomes late; None if it waits, or has a rival already."""
    if len(task.running) != 1:
        return None
    (running,) = task.running.values()
    if running.started_at is None:
        return None
    return max(running.started_at + limit_s, task.backup_after)


def _is_late(stage: Stage, task: Task, now: float) -> bool:
    if stage.mean_s is None or task.index in stage.backups:
        return False
    due_at = _due_at(task, policy.backup_after_s(stage.mean_s))
    return due_at is not None and due_at <= now
