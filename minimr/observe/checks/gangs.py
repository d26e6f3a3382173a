"""Invariant 14: the members of a gang run together.

All of them start in one moment, or none does; when they are told of each other, all run, at the
addresses that they gave; and with restart="all" none goes on when another was lost. (That there
are never two of one rank is invariant 10: an attempt that is no backup starts alone.)
"""

from collections.abc import Iterator

from minimr.observe.checks.ledger import RUNNING, Attempt, Event, Job, Ledger, Task, said
from minimr.observe.checks.rules import Finding, JobRules, TaskRules


def starts_anew(event: Event, job: Job, _ledger: Ledger) -> Finding:
    """When a gang starts, nobody of the time before still runs."""
    for attempt in _running(job):
        return f"{job.name} starts as a gang, though {attempt} runs already"
    if event["members"] != job.maps:
        return f"{job.name} starts with {event['members']} members of {job.maps}"
    return None


def starts_with_all(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """A member of a gang that restarts as a whole starts with the others, and once."""
    job = task.job
    if task.stage != "gang" or job.restart != "all":
        return None
    if job.gang_line == 0:
        return f"{said(event)} starts, but its gang has not"
    if task.attempts and task.attempts[-1].line > job.gang_line:
        return f"{said(event)} starts a second time since its gang did (line {job.gang_line})"
    return None


def all_have_started(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """By the time that one of them says something, all of them have been started."""
    job = task.job
    if task.stage != "gang":
        return None
    for index in range(job.maps):
        other = job.tasks.get(f"gang-{index}")
        if other is None or not other.attempts or other.attempts[-1].line < job.gang_line:
            return f"{said(event)} runs, but gang-{index} was not started with it"
    return None


def meets_the_living(event: Event, job: Job, _ledger: Ledger) -> Finding:
    """Members are told of attempts that run, each at the address that it gave."""
    if len(event["attempts"]) != job.maps:
        return f"{job.name} has formed with {len(event['attempts'])} members of {job.maps}"
    for index in range(job.maps):
        attempt = _find(job, index, event["attempts"][index])
        if attempt is None or attempt.state != RUNNING:
            state = "was never started" if attempt is None else f"is {attempt.state}"
            number = event["attempts"][index]
            return f"{job.name} has formed with attempt {number} of gang-{index}, which {state}"
        if attempt.address != event["addresses"][index]:
            told = event["addresses"][index]
            return f"{job.name} has formed with gang-{index} at {told}, not at {attempt.address}"
    return None


def met_before(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """A member ends well only after it has met the others."""
    if task.stage != "gang":
        return None
    attempt = task.find(event["attempt"])
    if attempt is None or not attempt.met:
        return f"{said(event)} is done, but it never met the others"
    return None


def _find(job: Job, index: int, number: int) -> Attempt | None:
    task = job.tasks.get(f"gang-{index}")
    return task.find(number) if task else None


def _running(job: Job) -> Iterator[Attempt]:
    for task in job.tasks.values():
        yield from task.running()


TASK_RULES: TaskRules = (
    ("attempt_started", 14, starts_with_all),
    ("member_ready", 14, all_have_started),
    ("attempt_done", 14, all_have_started),
    ("attempt_done", 14, met_before),
)
JOB_RULES: JobRules = (
    ("gang_started", 14, starts_anew),
    ("gang_formed", 14, meets_the_living),
)
