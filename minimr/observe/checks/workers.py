"""Invariant 11: messages of old epochs, and of workers that were given up, change nothing.

A worker that loses its lease may still be alive on the other side of a broken network, and may say
later that it has finished. By then its tasks run elsewhere. What protects them is a fence: a name
that was given up never comes back, and what it says is ignored. So every change in the log comes
from an attempt that runs, on a worker that is one of ours at that moment.
"""

from minimr.observe.checks.ledger import (
    ALIVE,
    LOST,
    RELEASED,
    RUNNING,
    Event,
    Ledger,
    Task,
    said,
)
from minimr.observe.checks.rules import Finding, OtherRules, TaskRules


def comes_from_a_running_attempt(event: Event, task: Task, _ledger: Ledger) -> Finding:
    attempt = task.find(event["attempt"])
    what = event["event"].removeprefix("attempt_")
    if attempt is None:
        return f"{said(event)} is {what}, but it was never started"
    if attempt.worker != event["worker"]:
        return f"{said(event)} is {what}, but it was started on {attempt.worker}"
    if attempt.state != RUNNING:
        return f"{said(event)} is {what}, but it was {attempt.state} (line {attempt.line})"
    if task.job.ended and task.job.kind != "load":
        return f"{said(event)} is {what} after its job's end ({task.job.ended})"
    return None


def comes_from_one_of_ours(event: Event, _task: Task, ledger: Ledger) -> Finding:
    standing = ledger.workers.get(event["worker"], "unknown")
    if standing == ALIVE or event.get("reason") == "worker_lost":
        return None
    what = event["event"].removeprefix("attempt_")
    return f"{said(event)} is {what}, but that worker is {standing}"


def does_not_come_back(event: Event, ledger: Ledger, _: Ledger) -> Finding:
    standing = ledger.workers.get(event["worker"])
    if standing in (LOST, RELEASED):
        return f"{event['worker']} comes back, but it was {standing}: its name is used up"
    return None


def epoch_grows(event: Event, ledger: Ledger, _: Ledger) -> Finding:
    epoch = event["epoch"]
    if epoch > ledger.epoch or not (ledger.jobs or ledger.workers):
        return None
    return f"a coordinator starts with epoch {epoch}, though epoch {ledger.epoch} was before it"


TASK_RULES: TaskRules = (
    ("attempt_done", 11, comes_from_a_running_attempt),
    ("attempt_failed", 11, comes_from_a_running_attempt),
    ("attempt_cancelled", 11, comes_from_a_running_attempt),
    ("attempt_started", 11, comes_from_one_of_ours),
    ("attempt_adopted", 11, comes_from_one_of_ours),
    ("attempt_done", 11, comes_from_one_of_ours),
    ("attempt_failed", 11, comes_from_one_of_ours),
)
OTHER_RULES: OtherRules = (
    ("worker_joined", 11, does_not_come_back),
    ("worker_returned", 11, does_not_come_back),
    ("coordinator_started", 11, epoch_grows),
)
