"""Invariants 7 and 12."""

import pytest

from minimr.observe.checks import judged
from tests.observe.checks.runs import Run, broken, healthy, line_of, mapped, reduced, violations


def test_publishing_before_the_last_commit() -> None:
    run = mapped()
    run.reduce(0)
    run.started("reduce-1")
    run.done("reduce-1")
    early = run.publishing()
    late = run.granted("reduce-1")
    run.published()
    run.job_done()
    assert broken(run) == [(7, line_of(run, early)), (7, line_of(run, late))]


def test_a_commit_after_the_end() -> None:
    run = healthy()
    run.joined("worker-3")
    late = run.granted("reduce-1", "worker-3", 1)
    assert (7, line_of(run, late)) in broken(run)


def test_published_without_a_word_before() -> None:
    run = reduced()
    wrong = run.published()
    run.job_done()
    assert broken(run) == [(7, line_of(run, wrong))]


def test_done_without_being_published() -> None:
    run = reduced()
    run.publishing()
    wrong = run.job_done()
    assert broken(run) == [(7, line_of(run, wrong))]


@pytest.mark.parametrize("step", ["publishing", "published"])
def test_a_step_that_is_taken_twice(step: str) -> None:
    run = reduced()
    run.publishing()
    run.published()
    wrong = getattr(run, step)()
    run.job_done()
    assert broken(run) == [(7, line_of(run, wrong))]


@pytest.mark.parametrize("end", ["job_failed", "job_cancelled"])
def test_an_output_that_is_visible_though_the_job_did_not_succeed(end: str) -> None:
    run = reduced()
    run.publishing()
    run.published()
    wrong = run.tell(end, job="job-1", error="the client is gone")
    assert broken(run) == [(7, line_of(run, wrong))]


def test_a_rename_that_fails_fails_the_job() -> None:
    run = reduced()
    run.publishing()
    run.job_failed("out appeared meanwhile")
    assert broken(run) == []


def test_a_restart_takes_the_unfinished_step_again() -> None:
    run = reduced()
    run.publishing()
    run.published()
    run.restarted()
    run.publishing()
    run.published()
    run.job_done()
    assert broken(run) == []


def test_a_round_that_publishes() -> None:
    run = mapped(kind="round", publishes=False)
    run.started("reduce-0")
    run.done("reduce-0")
    run.started("reduce-1")
    run.done("reduce-1")
    wrong = run.publishing()
    run.job_done()
    assert broken(run) == [(7, line_of(run, wrong))]


def test_an_old_log_without_the_steps_is_not_judged() -> None:
    run = Run(old=True)
    run.submitted(1, 1)
    run.map(0)
    run.reduce(0)
    run.finish()
    assert "job_publishing" in judged(run.events).unjudged[7]


def test_a_job_without_an_end() -> None:
    run = reduced()
    [violation] = violations(run)
    assert (violation.invariant, violation.line) == (12, len(run.events) + 1)
    assert violation.event is None
    assert "job-1 was submitted in line 4 and has no end" in violation.text


@pytest.mark.parametrize(
    "text",
    [
        "the log ends in half a line (x.log, line 9), which is left out",
        "the log breaks off: the coordinator is gone (it closed the connection)",
    ],
)
def test_a_log_that_says_that_it_is_cut_off(text: str) -> None:
    run = reduced()
    run.tell("note", text="something else")
    assert broken(run) == [(12, len(run.events) + 1)]
    run.tell("note", text=text)
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert "cut off" in verdict.unjudged[12]


@pytest.mark.parametrize("end", ["job_done", "job_failed", "job_cancelled"])
def test_a_second_end(end: str) -> None:
    run = healthy()
    wrong = run.tell(end, job="job-1", error="no", counters=run.events[-1]["counters"], skipped=0)
    assert broken(run) == [(12, line_of(run, wrong))]


def test_an_end_may_be_told_again_after_a_restart_but_not_changed() -> None:
    run = healthy()
    run.restarted()
    run.job_done()
    assert broken(run) == []
    wrong = run.job_failed()
    assert broken(run) == [(12, line_of(run, wrong))]


@pytest.mark.parametrize("error", ["", " \n"])
def test_a_failure_without_a_reason(error: str) -> None:
    run = mapped()
    wrong = run.job_failed(error)
    assert broken(run) == [(12, line_of(run, wrong))]


def test_a_job_that_is_submitted_twice() -> None:
    run = mapped()
    wrong = run.submitted()
    run.job_failed()
    assert (12, line_of(run, wrong)) in broken(run)


def test_an_end_in_time_and_too_late() -> None:
    run = healthy()
    seconds = run.events[-1]["t"] - run.events[2]["t"]
    assert broken(run, bound_s=seconds + 0.01) == []
    assert broken(run, bound_s=seconds - 0.01) == [(12, line_of(run, run.events[-1]))]


@pytest.mark.parametrize("end", ["job_failed", "job_cancelled"])
def test_a_bad_end_has_its_time_too(end: str) -> None:
    run = mapped()
    late = run.tell(end, job="job-1", error="it was tired")
    assert broken(run, bound_s=0.2) == [(12, line_of(run, late))]


def test_a_bound_excuses_no_log_that_is_cut_off() -> None:
    run = reduced()
    run.tell("note", text="the log ends in half a line (x.log, line 9), which is left out")
    assert broken(run, bound_s=100.0) == [(12, len(run.events) + 1)]


def test_rounds_and_datasets_end_with_their_coordinator() -> None:
    run = Run()
    run.submitted(1, 0, kind="load", publishes=False)
    run.load(0)
    run.tell("coordinator_started", epoch=1)
    assert broken(run) == []


def test_a_job_that_nobody_remembers_after_a_restart_is_not_judged() -> None:
    """Its end may have been written into the journal, and the line about it be lost."""
    run = reduced()
    run.restarted(restored=False)
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert 12 in verdict.unjudged
    run.restarted(epoch=2, restored=True)
    assert broken(run) == [(12, len(run.events) + 1)]
