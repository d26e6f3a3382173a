"""Invariants 8 and 13: what only the world can know, and writes into the log.

Whether the journal gives back the state in memory, and whether processes, sockets and directories
are gone, no event of the scheduler can say. The simulator looks and writes what it saw.
"""

from collections.abc import Iterator

from minimr.observe.checks.ledger import Event, Ledger, Task, said
from minimr.observe.checks.rules import ClosingRules, Finding, Lack, OtherRules, TaskRules

NOT_CHECKED = Lack("nobody compared the journal with the state in memory (no journal_checked)")
NOT_CLOSED = Lack("nobody looked for what was left over (no world_closed)")
TOLD_BY_ITSELF = frozenset({"t", "event", "job"})


# 8: the journal's replay equals the state in memory


def journal_agrees(event: Event, _ledger: Ledger, _: Ledger) -> Finding:
    if event["event"] == "journal_checked" and event["ok"]:
        return None
    details = (f"{name}={event[name]}" for name in event if name not in TOLD_BY_ITSELF)
    return f"the journal's replay is not the state in memory: {', '.join(details)}"


def journal_remembers_what_was_said(event: Event, task: Task, _ledger: Ledger) -> Finding:
    """The journal may know more than the log, such as a map that was lost and made again."""
    winner, number = task.winner, event["attempt"]
    if winner is None:
        return None
    if number < winner.number or (number > winner.number and task.is_reduce):
        return f"the journal has {said(event)}, but {winner} was done (line {winner.line})"
    digest = event.get("digest")
    if number == winner.number and digest != task.digest:
        return f"the journal's digest of {said(event)} is {digest}, and the log's {task.digest}"
    return None


def journal_was_checked(ledger: Ledger) -> Iterator[str | Lack]:
    if not ledger.heard & {"journal_checked", "journal_mismatch"}:
        yield NOT_CHECKED


# 13: nothing is left afterwards


def nothing_is_left(event: Event, _ledger: Ledger, _: Ledger) -> Finding:
    if leftovers := event["leftovers"]:
        return f"{len(leftovers)} things are left over: {', '.join(map(str, leftovers))}"
    return None


def world_was_closed(ledger: Ledger) -> Iterator[str | Lack]:
    if "world_closed" not in ledger.heard:
        yield NOT_CLOSED


TASK_RULES: TaskRules = (("task_restored", 8, journal_remembers_what_was_said),)
OTHER_RULES: OtherRules = (
    ("journal_checked", 8, journal_agrees),
    ("journal_mismatch", 8, journal_agrees),
    ("world_closed", 13, nothing_is_left),
)
CLOSING_RULES: ClosingRules = ((8, journal_was_checked), (13, world_was_closed))
