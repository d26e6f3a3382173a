"""A crash swallows the last lines of the log; the restarted coordinator tells what it remembers.

The coordinator writes its journal first and the log afterwards. So the log may lack what the
journal holds, never the other way round.
"""

import pytest

from minimr.observe.checks import judged
from tests.observe.checks.runs import Run, broken, line_of, mapped, reduced


def remembered(run: Run, task: str, worker: str, number: int = 0, **more: object) -> None:
    """What a restarted coordinator says of a task that its journal knows as done."""
    done = run.done(task, worker, number, **more)
    done["event"] = "task_restored"


def half_reduced() -> Run:
    run = mapped()
    run.reduce(0, "worker-1")
    run.started("reduce-1", "worker-2")
    return run


def test_a_commit_whose_lines_were_swallowed() -> None:
    run = half_reduced()
    run.restarted()
    for task, worker in (("map-0", "worker-1"), ("map-1", "worker-2"), ("reduce-0", "worker-1")):
        remembered(run, task, worker)
    remembered(run, "reduce-1", "worker-2")
    run.finish()
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert {2, 4, 5, 6, 7, 12} <= set(verdict.held)


def test_a_map_whose_lines_were_swallowed() -> None:
    run = Run()
    run.submitted(2, 1)
    run.map(0)
    run.started("map-1", "worker-2")
    run.restarted()
    remembered(run, "map-0", "worker-1")
    remembered(run, "map-1", "worker-2")
    run.started("reduce-0", number=1000)
    run.done("reduce-0", number=1000, records_in=20)
    run.granted("reduce-0", number=1000)
    run.finish()
    assert broken(run) == []


def test_a_job_whose_submission_was_swallowed() -> None:
    run = Run()
    run.submitted()
    run.events.pop()
    run.restarted()
    run.map(0, number=1000)
    run.map(1, number=1000)
    run.reduce(0, number=1000)
    run.reduce(1, number=1000)
    run.finish()
    assert broken(run) == []


def test_the_end_that_was_swallowed_is_told_again() -> None:
    run = reduced()
    run.publishing()
    run.restarted(state="succeeded")
    run.job_done()
    assert broken(run) == []


def test_what_is_not_told_is_not_judged() -> None:
    run = half_reduced()
    run.restarted(restored=False)
    run.publishing()
    run.published()
    run.job_done(counters={"lines": 12})
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert {2, 6, 7} <= set(verdict.unjudged)


def test_what_agrees_is_judged_all_the_same() -> None:
    run = reduced()
    run.restarted(restored=False)
    run.finish()
    assert set(judged(run.events).unjudged) == {1, 8, 13}


def test_a_committed_task_that_is_forgotten_runs_again() -> None:
    """Nothing undoes a commit, so here silence is no excuse."""
    run = half_reduced()
    run.restarted(restored=False)
    wrong = run.started("reduce-0", "worker-1", 1000)
    assert (9, line_of(run, wrong)) in broken(run)


def test_a_map_that_runs_again_may_have_been_lost_unheard() -> None:
    run = half_reduced()
    run.restarted(restored=False)
    run.started("map-0", "worker-1", 1000)
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert 9 in verdict.unjudged


def test_a_map_that_was_made_again_unheard() -> None:
    run = half_reduced()
    run.restarted()
    remembered(run, "map-1", "worker-1", 1)
    run.reduce(1, number=1000)
    run.finish()
    assert broken(run) == []


@pytest.mark.parametrize(
    ("task", "number", "digest"),
    [("reduce-0", 7, None), ("map-0", -1, "of map-0"), ("map-0", 0, "another")],
)
def test_the_journal_remembers_another_output_than_the_log_tells(
    task: str, number: int, digest: str | None
) -> None:
    run = half_reduced()
    run.restarted()
    wrong = len(run.events) + 2
    remembered(run, task, "worker-1", number, digest=digest)
    assert (8, wrong) in broken(run)
