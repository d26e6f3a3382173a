"""The museum's catalogue: tutorials/internals/museum.md, one row a mutant."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.simulator.museum.run import Verdict

PAGE = Path(__file__).parents[3] / "tutorials" / "internals" / "museum.md"
SAID_CHARACTERS = 150

INTRODUCTION = """\
# The bug museum

A test that never failed may be one that cannot fail. So here are {count} mistakes, each a few lines
of the scheduler, of the journal or of the commit as somebody could have written them. Many are
real: Spark's and Hadoop's trackers tell how each was found in production. Every mutant is put into
a copy of the package, and the simulator's seeds run until a judge objects. The healthy code passes
the same seeds.

*Killed by* names the invariant that was violated first (they are listed in
`minimr/observe/checks/judge.py`), or the judge of the simulated world: its published bytes, the end
of its job, what it left behind, or an exception, since the code checks itself, too. *After* is how
many seeds that took, of the simulator's mode in which it is hunted.

The mutants stand in [tests/simulator/museum](../../tests/simulator/museum/), and
`python -m tests.simulator.museum` writes this page.

| mutant | the bug | killed by | after | what the judge said |
|---|---|---|---|---|
"""

JUDGES: tuple[tuple[str, str], ...] = (
    (r"invariant (\d+) \(([^)]*)\): (?:(?:line|at the end).*?: )?(.*)", r"\1: \2"),
    (r"(the job did not end.*)", "12: the world's end"),
    (r"(the job failed, and no fault.*)", "12: the world's end"),
    (r"(the parts .*)", "1: the published bytes"),
    (r"(the job succeeded, but.*)", "1: the published bytes"),
    (r"(the client was told that.*)", "7: the published bytes"),
    (r"(EndlessRun: .*)", "12: the world's end"),
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


def row(verdict: Verdict) -> str:
    mutant = verdict.mutant
    assert mutant is not None
    if verdict.seed is None:
        who, said, after = "nobody", "", f"{mutant.seeds} seeds"
    else:
        who, said = judge_of(verdict.found[0])
        after = _count(verdict.seed + 1, mutant.mode)
    return "| " + " | ".join((mutant.name, _cell(mutant.bug), who, after, _cell(said))) + " |"


def _count(seeds: int, mode: str) -> str:
    which = "" if mode == "safety" else f" {mode}"
    return f"{seeds}{which} seed{'s' if seeds > 1 else ''}"


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
