"""Invariants 9 and 10."""

from collections.abc import Callable

import pytest

from minimr.observe.checks import judged
from tests.observe.checks.runs import Run, broken, line_of, mapped, reduced


def test_a_map_runs_again_after_its_output_was_lost() -> None:
    run = mapped()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.map(1, "worker-1", 1)
    run.reduce(0)
    run.reduce(1)
    run.finish()
    assert broken(run) == []


def test_a_map_runs_again_though_its_output_is_there() -> None:
    run = mapped()
    wrong = run.started("map-1", "worker-1", 1)
    run.done("map-1", "worker-1", 1)
    run.reduce(0)
    run.reduce(1)
    run.finish()
    assert broken(run) == [(9, line_of(run, wrong))]


def test_a_loss_without_a_cause() -> None:
    run = mapped()
    run.lost("worker-2")
    wrong = run.output_lost("map-1", "worker-2", cause="")
    run.map(1, "worker-1", 1)
    run.reduce(0)
    run.reduce(1)
    run.finish()
    assert broken(run) == [(9, line_of(run, wrong))]


def test_a_loss_with_a_worker_that_did_not_have_it() -> None:
    run = mapped()
    run.lost("worker-2")
    wrong = run.output_lost("map-0", "worker-1", cause="worker_lost worker-2")
    assert (9, line_of(run, wrong)) in broken(run)


def test_a_loss_of_an_output_that_is_not_the_task_s() -> None:
    run = mapped()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.map(1, "worker-1", 1)
    wrong = run.output_lost("map-1", "worker-2")
    never = run.output_lost("reduce-0", "worker-2")
    assert {(9, line_of(run, wrong)), (9, line_of(run, never))} <= set(broken(run))


def test_a_loss_that_nobody_noticed_when_its_worker_was_lost() -> None:
    run = mapped()
    run.lost("worker-2")
    run.started("reduce-0", "worker-1")
    wrong = run.output_lost("map-1", "worker-2", cause="fetch failed in reduce-0")
    assert (9, line_of(run, wrong)) in broken(run)


def test_a_loss_with_a_worker_that_was_released() -> None:
    run = mapped()
    run.tell("worker_released", worker="worker-2")
    run.lost("worker-2")
    wrong = run.output_lost("map-1", "worker-2")
    assert (9, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize("worker", ["worker-1", "worker-2"])
def test_a_reducer_that_waits_hears_what_its_worker_is_told(worker: str) -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    run.output_lost("map-1", "worker-2", cause="fetch failed in reduce-1")
    run.map(1, "worker-2", 1)
    run.started("reduce-1", worker)
    again = run.output_lost("map-1", "worker-2", 1, cause="fetch failed in reduce-0")
    assert ((9, line_of(run, again)) in broken(run)) is (worker == "worker-2")


@pytest.mark.parametrize("late", [True, False])
def test_a_reducer_misses_only_what_was_made_before_it_started(late: bool) -> None:
    run = mapped()
    if not late:
        run.started("reduce-0", "worker-1")
    run.output_lost("map-1", "worker-2", cause="fetch failed in reduce-1")
    run.map(1, "worker-2", 1)
    if late:
        run.started("reduce-0", "worker-1")
    again = run.output_lost("map-1", "worker-2", 1, cause="fetch failed in reduce-0")
    assert ((9, line_of(run, again)) in broken(run)) is not late


def test_a_restart_says_a_loss_again_though_the_task_was_done_again() -> None:
    run = mapped()
    run.output_lost("map-1", "worker-2", cause="fetch failed in reduce-0")
    run.map(1, "worker-1", 1)
    run.restarted(workers=1)
    run.output_lost("map-1", "worker-2", cause="it was lost before")
    wrong = run.started("map-1", "worker-1", 1000)
    assert broken(run)[0] == (9, line_of(run, wrong))


def test_a_backup_beside_the_original() -> None:
    run = Run()
    run.submitted(1, 1)
    run.joined("worker-1")
    run.started("map-0", "worker-1")
    wrong = run.started("map-0", "worker-1", 1, backup=True)
    assert broken(run)[0] == (10, line_of(run, wrong))


def test_a_restart_may_say_a_loss_again() -> None:
    run = mapped()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.restarted(workers=1)
    run.output_lost("map-1", "worker-2")
    run.map(1, "worker-1", 1000)
    run.reduce(0, number=1000)
    run.reduce(1, number=1000)
    run.finish()
    assert broken(run) == []


def test_a_map_starts_when_nobody_needs_it_any_more() -> None:
    run = reduced()
    run.lost("worker-2")
    run.output_lost("map-1", "worker-2")
    run.publishing()
    wrong = run.started("map-1", "worker-1", 1)
    run.cancelled("map-1", "worker-1", 1)
    run.published()
    run.job_done()
    assert broken(run) == [(9, line_of(run, wrong))]


def test_a_dataset_is_made_again_after_its_load_was_done() -> None:
    run = Run()
    run.submitted(1, 0, kind="load", publishes=False)
    run.load(0, "worker-2")
    run.job_done()
    run.lost("worker-2")
    run.output_lost("load-0", "worker-2")
    run.load(0, "worker-1", 1)
    assert broken(run) == []


def failing(times: int, **why: object) -> Run:
    """A map that fails so often, on a worker that has nothing else to do."""
    run = Run()
    run.submitted(1, 1)
    for number in range(times):
        run.started("map-0", number=number)
        run.failed("map-0", number=number, **why)
    return run


def losing(times: int) -> Run:
    return failing(times, reason="fetch", charged=False)


@pytest.mark.parametrize(("fails", "most"), [(failing, 3), (losing, 19)])
def test_the_last_attempt_may_succeed(fails: Callable[[int], Run], most: int) -> None:
    run = fails(most)
    run.map(0, number=most)
    run.reduce(0)
    run.finish()
    assert broken(run) == []


@pytest.mark.parametrize(("fails", "limit"), [(failing, 4), (losing, 20)])
def test_one_attempt_more_than_the_limit(fails: Callable[[int], Run], limit: int) -> None:
    run = fails(limit)
    wrong = run.started("map-0", number=limit)
    run.failed("map-0", number=limit)
    run.job_failed()
    assert broken(run) == [(10, line_of(run, wrong))]


def test_a_restart_forgets_charges() -> None:
    run = failing(3)
    run.restarted()
    for number in range(1000, 1003):
        run.started("map-0", number=number)
        run.failed("map-0", number=number)
    run.map(0, number=1003)
    run.reduce(0, number=1000)
    run.finish()
    assert broken(run) == []


@pytest.mark.parametrize(
    "why",
    [
        {"reason": "worker_lost", "charged": True},
        {"reason": "fetch", "charged": True},
        {"reason": "cancelled", "charged": True},
        {"reason": "user", "charged": False},
        {"reason": "stuck", "charged": False},
        {"reason": "died", "charged": False},
    ],
)
def test_a_failure_that_is_charged_wrongly(why: dict[str, object]) -> None:
    assert broken(failing(1, **why))[0][0] == 10


def test_a_poison_record_is_skipped_and_not_charged() -> None:
    run = Run()
    run.submitted(1, 1, skip_max=1)
    run.started("map-0")
    run.failed("map-0", reason="died", charged=False)
    run.started("map-0", number=1)
    run.done("map-0", number=1, skipped=1)
    run.reduce(0)
    run.finish()
    assert broken(run) == []


def test_more_poison_than_may_be_skipped() -> None:
    run = Run()
    run.submitted(1, 1, skip_max=1)
    for number in range(2):
        run.started("map-0", number=number)
        run.failed("map-0", number=number, reason="died", charged=False)
    wrong = run.started("map-0", number=2)
    run.done("map-0", number=2)
    run.reduce(0)
    run.finish()
    assert broken(run) == [(10, line_of(run, wrong))]


def rivals() -> Run:
    """A reduce that runs twice."""
    run = mapped()
    run.reduce(0)
    run.started("reduce-1", "worker-1")
    run.started("reduce-1", "worker-2", 1, backup=True)
    return run


def test_a_backup_that_loses_is_cancelled() -> None:
    run = rivals()
    run.cancelled("reduce-1", "worker-2", 1)
    run.done("reduce-1", "worker-1")
    run.granted("reduce-1", "worker-1")
    run.finish()
    assert broken(run) == []


def test_a_backup_may_get_a_rival_once_it_is_alone() -> None:
    run = rivals()
    run.failed("reduce-1", "worker-1")
    run.started("reduce-1", "worker-1", 2, backup=True)
    run.cancelled("reduce-1", "worker-1", 2)
    run.done("reduce-1", "worker-2", 1)
    run.granted("reduce-1", "worker-2", 1)
    run.finish()
    assert broken(run) == []


def test_a_loser_that_is_not_cancelled() -> None:
    run = rivals()
    run.done("reduce-1", "worker-1")
    run.granted("reduce-1", "worker-1")
    wrong = run.publishing()
    run.published()
    again = run.job_done()
    assert broken(run) == [(10, line_of(run, wrong)), (10, line_of(run, again))]


@pytest.mark.parametrize("end", ["job_failed", "job_cancelled"])
def test_a_job_that_ends_while_an_attempt_runs(end: str) -> None:
    run = mapped()
    run.started("reduce-0")
    wrong = run.tell(end, job="job-1", error="it was tired")
    assert broken(run) == [(10, line_of(run, wrong))]


def test_two_backups_at_once() -> None:
    run = rivals()
    run.joined("worker-3")
    wrong = run.started("reduce-1", "worker-3", 2, backup=True)
    assert (10, line_of(run, wrong)) in broken(run)


def test_a_second_attempt_that_is_no_backup() -> None:
    run = mapped()
    run.started("reduce-1", "worker-1")
    wrong = run.started("reduce-1", "worker-2", 1)
    assert (10, line_of(run, wrong)) in broken(run)


def test_without_limits_in_the_log_they_are_not_judged() -> None:
    run = Run(old=True)
    run.submitted(1, 1)
    run.map(0)
    run.reduce(0)
    run.finish()
    verdict = judged(run.events)
    assert verdict.violations == ()
    assert "attempts_max" in verdict.unjudged[10]
    assert 9 in verdict.held


def test_a_task_that_its_job_does_not_have() -> None:
    run = mapped()
    wrong = run.started("map-2")
    assert (0, line_of(run, wrong)) in broken(run)
