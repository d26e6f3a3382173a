"""The museum's catalogue: tutorials/internals/museum.md, one row a mutant."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.simulator.museum.mutant import Mutant
from tests.simulator.museum.run import Verdict

PAGE = Path(__file__).parents[3] / "tutorials" / "internals" / "museum.md"
SAID_CHARACTERS = 150

INTRODUCTION = """\
# The bug museum

A test that never failed may be one that cannot fail. So here are {count} mistakes, each a few lines
of the scheduler, of the journal or of the commit as somebody could have written them. Many are
real: the trackers of Spark and Hadoop tell how each was found in production. Every mutant is put
into a copy of the package, and the simulator's seeds run until a judge objects. The healthy code
passes the same seeds.

*Killed by* is the first objection, with the number of the invariant. If it comes from the checkers,
which see the event log alone (`minimr/observe/checks`), the invariant's sentence follows. If they
have none, it comes from the judges of the simulated world (`minimr/simulator/judge.py`): the bytes
and the manifest that were published, what workers hold, what the schedule of faults broke, whether
the job ended. The code checks itself, too: tables of transitions, checksums and the journal raise
exceptions.

*After* says how many seeds that took. They draw from all kinds of faults, unless some are named:
what a mutant needs can come together too seldom for a quick hunt.

The mutants stand in [tests/simulator/museum](../../tests/simulator/museum/), and
`python -m tests.simulator.museum` writes this page.

| mutant | the bug | killed by | after | what the judge said |
|---|---|---|---|---|
"""

JUDGES: tuple[tuple[str, str], ...] = (
    (r"invariant (\d+) \(([^)]*)\): (?:(?:line|at the end).*?: )?(.*)", r"\1: \2"),
    (r"(the parts .* differ .*|the job succeeded, but .*)", "1: the published bytes"),
    (r"((?:the client was told the|the manifest|the output says) .*)", "6: the manifest"),
    (r"(the client was told .*)", "7: the published bytes"),
    (r"(.* its holder came back with it)", "9: what the workers hold"),
    (r"(.* by the word of .* alone)", "9: what the reducers said"),
    (r"(.* at the same record|.* is blamed .*)", "10: what the schedule broke"),
    (r"(the job (?:did not end|failed, and no|was cancelled).*|EndlessRun: .*)", "12: the end"),
    (r"(\w+: .*)", "an exception"),
)
"""Patterns of violations: who said it, and in the last group what."""


def judge_of(violation: str) -> tuple[str, str]:
    """Who objected, and in which words."""
    text = re.sub(r"^t=[\d.]+: ", "", violation)
    for pattern, judge in JUDGES:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return found.expand(judge), found.groups()[-1]
    return "the world", text


def first_of(found: Sequence[str]) -> str:
    """The log's checkers come first: they would find the same in a real run."""
    return next((each for each in found if each.startswith("invariant ")), found[0])


def row(verdict: Verdict) -> str:
    mutant = verdict.mutant
    assert mutant is not None
    if verdict.seed is None:
        who, said, after = "nobody", " ".join(verdict.found), f"{mutant.seeds} seeds"
    else:
        who, said = judge_of(first_of(verdict.found))
        after = _count(verdict.seed + 1, mutant)
    return "| " + " | ".join((mutant.name, _cell(mutant.bug), who, after, _cell(said))) + " |"


def _count(seeds: int, mutant: Mutant) -> str:
    which = "" if mutant.mode == "safety" else f" {mutant.mode}"
    kinds = f" of {', '.join(mutant.kinds)}" if mutant.kinds else ""
    return f"{seeds}{which} seed{'s' if seeds > 1 else ''}{kinds}"


def _cell(text: str) -> str:
    text = " ".join(text.replace("|", "/").replace("*", "\\*").split())
    return text if len(text) <= SAID_CHARACTERS else text[: SAID_CHARACTERS - 3] + "..."


def page(verdicts: Sequence[Verdict]) -> str:
    rows = "".join(row(verdict) + "\n" for verdict in verdicts)
    return INTRODUCTION.format(count=len(verdicts)) + rows


def names_on(text: str) -> list[str]:
    """The mutants that a page lists, in its order."""
    rows: Iterable[str] = (line for line in text.splitlines() if line.startswith("| "))
    return [line.split("|")[1].strip() for line in rows][1:]


def seeds_on(text: str) -> dict[str, int]:
    """By the name of a mutant, after how many seeds a page says that it was killed."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    return {cells[1].strip(): int(cells[4].split()[0]) for cells in rows}
