"""Invariants 8 and 13, and what is true of all of them."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord
from minimr.observe.checks import CHECKS, Expected, Judge, check, judged
from tests.observe.checks.runs import Run, broken, healthy, line_of, mapped

SILENT = {1, 8, 13}
"""What the log of a healthy run does not tell by itself."""


def test_the_journal_was_compared_and_agrees() -> None:
    run = healthy()
    run.tell("journal_checked", ok=True, at=17)
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert 8 in verdict.held


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "journal_checked", "ok": False, "at": 17},
        {"event": "journal_mismatch", "at": 17, "found": "map-0 pending"},
    ],
)
def test_the_journal_was_compared_and_differs(wrong: dict[str, Any]) -> None:
    run = healthy()
    run.tell(**wrong)
    verdict = judged(run.events)
    [violation] = verdict.violations
    assert violation.invariant == 8
    assert set(verdict.unjudged) == {1, 13}
    assert "at=17" in violation.text


def test_nothing_is_left_over() -> None:
    run = healthy()
    run.tell("world_closed", leftovers=[])
    assert 13 in judged(run.events).held
    assert broken(run) == []


@pytest.mark.parametrize("leftovers", [["slot 3 of worker-2"], [".out.job-1.staging", 4711]])
def test_something_is_left_over(leftovers: list[object]) -> None:
    run = healthy()
    run.tell("world_closed", leftovers=leftovers)
    [violation] = check(run.events)
    assert (violation.invariant, violation.line) == (13, len(run.events) + 1)
    assert str(leftovers[-1]) in violation.text


def test_what_was_judged_and_what_was_not() -> None:
    verdict = judged(healthy().events)
    assert set(verdict.unjudged) == SILENT
    assert set(verdict.held) == set(CHECKS) - SILENT
    assert verdict.events == len(healthy().events)


def test_a_log_that_tells_everything_is_judged_in_everything() -> None:
    run = healthy()
    run.tell("journal_checked", ok=True, at=1)
    run.tell("world_closed", leftovers=[])
    oracle = {"job-1": Expected([{"records": 10}] * 2)}
    assert set(judged(run.events, oracle).held) == set(CHECKS)


def test_a_log_without_a_job_proves_nothing() -> None:
    assert set(judged([]).unjudged) == set(CHECKS)
    assert judged([]).held == ()


def test_what_is_broken_is_not_held_even_if_it_is_not_fully_judged() -> None:
    run = Run(old=True)
    run.submitted(1, 1)
    run.started("map-0")
    run.failed("map-0", charged=False)
    run.job_failed()
    verdict = judged(run.events)
    assert 10 not in verdict.held
    assert [each.invariant for each in verdict.violations] == [10]


def test_time_that_goes_back() -> None:
    run = healthy()
    run.events[7]["t"] = 0.0
    [violation] = check(run.events)
    assert (violation.invariant, violation.line) == (0, 9)
    assert "time goes back from 0.6 to 0.0" in violation.text


def test_a_job_that_was_never_submitted() -> None:
    run = Run()
    wrong = run.started("map-0")
    other = run.job_done()
    assert broken(run) == [(0, line_of(run, wrong)), (0, line_of(run, other))]


def test_unknown_events_and_fields_are_nobody_s_business() -> None:
    run = mapped()
    run.tell("fault", kind="pause", worker="worker-1")
    run.tell("moonrise", phase="full")
    run.reduce(0)
    run.reduce(1)
    run.finish()
    run.events[5]["colour"] = "blue"
    assert broken(run) == []


def test_event_by_event_is_the_same_as_all_at_once() -> None:
    run = mapped()
    run.started("map-0", number=1)
    judge = Judge()
    for event in run.events:
        judge.feed(event)
    assert [each.invariant for each in judge.violations] == [9]
    assert list(judge.close().violations) == check(run.events)


@pytest.mark.parametrize("name", ["task", "attempt", "worker", "job", "t", "event"])
def test_an_event_that_lacks_what_every_minimr_writes(name: str) -> None:
    run = mapped()
    del run.started("reduce-0")[name]
    with pytest.raises(BadRecord, match=f"line {len(run.events) + 1} .* is damaged"):
        check(run.events)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.data())
def test_damage_anywhere_is_a_violation_or_one_named_error(data: st.DataObject) -> None:
    """Whatever stands in a field, the checkers end with a verdict or with BadRecord."""
    run = healthy()
    run.tell("journal_checked", ok=True, at=1)
    run.tell("world_closed", leftovers=[])
    for _ in range(data.draw(st.integers(1, 3))):
        event = data.draw(st.sampled_from(run.events))
        event[data.draw(st.sampled_from(sorted(event)))] = data.draw(VALUES)
    events = json.loads(json.dumps(run.events))
    with suppress(BadRecord):
        judged(events)
