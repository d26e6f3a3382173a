"""Invariants 2 and 3: one commit per task, from an attempt that had the right to commit.

`rename` cannot arbitrate: the last one wins. So the first accepted completion of a reduce task is
its commit, and everything after it is refused. Spark's history shows how this goes wrong: no
arbiter (SPARK-4879), a failure that clears the winner's lock (SPARK-6614), an attempt that had
failed before it commits (SPARK-19631), two commits under keys that differ (SPARK-24589), another
answer to the same question (SPARK-18113).
"""

from collections.abc import Iterator
from itertools import islice

from minimr.observe.checks.ledger import (
    ALIVE,
    DONE,
    FAILED,
    RUNNING,
    Attempt,
    Event,
    Job,
    Ledger,
    Task,
    said,
)
from minimr.observe.checks.rules import PATCHY, Finding, JobRules, TaskRules

NAMED_MAX = 3


def number_is_new(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """Attempts name files: two with one number would write into one file."""
    if before := task.find(event["attempt"]):
        return f"{said(event)} starts, but {before} has the same number (line {before.line})"
    return None


def done_once(event: Event, task: Task, _ledger: Ledger) -> Finding:
    if winner := task.winner:
        return f"{said(event)} is done, though {winner} was before (line {winner.line})"
    return None


def committed_once(event: Event, task: Task, _ledger: Ledger) -> Finding:
    if not task.is_reduce:
        return f"{said(event)} commits, but only reduce tasks do"
    if winner := task.committed:
        return f"{said(event)} commits, though {winner} had committed (line {winner.line})"
    return None


def same_answer(event: Event, task: Task, _ledger: Ledger) -> Finding:
    if task.committed and task.committed.number == event["attempt"]:
        return f"{said(event)} is refused the commit that it was granted before"
    return None


def not_replaced(event: Event, task: Task, _ledger: Ledger) -> Finding:
    if task.is_reduce and task.winner:
        return f"the output of {said(event)} is given up, but a reduce task's output is final"
    return None


def complete(event: Event, job: Job, _ledger: Ledger) -> Finding:
    """A job that is done has each of its outputs."""
    if job.needs_commits():
        done, total, what = job.commits, job.reduces, "commits"
    elif job.reduces:
        done, total, what = job.reduces_done, job.reduces, "finished reduce tasks"
    else:
        done, total, what = job.maps_done, job.maps, "finished tasks"
    if done == total:
        return None
    if job.patchy:
        return PATCHY
    missing = ", ".join(islice(_missing(job), NAMED_MAX)) or "none"
    return f"{job.name} says {event['event']} with {done} {what} of {total}; missing: {missing}"


def _missing(job: Job) -> Iterator[str]:
    stage = "reduce" if job.reduces else job.first_stage
    for index in range(job.reduces or job.maps):
        name = f"{stage}-{index}"
        if not _is_complete(job, job.tasks.get(name)):
            yield name


def _is_complete(job: Job, task: Task | None) -> bool:
    if task is None:
        return False
    return (task.committed if job.needs_commits() else task.winner) is not None


def had_the_right(event: Event, task: Task, ledger: Ledger) -> Finding:
    """A commit's attempt was started or adopted on this worker, and the worker is alive."""
    attempt = task.find(event["attempt"])
    standing = ledger.workers.get(event["worker"], "unknown")
    if attempt is None:
        return f"{said(event)} commits, but it was never started"
    if problem := _has_no_right(event, task, attempt):
        return f"{said(event)} commits, but {problem}"
    if standing != ALIVE:
        return f"{said(event)} commits, but that worker is {standing}"
    return None


def _has_no_right(event: Event, task: Task, attempt: Attempt) -> str | None:
    if attempt.worker != event["worker"]:
        return f"it was started on {attempt.worker}"
    if attempt.state == RUNNING or (attempt.state == DONE and attempt is task.winner):
        return None
    return f"it was {attempt.state} (line {attempt.line})"


def adopted_rightly(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """What was started before a restart goes on where it was started, unless it had failed."""
    attempt = task.find(event["attempt"])
    if attempt is None:
        return None  # The crash may have come before the line that says that it was started.
    if attempt.worker != event["worker"]:
        return f"{said(event)} is adopted, but it was started on {attempt.worker}"
    if attempt.state == FAILED:
        return f"{said(event)} is adopted, but it had failed (line {attempt.line})"
    return None


TASK_RULES: TaskRules = (
    ("attempt_started", 2, number_is_new),
    ("attempt_done", 2, done_once),
    ("commit_granted", 2, committed_once),
    ("commit_denied", 2, same_answer),
    ("output_lost", 2, not_replaced),
    ("commit_granted", 3, had_the_right),
    ("attempt_adopted", 3, adopted_rightly),
)
JOB_RULES: JobRules = (("job_publishing", 7, complete), ("job_done", 2, complete))
