"""A job's life: accepted, all committed, published, ended, forgotten."""

from typing import Any

from minimr.counters import too_much
from minimr.scheduler import events, outcome, policy
from minimr.scheduler.actions import ForgetJob, Publish
from minimr.scheduler.dispatch import enqueue
from minimr.scheduler.journal import JobAccepted, JobClosed, Publishing
from minimr.scheduler.running import stop_attempts
from minimr.scheduler.state import Job, JobPlan
from minimr.scheduler.tables import ENDED, JOB_TABLE, JobState, Step, move
from minimr.scheduler.turn import Turn


def submitted(turn: Turn, event: events.JobSubmitted) -> None:
    plan, state = event.plan, turn.state
    job = Job(plan, state.submitted, turn.now, state.first_attempt)
    state.submitted += 1
    state.jobs[plan.job] = job
    if job.gang is not None:
        state.gangs[plan.job] = job
    turn.write(job, JobAccepted(plan, job.order))
    turn.record("job_submitted", job, **submitted_fields(plan))
    if plan.source is not None:
        source = state.jobs.get(plan.source)
        if source is None or source.state is JobState.FAILED or source.dropped:
            fail(turn, job, f"dataset {plan.source} is closed or failed; load it again")
            return
        job.source = source
        source.dependents[plan.job] = job
    for stage in (job.map_stage, job.reduce_stage):
        for task in stage.tasks if stage else ():
            enqueue(task)
    turn.wake_all()


def submitted_fields(plan: JobPlan) -> dict[str, Any]:
    """What the event log says of a job that begins."""
    gang = {"restart": plan.restart} if plan.restart else {}
    return gang | {
        "name": plan.name,
        "kind": plan.kind,
        "maps": plan.maps,
        "reduces": plan.reduces,
        "source": plan.source,
        "publishes": plan.publishes,
        "skip_max": plan.skip_max,
        "attempts_max": policy.ATTEMPTS_MAX,
        "losses_max": policy.LOSSES_MAX,
    }


def all_done(turn: Turn, job: Job) -> None:
    """Every task of the last stage is done: the job is, or its files are to be made visible."""
    if why := too_much(outcome.counters(job)) or outcome.too_large(job):
        fail(turn, job, why)
        return
    stop_attempts(turn, job)  # Maps that run again for a reducer that managed without.
    if not job.plan.publishes:
        job.state = move(JOB_TABLE, job.state, Step.SUCCEEDED)
        end(turn, job, "")
        return
    job.state = move(JOB_TABLE, job.state, Step.ALL_COMMITTED)
    turn.write(job, Publishing(job.plan.job))
    turn.record("job_publishing", job)
    turn.emit(publish(job, turn.cause))


def publish(job: Job, cause: str) -> Publish:
    winners = tuple(task.winner for task in job.last_stage.tasks if task.winner)
    return Publish(
        job.plan.job,
        winners,
        outcome.parts(job),
        outcome.counters(job),
        outcome.skipped(job),
        cause,
    )


def published(turn: Turn, event: events.Published) -> None:
    job = turn.state.jobs.get(event.job)
    if job is None or job.state is not JobState.PUBLISHING:
        return
    if event.error is not None:
        job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
    else:
        job.state = move(JOB_TABLE, job.state, Step.PUBLISHED)
        turn.record("job_published", job)
    end(turn, job, event.error or "")


def cancel_requested(turn: Turn, event: events.CancelRequested) -> None:
    job = turn.state.jobs.get(event.job)
    if job is not None and job.state is JobState.RUNNING:
        job.state = move(JOB_TABLE, job.state, Step.CANCELLED)
        stop_attempts(turn, job)
        for dependent in list(job.dependents.values()):
            fail(turn, dependent, f"its dataset {job.plan.job} was cancelled")
        end(turn, job, "cancelled")


def fail(turn: Turn, job: Job, error: str) -> None:
    if job.state in ENDED:
        return
    job.state = move(JOB_TABLE, job.state, Step.GAVE_UP)
    stop_attempts(turn, job)
    for dependent in list(job.dependents.values()):
        fail(turn, dependent, f"its dataset cannot be rebuilt: {error}")
    end(turn, job, error)


def end(turn: Turn, job: Job, error: str) -> None:
    """Tell the client once; keep a loaded dataset, forget everything else."""
    if not job.announced:
        job.announced = True
        turn.write(job, JobClosed(job.plan.job, str(job.state), error))
        _record_end(turn, job, error)
        turn.emit(outcome.ended(job, error, turn.cause))
    if not (job.plan.kind == "load" and job.state is JobState.SUCCEEDED):
        forget(turn, job)


def _record_end(turn: Turn, job: Job, error: str) -> None:
    if job.state is JobState.SUCCEEDED:
        seconds = round(turn.now - job.started_at, 6)
        totals = outcome.counters(job)
        turn.record("job_done", job, counters=totals, seconds=seconds, skipped=job.skipped)
    elif job.state is JobState.CANCELLED:
        turn.record("job_cancelled", job)
    else:
        turn.record("job_failed", job, error=error)


def dataset_dropped(turn: Turn, event: events.DatasetDropped) -> None:
    job = turn.state.jobs.get(event.job)
    if job is not None and job.plan.kind == "load":
        job.dropped = True
        _forget_dropped(turn, job)


def _forget_dropped(turn: Turn, job: Job) -> None:
    """A dataset stays while another is derived from it: rebuilding that one needs this."""
    if job.dropped and not job.dependents:
        stop_attempts(turn, job)
        forget(turn, job)


def forget(turn: Turn, job: Job) -> None:
    job_id, workers = job.plan.job, turn.state.workers
    turn.state.jobs.pop(job_id, None)
    turn.state.gangs.pop(job_id, None)
    for holds in turn.state.awaited.values():
        for key in [key for key in holds if key[0] == job_id]:
            del holds[key]
    for task in job.map_stage.tasks:
        if task.worker and (worker := workers.get(task.worker)):
            worker.holds.pop((job_id, task.index), None)
    for name in sorted(job.workers):
        if name in workers:
            turn.emit(ForgetJob(name, job_id, turn.cause))
            turn.wake(name)  # One that drains may be free to go.
    if job.source is not None:
        job.source.dependents.pop(job_id, None)
        _forget_dropped(turn, job.source)
