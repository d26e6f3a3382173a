"""What a job leaves when it ends: counters, parts, results."""

from typing import Any

from minimr.scheduler.actions import JobEnded
from minimr.scheduler.state import Job
from minimr.scheduler.tables import JobState

RESULT_BYTES_MAX = 1 << 30
"""Of all that is sent along together: it reaches the client in one message."""


def ended(job: Job, error: str, cause: str) -> JobEnded:
    """What the client is told."""
    ok = job.state is JobState.SUCCEEDED
    return JobEnded(
        job=job.plan.job,
        ok=ok,
        cancelled=job.state is JobState.CANCELLED,
        error=error,
        counters=counters(job) if ok else {},
        parts=parts(job) if ok else (),
        results=results(job) if ok and not job.plan.publishes else (),
        done=(job.map_stage.done, job.reduce_stage.done if job.reduce_stage else 0),
        cause=cause,
    )


def parts(job: Job) -> tuple[dict[str, Any], ...]:
    """The descriptions of the part files, in the order of the reduce tasks."""
    outputs = (task.output for task in job.last_stage.tasks)
    return tuple(output.part for output in outputs if output and output.part)


def skipped(job: Job) -> tuple[dict[str, Any], ...]:
    """The records that the winning attempts left out, maps first, in the order of the tasks."""
    stages = (job.map_stage, job.reduce_stage)
    tasks = (task for stage in stages if stage for task in stage.tasks)
    return tuple(each for task in tasks for each in task.skipped)


def results(job: Job) -> tuple[Any, ...]:
    """What reduce tasks or members sent along instead of writing files, in their order."""
    outputs = (task.output for task in job.last_stage.tasks)
    return tuple(output.inline[0] for output in outputs if output and output.inline)


def too_large(job: Job) -> str:
    """Say why the results cannot reach the client; "" if they can."""
    size_bytes = 0 if job.plan.publishes else sum(map(len, results(job)))
    if size_bytes <= RESULT_BYTES_MAX:
        return ""
    return (
        f"its results have {size_bytes:,} bytes together, and {RESULT_BYTES_MAX:,} can travel to "
        "whoever waits for them; yield less"
    )


def counters(job: Job) -> dict[str, int]:
    """The sum over winning attempts only: a failed or repeated attempt counts nothing."""
    totals: dict[str, int] = {}
    for stage in (job.map_stage, job.reduce_stage):
        for task in stage.tasks if stage else ():
            for name, value in task.counters.items():
                totals[name] = totals.get(name, 0) + value
    return totals
