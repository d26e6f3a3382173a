"""Invariants 9 and 10: why attempts start, and how many of them there may be.

Work that is done runs again only if its output was lost, and the log says why. A task's failures
are charged to it up to a limit; losses of workers and of their output are not, but they are capped,
so that a cluster that cannot keep a worker gives up instead of trying for ever. A task that takes
long may get one backup attempt (Dean and Ghemawat, OSDI 2004, section 3.6), and whichever attempt
comes second is cancelled.

A restarted coordinator does not remember charges: they count from its start.
"""

from minimr.observe.checks.ledger import (
    DONE,
    LOST,
    RELEASED,
    UNCHARGED,
    Event,
    Job,
    Ledger,
    Task,
    said,
)
from minimr.observe.checks.rules import OLD, PATCHY, Finding, JobRules, Lack, TaskRules

OF_THE_TASK = frozenset({"user", "exit", "died", "system", "disk_full", "stuck"})
LOST_WITH = "worker_lost "
"""So begins the cause of what was lost with a worker; the worker's name follows."""
LOST_BEFORE = "it was lost before"
"""What a restarted coordinator says of each loss that its journal remembers."""
MISSED_BY = "fetch failed in "
"""So begins the cause of what a reduce task did not find; its name follows."""

NO_LIMITS = Lack(f"job_submitted has no attempts_max or losses_max: {OLD}")


# 0: the log makes sense


def is_one_of_its_job(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    total = {"reduce": job.reduces, job.first_stage: job.maps}.get(task.stage, 0)
    if 0 <= task.index < total:
        return None
    return f"{said(event)} starts, but {job.name} has {job.maps} maps and {job.reduces} reduces"


# 9: completed work re-runs only with a logged cause


def is_needed(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    if winner := task.winner:
        if job.patchy and not task.is_reduce:
            return PATCHY
        done = f"{winner} was done (line {winner.line}) and its output was not lost"
        return f"{said(event)} starts, though {done}"
    if job.publishing is not None or (job.ended and job.kind != "load"):
        return f"{said(event)} starts, though every output of {job.name} is there or given up"
    return None


def was_there_to_lose(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """What is lost is the current output, or one that was lost before: a restart says it again."""
    winner, named = task.winner, task.find(event["attempt"])
    if named is not None and named.state == DONE and event.get("cause") == LOST_BEFORE:
        return None
    if winner is not None and winner.number != event["attempt"]:
        return f"the output of {said(event)} is lost, but {task.name}'s is that of {winner}"
    if winner is None and (named is None or named.state != DONE) and not task.job.patchy:
        return f"the output of {said(event)} is lost, but it made none"
    return None


def loss_has_a_cause(event: Event, _task: Task, _ledger: Ledger) -> Finding:
    cause = event.get("cause", "")
    if not cause:
        return f"the output of {said(event)} is lost, and the log does not say why"
    if cause.startswith(LOST_WITH) and cause.removeprefix(LOST_WITH) != event["worker"]:
        return f"the output of {said(event)} is lost, but because of another worker: {cause}"
    return None


def could_be_missed(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """What was made later was not announced to a reducer, so it misses another. One that waits for
    a slot hears what its worker is told with the reduce tasks behind it."""
    cause, winner = event.get("cause", ""), task.winner
    reducer = task.job.tasks.get(cause.removeprefix(MISSED_BY))
    if winner is None or reducer is None or not cause.startswith(MISSED_BY):
        return None
    news = task.job.news
    heard = [max(each.line, news.get(each.worker, 0)) for each in reducer.running()]
    if not heard or winner.line < max(heard):
        return None
    return f"the output of {said(event)} is lost, but {reducer.name} never heard of it"


def goes_with_its_worker(event: Event, task: Task, ledger: Ledger) -> Finding:
    """What a worker held is lost with it, not when somebody looks for it in vain; and a worker
    that was released held nothing."""
    standing, cause = ledger.workers.get(event["worker"]), event.get("cause", "")
    told_late = cause.startswith(MISSED_BY) or (
        standing == RELEASED and cause.startswith(LOST_WITH)
    )
    if task.winner is None or standing not in (LOST, RELEASED) or not told_late:
        return None
    return f"the output of {said(event)} is lost, but that worker was {standing} before"


# 10: attempts stay within the limits


def may_try_again(event: Event, task: Task, _ledger: Ledger) -> Finding:
    job = task.job
    if job.attempts_max is None or job.losses_max is None:
        return NO_LIMITS
    if task.failures >= job.attempts_max:
        return f"{said(event)} starts, though {task.name} failed {task.failures} times already"
    if task.losses >= job.losses_max:
        return f"{said(event)} starts, though {task.name} was lost {task.losses} times already"
    if task.poisoned > job.skip_max:
        return (
            f"{said(event)} starts, though {task.poisoned} of its records cannot be read "
            f"and {job.skip_max} may be skipped"
        )
    return None


def charged_rightly(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """With --skip-bad-records a record that kills its process is skipped instead of charged."""
    reason, charged = event["reason"], event["charged"]
    if charged and reason in UNCHARGED:
        return f"{said(event)} failed for '{reason}', which must not be charged to its task"
    skips = reason == "died" and task.job.skip_max > 0
    if not charged and reason in OF_THE_TASK and not skips:
        return f"{said(event)} failed for '{reason}', and its task was not charged"
    return None


def one_rival(event: Event, task: Task, _ledger: Ledger) -> Finding:
    running = task.running()
    if not running:
        return None
    if len(running) > 1:
        return f"{said(event)} starts, though {running[0]} and {running[1]} run already"
    if not event.get("backup"):
        return f"{said(event)} starts, though {running[0]} runs, and not as its backup"
    if running[0].worker == event["worker"]:
        return f"{said(event)} starts as the backup of {running[0]}, which is there, too"
    return None


def adopted_alone(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """A restarted coordinator gives a task to one of those who come back with it."""
    for rival in task.running():
        return f"{said(event)} is adopted, though {rival} runs"
    return None


def rivals_are_gone(event: Event, job: Job, _ledger: Ledger) -> Finding:
    """When a job ends no attempt of it goes on: each was done, failed, or was cancelled."""
    if not job.told or job.ended:
        return None
    for task in job.tasks.values():
        for attempt in task.running():
            return f"{job.name} says {event['event']}, though {attempt} of {task.name} still runs"
    return None


TASK_RULES: TaskRules = (
    ("attempt_started", 0, is_one_of_its_job),
    ("attempt_started", 9, is_needed),
    ("output_lost", 9, was_there_to_lose),
    ("output_lost", 9, loss_has_a_cause),
    ("output_lost", 9, could_be_missed),
    ("output_lost", 9, goes_with_its_worker),
    ("attempt_started", 10, may_try_again),
    ("attempt_started", 10, one_rival),
    ("attempt_adopted", 10, adopted_alone),
    ("attempt_failed", 10, charged_rightly),
)
JOB_RULES: JobRules = (
    ("job_publishing", 10, rivals_are_gone),
    ("job_done", 10, rivals_are_gone),
    ("job_failed", 10, rivals_are_gone),
    ("job_cancelled", 10, rivals_are_gone),
)
