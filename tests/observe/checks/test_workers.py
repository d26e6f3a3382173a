"""Invariant 11."""

import pytest

from tests.observe.checks.runs import Run, broken, line_of, mapped


def test_a_worker_that_is_lost_takes_its_attempts_with_it() -> None:
    run = mapped()
    run.started("reduce-0", "worker-2")
    run.lost("worker-2")
    run.lost_with_worker("reduce-0", "worker-2")
    run.output_lost("map-1", "worker-2")
    run.map(1, "worker-1", 1)
    run.reduce(0, "worker-1", 1)
    run.reduce(1, "worker-1")
    run.finish()
    assert broken(run) == []


def test_a_lost_worker_finishes_something() -> None:
    run = mapped()
    run.started("reduce-0", "worker-2")
    run.lost("worker-2")
    wrong = run.done("reduce-0", "worker-2")
    assert (11, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize("leaves", ["worker_lost", "worker_released"])
def test_an_attempt_on_a_worker_that_is_gone(leaves: str) -> None:
    run = mapped()
    run.tell(leaves, worker="worker-2", cause="it left")
    wrong = run.started("reduce-0", "worker-2")
    assert (11, line_of(run, wrong)) in broken(run)


def test_an_attempt_on_a_worker_that_nobody_knows() -> None:
    run = mapped()
    wrong = run.started("reduce-0", "worker-9")
    assert (11, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize("message", ["done", "failed"])
def test_a_message_that_comes_twice(message: str) -> None:
    run = mapped()
    run.started("reduce-0")
    getattr(run, message)("reduce-0")
    wrong = getattr(run, message)("reduce-0")
    assert (11, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize("message", ["done", "failed", "cancelled"])
def test_a_message_about_an_attempt_that_never_was(message: str) -> None:
    run = mapped()
    wrong = getattr(run, message)("reduce-0", "worker-1", 5)
    assert (11, line_of(run, wrong)) in broken(run)


def test_a_message_from_a_worker_that_does_not_run_the_attempt() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    wrong = run.failed("reduce-0", "worker-2")
    assert (11, line_of(run, wrong)) in broken(run)


def test_a_message_after_the_job_s_end() -> None:
    run = mapped()
    run.started("reduce-0")
    run.cancelled("reduce-0", "worker-1")
    run.tell("job_cancelled", job="job-1")
    assert broken(run) == []
    run.started("reduce-1")
    wrong = run.done("reduce-1")
    assert (11, line_of(run, wrong)) in broken(run)


def test_what_a_worker_says_of_an_attempt_of_the_epoch_before() -> None:
    run = mapped()
    run.started("reduce-0")
    run.restarted()
    wrong = run.done("reduce-0")
    assert (11, line_of(run, wrong)) in broken(run)


def test_a_message_from_a_worker_that_has_not_come_back() -> None:
    run = mapped()
    run.started("reduce-0", "worker-2")
    run.restarted(workers=1)
    wrong = run.attempt("attempt_adopted", "reduce-0", "worker-2")
    assert (11, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize("comes", ["worker_joined", "worker_returned"])
@pytest.mark.parametrize("leaves", ["worker_lost", "worker_released"])
def test_a_name_that_comes_back(leaves: str, comes: str) -> None:
    run = mapped()
    run.tell(leaves, worker="worker-2", cause="it left")
    wrong = run.tell(comes, worker="worker-2", holds=1, running=0)
    run.reduce(0)
    run.reduce(1)
    run.finish()
    assert broken(run) == [(11, line_of(run, wrong))]


def test_news_may_be_repeated() -> None:
    """Whoever watches several jobs hears of each worker several times."""
    run = mapped()
    run.joined("worker-1")
    run.lost("worker-2")
    run.lost("worker-2")
    run.job_failed()
    assert broken(run) == []


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_that_was_there_before(epoch: int) -> None:
    run = mapped()
    run.restarted(epoch=1)
    wrong = run.tell("coordinator_started", epoch=epoch)
    assert (11, line_of(run, wrong)) in broken(run)


def test_a_log_may_begin_with_any_epoch() -> None:
    run = Run(workers=0)
    run.tell("coordinator_started", epoch=4)
    run.joined("worker-1")
    run.submitted(1, 1)
    run.map(0, number=4000)
    run.reduce(0, number=4000)
    run.finish()
    assert broken(run) == []


def test_what_was_ignored_breaks_nothing() -> None:
    run = mapped()
    run.lost("worker-2")
    run.tell("stale_message", worker="worker-2", what="done job-1/reduce-0/0")
    run.job_failed()
    assert broken(run) == []


def test_a_lost_worker_blames_a_task() -> None:
    run = mapped()
    run.started("reduce-0", "worker-2")
    run.lost("worker-2")
    wrong = run.failed("reduce-0", "worker-2")
    run.job_failed()
    assert broken(run) == [(11, line_of(run, wrong))]


def test_a_log_may_begin_with_a_worker_s_return() -> None:
    run = Run(workers=0)
    run.tell("worker_returned", worker="worker-1", holds=0, running=0)
    run.submitted(1, 1)
    run.map(0)
    run.reduce(0)
    run.finish()
    assert broken(run) == []
