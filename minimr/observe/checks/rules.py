"""What a rule is.

A rule looks at one event, at what it is about, and at the ledger as it was before the event. It
returns None if all is well, a sentence if its invariant is broken, or a `Lack` if the log does not
say enough to judge. A rule changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from minimr.observe.checks.ledger import Event, Job, Ledger, Task


@dataclass(frozen=True, slots=True)
class Lack:
    """Why something cannot be judged: the log is silent, which is no proof that all was well."""

    why: str


Finding = str | Lack | None

TaskRule = Callable[[Event, Task, Ledger], Finding]
JobRule = Callable[[Event, Job, Ledger], Finding]
OtherRule = Callable[[Event, Ledger, Ledger], Finding]
ClosingRule = Callable[[Ledger], Iterator[str | Lack]]

TaskRules = tuple[tuple[str, int, TaskRule], ...]
JobRules = tuple[tuple[str, int, JobRule], ...]
OtherRules = tuple[tuple[str, int, OtherRule], ...]
ClosingRules = tuple[tuple[int, ClosingRule], ...]
"""Tables of (event, invariant, rule); at the end of the log there is no event."""

PATCHY = Lack("after a restart of the coordinator the log does not say what the journal remembered")
OLD = "the log is of a minimr that did not write it down"
