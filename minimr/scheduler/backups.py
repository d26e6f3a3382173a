"""Backup tasks: a second attempt for what takes too long near the end of a stage.

One slow machine can double the time of a job: the paper measured 44% more without backups (sections
3.6 and 5.4). Once nothing waits, a timer looks at what still runs. An attempt that has run for much
longer than the others of its stage took gets a rival on another worker; the first to finish wins,
the other is cancelled. Only jobs get them: the tasks of a round must run where their data is.
"""

from minimr.scheduler import events, policy
from minimr.scheduler.actions import SetTimer
from minimr.scheduler.state import Stage, Task
from minimr.scheduler.tables import JobState, TaskState
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
    late = [task.index for task in stage.tasks if _is_late(stage, task, turn.now)]
    if late:
        stage.backups.extend(late)
        turn.wake_all()
    stage.backups_watched = True
    turn.emit(SetTimer(turn.now + max(policy.BACKUP_CHECK_S, _next_in_s(stage, turn.now)), event))


def _next_in_s(stage: Stage, now: float) -> float:
    """Until when no attempt that runs now becomes late; at most an eighth of a task's time, since
    others may begin."""
    if stage.mean_s is None:
        return 0.0
    limit_s = policy.backup_after_s(stage.mean_s)
    due = [
        each.started_at + limit_s - now
        for task in stage.tasks
        for each in task.running.values()
        if each.started_at is not None and len(task.running) == 1
    ]
    return min([stage.mean_s / 8, *(each for each in due if each > 0)])


def _is_late(stage: Stage, task: Task, now: float) -> bool:
    if task.state is not TaskState.RUNNING or len(task.running) != 1 or stage.mean_s is None:
        return False
    (running,) = task.running.values()
    if running.started_at is None or task.index in stage.backups:
        return False
    return now - running.started_at > policy.backup_after_s(stage.mean_s)
