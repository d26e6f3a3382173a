"""After a crash: the state that the journal remembers, and what to do about it.

`restore` walks through the records with the functions that made them live, so replay and first
run cannot drift apart. `durable` is the part of the state that the journal must reproduce; the
simulator compares the two after every event (invariant 8).
"""

from collections.abc import Iterable
from typing import Any

from minimr.errors import BadRecord
from minimr.scheduler import events, jobs, outcome, policy
from minimr.scheduler.actions import Action, SetTimer
from minimr.scheduler.attempts import accept, done_fields, locate, lose
from minimr.scheduler.dispatch import enqueue
from minimr.scheduler.journal import (
    Committed,
    JobAccepted,
    JobClosed,
    MapAccepted,
    OutputLost,
    Publishing,
    Record,
    WorkerLost,
)
from minimr.scheduler.scheduler import Scheduler
from minimr.scheduler.state import AttemptId, Job, State, Task
from minimr.scheduler.tables import JOB_TABLE, JobState, Step, TaskState, move
from minimr.scheduler.turn import Turn


def restore(records: Iterable[Record], epoch: int, now: float) -> tuple[Scheduler, list[Action]]:
    """The scheduler of the next epoch, and what must be done before anything else.

    Jobs that ended before the crash are announced again, since nobody knows whether their clients
    heard of it. Raises BadRecord for records that cannot follow each other.
    """
    turn = Turn(State(epoch=epoch), now, "restored")
    lost: dict[AttemptId, str] = {}
    for number, record in enumerate(records):
        try:
            if isinstance(record, OutputLost):
                task = _find(turn.state, record.attempt)[1]
                lost[record.attempt] = task.worker or ""
            _replay(turn, record)
        except (KeyError, AssertionError) as error:
            raise BadRecord(
                f"record {number} of the journal ({type(record).__name__}) does not follow from "
                f"those before it: {error}"
            ) from None
    scheduler = Scheduler(turn.state)
    turn.record("coordinator_started", None, epoch=epoch)
    for job in list(turn.state.jobs.values()):
        _tell(turn, job, lost)
        _resume(turn, job)
    turn.state.awaited_until = now + policy.RETURN_S
    turn.emit(SetTimer(turn.state.awaited_until, events.ReturnTimer()))
    return scheduler, scheduler.finish(turn)


def _replay(turn: Turn, record: Record) -> None:
    state = turn.state
    match record:
        case JobAccepted(plan, order):
            state.jobs[plan.job] = Job(plan, order, turn.now, state.first_attempt)
            state.submitted = order + 1
        case MapAccepted(attempt, worker, address, output):
            job, task = _find(state, attempt)
            task.state = TaskState.DONE
            accept(job, task, worker, attempt, output)
            if output.inline is None:
                state.awaited.setdefault(worker, {})[job.plan.job, task.index] = None
                locate(job, task, address)
        case OutputLost(attempt):
            job, task = _find(state, attempt)
            state.awaited.get(task.worker or "", {}).pop((job.plan.job, task.index), None)
            lose(job, task)
        case WorkerLost(worker):
            state.fenced.add(worker)
        case Committed(attempt, worker, output):
            job, task = _find(state, attempt)
            assert task.state is not TaskState.DONE, f"{task.name} is committed twice"
            task.state = TaskState.DONE
            job.read = True
            accept(job, task, worker, attempt, output)
        case Publishing(job_id):
            job = state.jobs[job_id]
            job.state = move(JOB_TABLE, job.state, Step.ALL_COMMITTED)
        case JobClosed(job_id, final, error):
            job = state.jobs[job_id]
            job.state = JobState(final)
            turn.emit(outcome.ended(job, error, turn.cause))
            jobs.forget(turn, job)


def _find(state: State, attempt: AttemptId) -> tuple[Job, Task]:
    job = state.jobs[attempt.job]
    task = job.task(attempt)
    assert task is not None, f"{attempt} is of no task"
    return job, task


def _resume(turn: Turn, job: Job) -> None:
    if job.state is JobState.PUBLISHING:
        turn.record("job_publishing", job)
        turn.emit(jobs.publish(job, turn.cause))
        return
    for stage in (job.map_stage, job.reduce_stage):
        for task in stage.tasks if stage else ():
            if task.state is TaskState.PENDING:
                enqueue(task)
    if job.last_stage.complete:  # The crash came between the last commit and the next record.
        jobs.all_done(turn, job)


def _tell(turn: Turn, job: Job, lost: dict[AttemptId, str]) -> None:
    """An event log that begins here says what was there already, and what was there no more: the
    crash may have come between a record and its line in the log."""
    turn.record("job_restored", job, **jobs.submitted_fields(job.plan), state=str(job.state))
    for attempt, worker in lost.items():
        if attempt.job == job.plan.job and job.map_stage.tasks[attempt.index].winner is None:
            turn.record_attempt("output_lost", attempt, worker, cause="it was lost before")
    for task in _tasks(job):
        if task.winner is not None and task.output is not None:
            fields = done_fields(task.output)
            turn.record_attempt("task_restored", task.winner, task.worker or "", **fields)


def durable(state: State) -> dict[str, Any]:
    """What the journal must reproduce, as plain values that can be compared."""
    return {
        job.plan.job: {
            "plan": (job.plan, job.order),
            "state": str(job.state),
            "skipped": job.skipped,
            "tasks": [_durable(task) for task in _tasks(job)],
        }
        for job in state.jobs.values()
        if job.plan.survives
    }


def _durable(task: Task) -> list[Any]:
    return [task.winner, task.worker, task.digest, task.counters, len(task.skipped)]


def _tasks(job: Job) -> list[Task]:
    return [*job.map_stage.tasks, *(job.reduce_stage.tasks if job.reduce_stage else ())]
