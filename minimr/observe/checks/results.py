"""Invariants 1 and 6: the output and the counters are those of the sequential run.

The log of a run cannot know what another run would have given. So the caller says it: an oracle
names for each job the facts of the parts that the sequential run writes. For a real run the
manifest of its published output can stand in, which at least says that what was committed is what
can be read (`minimr.observe.checks.published`).
"""

from collections.abc import Iterator

from minimr.observe.checks.ledger import Event, Job, Ledger, Task, said
from minimr.observe.checks.rules import (
    OLD,
    PATCHY,
    ClosingRules,
    Finding,
    JobRules,
    Lack,
    TaskRules,
)

FACTS = ("records", "bytes", "sha256")
NO_ORACLE = Lack("there is nothing to compare with: neither an oracle nor a published output")
NO_FACTS = Lack("commits and oracle have no fact in common that could be compared")
NO_COUNTERS = Lack(f"attempt_done has no counters: {OLD}")


# 1: output bytes equal the sequential run's


def is_as_expected(event: Event, task: Task, ledger: Ledger) -> Finding:
    expected = ledger.oracle.get(task.job.name)
    if expected is None:
        return None
    if task.index >= len(expected.parts):
        return f"{said(event)} commits, but there should be {len(expected.parts)} parts"
    part = expected.parts[task.index]
    common = [name for name in FACTS if name in part and name in event]
    if not common:
        return NO_FACTS
    for name in common:
        if part[name] != event[name]:
            return f"{said(event)} commits {name} {event[name]}, and {part[name]} is right"
    return None


def has_every_part(_event: Event, job: Job, ledger: Ledger) -> Finding:
    expected = ledger.oracle.get(job.name)
    if expected is None or job.patchy or job.commits == len(expected.parts):
        return None
    return f"{job.name} is done with {job.commits} parts, and {len(expected.parts)} are right"


def has_an_oracle(ledger: Ledger) -> Iterator[str | Lack]:
    """Every job that made parts needs one, or the invariant is not judged."""
    done = [job for job in ledger.jobs.values() if job.ended == "job_done" and job.needs_commits()]
    if not ledger.oracle or any(job.name not in ledger.oracle for job in done):
        yield NO_ORACLE


# 6: counters equal the sum over winning attempts only


def counters_add_up(event: Event, job: Job, _ledger: Ledger) -> Finding:
    totals: dict[str, int] = {}
    for task in job.tasks.values():
        if task.made and task.counters is None:
            return NO_COUNTERS
        for name, count in (task.counters or {}).items():
            totals[name] = totals.get(name, 0) + count
    if job.patchy and totals != event["counters"]:
        return PATCHY
    return _differ(job, totals, event["counters"], "the sum over the winning attempts is")


def counters_are_as_expected(event: Event, job: Job, ledger: Ledger) -> Finding:
    expected = ledger.oracle.get(job.name)
    if expected is None or expected.counters is None:
        return None
    return _differ(job, expected.counters, event["counters"], "the output's own are")


def _differ(job: Job, right: object, found: object, what: str) -> str | None:
    return None if right == found else f"{job.name} has counters {found}, but {what} {right}"


def skipped_add_up(event: Event, job: Job, _ledger: Ledger) -> Finding:
    if job.patchy or not job.told:
        return None
    skipped = sum(task.skipped for task in job.tasks.values())
    found = event.get("skipped", 0)
    if found != skipped:
        return f"{job.name} skipped {found} records, but its winning attempts skipped {skipped}"
    if skipped > job.skip_max:
        return f"{job.name} is done with {skipped} records skipped, and {job.skip_max} are allowed"
    return None


TASK_RULES: TaskRules = (("commit_granted", 1, is_as_expected),)
JOB_RULES: JobRules = (
    ("job_done", 1, has_every_part),
    ("job_done", 6, counters_add_up),
    ("job_done", 6, counters_are_as_expected),
    ("job_done", 6, skipped_add_up),
)
CLOSING_RULES: ClosingRules = ((1, has_an_oracle),)
