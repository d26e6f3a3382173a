"""Invariants 2 and 3."""

from tests.observe.checks.runs import Run, broken, healthy, line_of, mapped, reduced, violations


def test_a_healthy_run_breaks_nothing() -> None:
    assert broken(healthy()) == []


def test_a_second_commit_of_a_task() -> None:
    run = reduced()
    run.events.insert(-1, dict(run.events[-1]))
    run.finish()
    [violation] = violations(run)
    assert (violation.invariant, violation.line) == (2, line_of(run, run.events[-4]))
    assert "attempt 0 of reduce-1 (job-1) on worker-2 commits, though" in violation.text


def test_another_attempt_commits_a_committed_task() -> None:
    run = mapped()
    run.reduce(1, "worker-2")
    run.started("reduce-0", "worker-1")
    run.started("reduce-0", "worker-2", 1, backup=True)
    run.done("reduce-0", "worker-1")
    run.granted("reduce-0", "worker-1")
    second_done = run.done("reduce-0", "worker-2", 1)
    second = run.granted("reduce-0", "worker-2", 1)
    run.finish()
    assert broken(run) == [(2, line_of(run, second_done)), (2, line_of(run, second))]


def test_a_commit_is_the_only_one_across_a_restart() -> None:
    run = reduced()
    run.restarted()
    again = run.started("reduce-0", "worker-1", 1000)
    done = run.done("reduce-0", "worker-1", 1000)
    second = run.granted("reduce-0", "worker-1", 1000)
    run.finish()
    lines = [line_of(run, each) for each in (again, done, second)]
    assert broken(run) == list(zip((9, 2, 2), lines, strict=True))


def test_a_restart_between_commits_is_fine() -> None:
    run = mapped()
    run.reduce(0, "worker-1")
    run.started("reduce-1", "worker-2")
    run.restarted()
    run.reduce(1, "worker-2", 1000)
    run.finish()
    assert broken(run) == []


def test_a_job_that_is_done_without_one_of_its_commits() -> None:
    run = mapped()
    run.reduce(0)
    run.started("reduce-1")
    run.done("reduce-1")
    publishing = run.publishing()
    run.published()
    done = run.job_done()
    found = violations(run)
    assert [(each.invariant, each.line) for each in found] == [
        (7, line_of(run, publishing)),
        (2, line_of(run, done)),
    ]
    assert "1 commits of 2; missing: reduce-1" in found[1].text


def test_a_round_commits_by_being_done() -> None:
    run = mapped(kind="round", publishes=False)
    run.started("reduce-0")
    run.done("reduce-0")
    run.started("reduce-1")
    unfinished = len(run.events)
    run.done("reduce-1")
    run.job_done()
    assert broken(run) == []
    del run.events[unfinished]
    assert 2 in dict(broken(run))


def test_a_load_has_no_reduces() -> None:
    run = Run()
    run.submitted(2, 0, kind="load", publishes=False)
    run.load(0)
    early = len(run.events)
    run.load(1)
    run.job_done()
    assert broken(run) == []
    del run.events[early : early + 2]
    assert [invariant for invariant, _ in broken(run)] == [2, 6]


def test_a_commit_of_a_map() -> None:
    run = mapped()
    wrong = run.granted("map-0")
    run.reduce(0)
    run.reduce(1)
    assert (2, line_of(run, wrong)) in broken(run)


def test_the_winner_is_told_no_when_it_asks_again() -> None:
    run = reduced()
    run.attempt("commit_denied", "reduce-0", "worker-2", 7, cause="another attempt was first")
    wrong = run.attempt("commit_denied", "reduce-0", "worker-1", 0, cause="another was first")
    run.finish()
    assert broken(run) == [(2, line_of(run, wrong))]


def test_a_committed_output_is_given_up() -> None:
    run = reduced()
    wrong = run.output_lost("reduce-0", "worker-1")
    run.finish()
    assert broken(run) == [(2, line_of(run, wrong))]


def test_two_attempts_with_one_number() -> None:
    run = mapped()
    run.started("reduce-0")
    run.failed("reduce-0")
    wrong = run.started("reduce-0")
    assert (2, line_of(run, wrong)) in broken(run)


def test_a_commit_of_an_attempt_that_was_never_started() -> None:
    run = mapped()
    run.reduce(0)
    wrong = run.granted("reduce-1", "worker-2")
    assert (3, line_of(run, wrong)) in broken(run)


def test_a_commit_from_another_worker_than_the_attempt_s() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    wrong = run.granted("reduce-0", "worker-2")
    assert (3, line_of(run, wrong)) in broken(run)


def test_a_commit_of_an_attempt_that_had_failed() -> None:
    run = mapped()
    run.started("reduce-0")
    failed = run.failed("reduce-0")
    wrong = run.granted("reduce-0")
    [found] = [each for each in violations(run) if each.invariant == 3]
    assert found.line == line_of(run, wrong)
    assert found.text.endswith(f"commits, but it was failed (line {line_of(run, failed)})")


def test_a_commit_of_an_attempt_that_was_cancelled() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    run.started("reduce-0", "worker-2", 1, backup=True)
    run.cancelled("reduce-0", "worker-2", 1)
    wrong = run.granted("reduce-0", "worker-2", 1)
    assert (3, line_of(run, wrong)) in broken(run)


def test_a_commit_from_a_worker_that_was_lost() -> None:
    run = mapped()
    run.started("reduce-0")
    run.done("reduce-0")
    run.lost("worker-1")
    wrong = run.granted("reduce-0")
    assert (3, line_of(run, wrong)) in broken(run)


def test_a_commit_from_a_worker_that_has_not_come_back_after_a_restart() -> None:
    run = mapped()
    run.started("reduce-0", "worker-2")
    run.restarted(workers=1)
    wrong = run.granted("reduce-0", "worker-2")
    assert (3, line_of(run, wrong)) in broken(run)


def test_an_adopted_attempt_may_commit() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    run.restarted()
    run.attempt("attempt_adopted", "reduce-0", "worker-1")
    run.done("reduce-0", "worker-1")
    run.granted("reduce-0", "worker-1")
    run.reduce(1, "worker-2", 1000)
    run.finish()
    assert broken(run) == []


def test_an_attempt_that_was_not_adopted_may_not() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    run.restarted()
    wrong = run.granted("reduce-0", "worker-1")
    assert (3, line_of(run, wrong)) in broken(run)


def test_adopting_what_ran_elsewhere_or_had_failed() -> None:
    run = mapped()
    run.started("reduce-0", "worker-1")
    run.started("reduce-1", "worker-2")
    run.failed("reduce-1", "worker-2")
    run.restarted()
    elsewhere = run.attempt("attempt_adopted", "reduce-0", "worker-2")
    failed = run.attempt("attempt_adopted", "reduce-1", "worker-2")
    assert {(3, line_of(run, elsewhere)), (3, line_of(run, failed))} <= set(broken(run))
