"""Invariant 14: the members of a gang run together."""

import pytest

from tests.observe.checks.runs import Run, broken, line_of


def ready(run, rank, number=0, address=None):
    address = address or f"there:{rank}{number}"
    return run.attempt(
        "member_ready", f"gang-{rank}", f"worker-{rank + 1}", number, address=address
    )


def gang(restart="all", ranks=range(2), number=0):
    """A gang of two that was started."""
    run = Run()
    run.submitted(2, 0, kind="gang", source="data-1", publishes=False, restart=restart)
    begin(run, ranks, number)
    return run


def begin(run, ranks=range(2), number=0):
    line = run.tell("gang_started", job=run.job, members=2, cause="JobSubmitted")
    for rank in ranks:
        run.started(f"gang-{rank}", f"worker-{rank + 1}", number)
    return line


def formed(run, numbers=(0, 0), **more):
    addresses = [f"there:{rank}{number}" for rank, number in enumerate(numbers)]
    fields = {"attempts": list(numbers), "addresses": addresses, "new": [0, 1]} | more
    return run.tell("gang_formed", job=run.job, **fields)


def meet(run, number=0):
    for rank in range(2):
        ready(run, rank, number)
    formed(run, (number, number))


def end(run, number=0):
    for rank in range(2):
        run.done(f"gang-{rank}", f"worker-{rank + 1}", number)
    run.job_done()


def test_a_gang_as_it_should_be():
    run = gang()
    meet(run)
    end(run)
    assert broken(run) == []


def test_a_gang_that_begins_again_as_a_whole():
    run = gang()
    meet(run)
    run.failed("gang-1", "worker-2", reason="died")
    run.cancelled("gang-0", "worker-1")
    begin(run, number=1)
    meet(run, 1)
    end(run, 1)
    assert broken(run) == []


def test_a_member_that_starts_again_alone_where_it_may():
    run = gang("one")
    meet(run)
    run.failed("gang-1", "worker-2", reason="died")
    run.started("gang-1", "worker-2", 1)
    ready(run, 1, 1)
    formed(run, (0, 1), new=[1])
    run.done("gang-0", "worker-1")
    run.done("gang-1", "worker-2", 1)
    run.job_done()
    assert broken(run) == []


def test_a_member_that_starts_again_alone_where_all_must():
    run = gang()
    meet(run)
    run.failed("gang-1", "worker-2", reason="died")
    wrong = run.started("gang-1", "worker-2", 1)
    assert (14, line_of(run, wrong)) in broken(run)


def test_a_gang_that_starts_while_some_of_it_still_runs():
    run = gang()
    meet(run)
    run.failed("gang-1", "worker-2", reason="died")
    wrong = begin(run, ranks=[1], number=1)
    assert (14, line_of(run, wrong)) in broken(run)


def test_a_member_without_the_others():
    run = gang(ranks=[0])
    wrong = ready(run, 0)
    assert (14, line_of(run, wrong)) in broken(run)


def test_a_gang_of_another_size():
    run = Run()
    run.submitted(2, 0, kind="gang", source="data-1", publishes=False, restart="all")
    wrong = run.tell("gang_started", job=run.job, members=1, cause="JobSubmitted")
    assert (14, line_of(run, wrong)) in broken(run)


@pytest.mark.parametrize(
    "told",
    [
        {"attempts": [0, 7]},
        {"attempts": [0]},
        {"addresses": ["there:00", "elsewhere:1"]},
    ],
)
def test_members_that_are_told_of_others_that_are_not_there(told):
    run = gang()
    ready(run, 0)
    ready(run, 1)
    wrong = formed(run, **told)
    assert (14, line_of(run, wrong)) in broken(run)


def test_members_that_are_told_of_one_that_failed():
    run = gang("one")
    ready(run, 0)
    ready(run, 1)
    run.failed("gang-1", "worker-2", reason="died")
    wrong = formed(run)
    assert (14, line_of(run, wrong)) in broken(run)


def test_a_member_that_ends_before_it_met_the_others():
    run = gang()
    wrong = run.done("gang-0", "worker-1")
    assert (14, line_of(run, wrong)) in broken(run)
