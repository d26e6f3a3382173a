"""Attempts that run: which worker has them, since when, and how one is taken off its list."""

from itertools import islice

from minimr.scheduler.actions import CancelAttempt
from minimr.scheduler.state import NOT_RUNNING, AttemptId, Job, Running, Stage, Task, Worker
from minimr.scheduler.turn import Turn


def enter(turn: Turn, task: Task, worker: Worker, attempt: AttemptId, backup: bool) -> None:
    """This attempt is with this worker from now on."""
    job = task.stage.job
    running = Running(worker.name, backup=backup, skips=len(task.skip))
    worker.attempts[attempt] = running
    task.running = {**task.running, attempt: running}
    task.stage.active[task.index] = None
    job.running += 1
    job.workers.add(worker.name)
    _count(worker, task.stage, 1)
    _start_clocks(turn, worker)


def release(turn: Turn, task: Task, attempt: AttemptId) -> str:
    """This attempt runs no more. Returns the worker that ran it, which may be gone."""
    name = task.running.pop(attempt).worker
    if not task.running:
        task.running = NOT_RUNNING
        del task.stage.active[task.index]
    task.stage.job.running -= 1
    if worker := turn.state.workers.get(name):
        worker.attempts.pop(attempt, None)
        _count(worker, task.stage, -1)
        _start_clocks(turn, worker)
        turn.wake(name)
    return name


def _count(worker: Worker, stage: Stage, change: int) -> None:
    """Keep count of what the worker's attempts are of."""
    if stage.job.gang is not None:
        worker.members += change
    elif left := worker.stages.get(stage, 0) + change:
        worker.stages[stage] = left
    else:
        del worker.stages[stage]


def _start_clocks(turn: Turn, worker: Worker) -> None:
    """An attempt that waits behind others does not run yet, and is not slow."""
    for running in islice(worker.attempts.values(), worker.slots):
        if running.started_at is None:
            running.started_at = turn.now


def cancel(turn: Turn, task: Task, attempt: AttemptId) -> None:
    """Nobody needs this attempt any more."""
    name = release(turn, task, attempt)
    if name in turn.state.workers:
        turn.emit(CancelAttempt(name, attempt, turn.cause))
        turn.record_attempt("attempt_cancelled", attempt, name, cause=turn.cause)


def stop_attempts(turn: Turn, job: Job) -> None:
    for stage in (job.map_stage, job.reduce_stage):
        for task in stage.tasks if stage else ():
            for attempt in list(task.running):
                cancel(turn, task, attempt)
    turn.wake_all()
