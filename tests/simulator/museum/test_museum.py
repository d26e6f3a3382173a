"""Every exhibit dies by the seeds that the healthy code survives, and stands in the catalogue.

`make test` hunts the mistakes that others paid for and all that the catalogue says are found within
a few seeds, half of the museum. The rest takes most of the time; `make soak` hunts it, too.
"""

import os
import re
from functools import cache

import pytest

from minimr.observe.checks import CHECKS
from tests.simulator.museum.mutant import Mutant
from tests.simulator.museum.mutants import MUTANTS
from tests.simulator.museum.run import Kinds, Verdict, hunt_all, hunt_nothing
from tests.simulator.museum.table import PAGE, judge_of, names_on, seeds_on

NAMED_IN_THE_REFERENCE = (
    "SPARK-4879",
    "SPARK-6614",
    "SPARK-19631",
    "SPARK-24589",
    "SPARK-18113",
    "SPARK-39195",
    "SPARK-48292",
    "SPARK-33402",
    "HADOOP-17258",
    "SPARK-23243",
    "SPARK-25341",
    "SPARK-4105",
)
SOAKS = os.environ.get("MINIMR_SOAK", "1") != "1"
TICKET = re.compile(r"[A-Z]+-\d+")
QUICK_SEEDS = 5
MISFITS = ("AttributeError:", "ImportError:", "NameError:")
"""What a mutant dies of that names what is not there: nobody could have made that mistake."""


def hunted() -> tuple[Mutant, ...]:
    """The mutants of this run."""
    needed = seeds_on(PAGE.read_text("utf-8"))
    return tuple(
        mutant
        for mutant in MUTANTS
        if SOAKS or TICKET.search(mutant.bug) or needed.get(mutant.name, 0) <= QUICK_SEEDS
    )


HUNTED = hunted()


@cache
def verdicts() -> dict[str, Verdict]:
    """All hunts, two at a time; the tests look at them one by one."""
    found = hunt_all(HUNTED)
    return {mutant.name: verdict for mutant, verdict in zip(HUNTED, found, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", HUNTED, ids=lambda mutant: mutant.name)
def test_the_seeds_kill(mutant: Mutant) -> None:
    verdict = verdicts()[mutant.name]
    assert verdict.seed is not None, f"it survived {mutant.seeds} seeds {verdict.found}"
    assert not verdict.found[0].startswith(MISFITS), "the code has changed, and it fits no more"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "kinds"), dict.fromkeys((mutant.mode, mutant.kinds) for mutant in HUNTED)
)
def test_the_healthy_code_survives_the_same_seeds(mode: str, kinds: Kinds) -> None:
    alike = [mutant for mutant in HUNTED if (mutant.mode, mutant.kinds) == (mode, kinds)]
    last = max(verdicts()[mutant.name].seed or 0 for mutant in alike)
    assert hunt_nothing(mode, last + 1, kinds).found == ()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_the_healthy_code_with_one_change_that_compiles(mutant: Mutant) -> None:
    compile(mutant.source(), mutant.file, "exec")
    assert mutant.old != mutant.new


def test_a_text_that_does_not_stand_once_is_no_mutant() -> None:
    for old in ("def ", "nobody wrote this"):
        with pytest.raises(ValueError, match="stands"):
            Mutant("name", "bug", "scheduler/state.py", old, "").source()


def test_every_mutant_has_its_own_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 100


def test_every_run_hunts_thirty_mutants_and_all_that_have_a_ticket() -> None:
    assert len(HUNTED) >= 30
    assert {mutant for mutant in MUTANTS if TICKET.search(mutant.bug)} <= set(HUNTED)


@pytest.mark.parametrize("ticket", NAMED_IN_THE_REFERENCE)
def test_bugs_that_others_paid_for_are_exhibited(ticket: str) -> None:
    assert any(f"{ticket}:" in mutant.bug or f"{ticket}," in mutant.bug for mutant in MUTANTS)


def test_the_catalogue_lists_every_mutant() -> None:
    assert names_on(PAGE.read_text("utf-8")) == [mutant.name for mutant in MUTANTS]


def test_the_catalogue_shows_no_survivor() -> None:
    """Nor a mutant whose hunt broke off: whoever wrote the page then should write it again."""
    assert "| nobody |" not in PAGE.read_text("utf-8")


def test_a_judge_is_known_by_its_words() -> None:
    said = f"invariant 9 ({CHECKS[9]}): line 52: the output of attempt 0 is lost"
    assert judge_of(said) == (f"9: {CHECKS[9]}", "the output of attempt 0 is lost")
    assert judge_of("the job did not end within 9.0 s, though")[0] == "12: the end"
    assert judge_of("t=1.5: two ends") == ("the world", "two ends")
    assert judge_of("KeyError: 'job-1'") == ("an exception", "KeyError: 'job-1'")
