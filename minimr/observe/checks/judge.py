"""The judge: takes events one by one, and says at the end which invariants held.

    judge = Judge()
    for event in events:
        judge.feed(event)
    verdict = judge.close()

Each event looks up its rules and its fold in one table, so that what concerns nobody costs nothing,
and a run can be judged while it goes on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minimr.errors import BadRecord
from minimr.observe.checks import (
    aftermath,
    attempts,
    commits,
    gangs,
    jobs,
    results,
    shuffle,
    staleness,
    workers,
)
from minimr.observe.checks.folds import JOB_FOLDS, OTHER_FOLDS, TASK_FOLDS, Fold
from minimr.observe.checks.ledger import (
    Event,
    Expected,
    Ledger,
    find_job,
    find_nothing,
    find_task,
)
from minimr.observe.checks.rules import Lack

CHECKS = {
    1: "output bytes equal the sequential run's",
    2: "exactly one commit per task, never replaced",
    3: "commits come only from a granted attempt of a live worker",
    4: "bytes read belong to one version of each map",
    5: "each reduce consumes each map exactly once",
    6: "counters are the sum over winning attempts only",
    7: "nothing is visible before the job commits, everything after",
    8: "the journal's replay equals the state in memory",
    9: "completed work re-runs only with a logged cause",
    10: "attempts stay within their limits",
    11: "messages of old epochs change nothing",
    12: "a job ends once, in success or in a named failure",
    13: "nothing is left over afterwards",
    14: "the members of a gang run together",
    15: "no member of a parameter server is further ahead than its staleness allows",
}
"""The invariants, by number."""

SOUND = 0
NAMES = {SOUND: "the log makes sense", **CHECKS}
NO_JOB = "there is no job in the log"

THEMES = (commits, attempts, gangs, staleness, shuffle, jobs, workers, results, aftermath)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: `text` says what happened, to which task, and in which line.

    Lines are counted as in the log's file, whose first event stands in line 2. What only the end of
    the log shows has the last line and no event.
    """

    invariant: int
    name: str
    text: str
    line: int
    event: Event | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`unjudged` says for each invariant that the log is too silent for why that is."""

    violations: tuple[Violation, ...]
    unjudged: Mapping[int, str]
    events: int

    @property
    def held(self) -> tuple[int, ...]:
        """The invariants that were judged and hold."""
        broken = {violation.invariant for violation in self.violations}
        return tuple(each for each in CHECKS if each not in broken and each not in self.unjudged)


Rule = Callable[[Event, Any, Ledger], str | Lack | None]
Find = Callable[[Event, Ledger], Any]
Steps = tuple[Find, tuple[tuple[int, Rule], ...], Fold]
"""How an event is handled: find what it is about, ask the rules, fold it into the ledger."""


def _steps(find: Find, folds: Mapping[str, Fold], rules: str) -> dict[str, Steps]:
    """The steps of all events in `folds`, with the rules that the themes name in `rules`."""
    table = [row for theme in THEMES for row in getattr(theme, rules, ())]
    return {
        name: (find, tuple((number, rule) for event, number, rule in table if event == name), fold)
        for name, fold in folds.items()
    }


STEPS: dict[str, Steps] = {
    **_steps(find_task, TASK_FOLDS, "TASK_RULES"),
    **_steps(find_job, JOB_FOLDS, "JOB_RULES"),
    **_steps(find_nothing, OTHER_FOLDS, "OTHER_RULES"),
}
CLOSING = [row for theme in THEMES for row in getattr(theme, "CLOSING_RULES", ())]


@dataclass(slots=True)
class Judge:
    """`oracle` names what each job's output must be; `bound_s` how long each job may take."""

    oracle: Mapping[str, Expected] = field(default_factory=dict)
    bound_s: float | None = None
    violations: list[Violation] = field(default_factory=list)
    _unjudged: dict[int, str] = field(default_factory=dict)
    _ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.oracle, self.bound_s)

    def feed(self, event: Event) -> None:
        """Judge one more event. Raises BadRecord if it lacks what every minimr writes."""
        ledger = self._ledger
        ledger.line += 1
        try:
            if event["t"] < ledger.t:
                self._note(SOUND, f"time goes back from {ledger.t} to {event['t']}", event)
            ledger.t = event["t"]
            steps = STEPS.get(event["event"])
            if steps is not None:
                self._take(event, steps)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise BadRecord(
                f"line {ledger.line} of the event log is damaged: {event.get('event')} is not as "
                f"minimr writes it ({what})"
            ) from error

    def _take(self, event: Event, steps: Steps) -> None:
        find, rules, fold = steps
        about = find(event, self._ledger)
        if about is None:
            text = f"{event['event']} is about {event['job']}, which was never submitted"
            self._note(SOUND, text, event)
            return
        for invariant, rule in rules:
            finding = rule(event, about, self._ledger)
            if finding is not None:
                self._note(invariant, finding, event)
        fold(event, about, self._ledger)

    def close(self) -> Verdict:
        """The log ends here."""
        if not self._ledger.jobs:
            self._unjudged = dict.fromkeys(CHECKS, NO_JOB)
        for invariant, rule in CLOSING:
            for finding in rule(self._ledger):
                self._note(invariant, finding, None)
        return Verdict(tuple(self.violations), self._unjudged, self._ledger.line - 1)

    def _note(self, invariant: int, finding: str | Lack, event: Event | None) -> None:
        if isinstance(finding, Lack):
            self._unjudged.setdefault(invariant, finding.why)
            return
        line = self._ledger.line
        text = f"line {line}: {finding}" if event else f"at the end (line {line}): {finding}"
        self.violations.append(Violation(invariant, NAMES[invariant], text, line, event))


def judged(
    events: Iterable[Event],
    oracle: Mapping[str, Expected] | None = None,
    bound_s: float | None = None,
) -> Verdict:
    """The verdict over a whole log."""
    judge = Judge(oracle or {}, bound_s)
    for event in events:
        judge.feed(event)
    return judge.close()


def check(
    events: Iterable[Event],
    oracle: Mapping[str, Expected] | None = None,
    bound_s: float | None = None,
) -> list[Violation]:
    """The violations in a whole log, in its order. Raises BadRecord for a damaged event.

    `oracle` maps a job to what its output must be. `bound_s` is for logs of runs whose faults have
    an end: every job must end within so many seconds of its submission, cut log or not.
    """
    return list(judged(events, oracle, bound_s).violations)
