"""Invariants 7 and 12: a job's output appears at once, and a job has exactly one end.

Before a job publishes there is nothing at the place of its output, afterwards everything is there.
In the log: all commits, then job_publishing, then the rename, then job_published, then job_done. A
coordinator that crashed between two of these steps takes the unfinished step again when it is back,
so each may come once per epoch.
"""

from collections.abc import Iterator

from minimr.observe.checks.ledger import Event, Job, Ledger, Task, said
from minimr.observe.checks.rules import (
    OLD,
    ClosingRules,
    Finding,
    JobRules,
    Lack,
    OtherRules,
    TaskRules,
)

NO_STEPS = Lack(f"there is no job_publishing and no job_published: {OLD}")
CUT_OFF = Lack("the log was cut off before all of its jobs ended")
UNCLEAR = Lack("a job has no end after a restart, and the log does not say what was remembered")


# 7: nothing is visible before the job commits, everything is after


def not_too_late(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    if job.ended:
        return f"{said(event)} commits after {job.name} had its end ({job.ended})"
    if job.publishing is not None:
        return f"{said(event)} commits after {job.name} began to publish"
    return None


def begins_to_publish_once(_event: Event, job: Job, ledger: Ledger) -> Finding:
    if job.ended:
        return f"{job.name} publishes after its end ({job.ended})"
    if not job.publishes:
        return f"{job.name} publishes, but it has no output to publish"
    if job.publishing == ledger.epoch:
        return f"{job.name} begins to publish a second time"
    return None


def published_once(_event: Event, job: Job, ledger: Ledger) -> Finding:
    if job.publishing is None:
        return f"{job.name} is published, but it did not say before that it would be"
    if job.published == ledger.epoch:
        return f"{job.name} is published a second time"
    if job.ended and job.ended_epoch == ledger.epoch:
        return f"{job.name} is published after its end ({job.ended})"
    return None


def published_before_done(_event: Event, job: Job, _ledger: Ledger) -> Finding:
    if not job.publishes or job.published is not None:
        return None
    if not job.told and job.publishing is None:
        return NO_STEPS
    return f"{job.name} is done, but its output was not published"


def not_published(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if job.published is not None and not job.ended:
        return f"{job.name} says {event['event']}, though its output is published"
    return None


# 12: a job ends in success or in a named failure


def submitted_once(event: Event, ledger: Ledger, _: Ledger) -> Finding:
    if before := ledger.jobs.get(event["job"]):
        return f"{before.name} is submitted a second time (first in line {before.line})"
    return None


def ends_once(event: Event, job: Job, ledger: Ledger) -> Finding:
    """After a restart a job that has ended may say so again, in case nobody had heard it."""
    if job.ended is None:
        return None
    if job.ended == event["event"] and job.ended_epoch < ledger.epoch:
        return None
    return f"{job.name} says {event['event']}, but it had its end ({job.ended})"


def ends_in_time(event: Event, job: Job, ledger: Ledger) -> Finding:
    seconds = event["t"] - job.submitted_t
    if ledger.bound_s is None or seconds <= ledger.bound_s:
        return None
    return f"{job.name} took {seconds:.3f} s, and its bound is {ledger.bound_s:.3f} s"


def failure_has_a_name(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if not event["error"].strip():
        return f"{job.name} failed without saying why"
    return None


def every_job_ends(ledger: Ledger) -> Iterator[str | Lack]:
    """In time, if there is a bound: then a log that is cut off excuses nothing."""
    for job in ledger.jobs.values():
        if job.ended is not None:
            continue
        if ledger.bound_s is not None:
            yield f"{job.name} has not ended within its bound of {ledger.bound_s:.3f} s"
        elif ledger.cut:
            yield CUT_OFF
        elif job.patchy:
            yield UNCLEAR
        else:
            yield f"{job.name} was submitted in line {job.line} and has no end"


TASK_RULES: TaskRules = (("commit_granted", 7, not_too_late),)
JOB_RULES: JobRules = (
    ("job_publishing", 7, begins_to_publish_once),
    ("job_published", 7, published_once),
    ("job_done", 7, published_before_done),
    ("job_failed", 7, not_published),
    ("job_cancelled", 7, not_published),
    ("job_done", 12, ends_once),
    ("job_failed", 12, ends_once),
    ("job_cancelled", 12, ends_once),
    ("job_done", 12, ends_in_time),
    ("job_failed", 12, ends_in_time),
    ("job_cancelled", 12, ends_in_time),
    ("job_failed", 12, failure_has_a_name),
)
OTHER_RULES: OtherRules = (("job_submitted", 12, submitted_once),)
CLOSING_RULES: ClosingRules = ((12, every_job_ends),)
