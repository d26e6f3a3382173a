"""All orders of a tiny world. The numbers of states only say that the search went everywhere.

`make test` has at most one crash and one duplicate in them; `make soak` a restart of the
coordinator, too.
"""

import pytest

from minimr.scheduler import attempts
from minimr.simulator.explore import explore
from minimr.simulator.timeless import Broken, Limits, Model


def test_every_order_of_a_healthy_job_ends_well() -> None:
    found = explore(Limits(crashes=0, duplicates=0))
    assert found.broken == []
    assert found.states > 100
    assert found.ends >= 2


def test_every_order_with_a_duplicate_ends_well() -> None:
    """Here nothing is stuck that a crash would set going again. A crash alone is in the next test:
    what nothing can follow has no report under way that could come twice."""
    assert explore(Limits(0, 1)).broken == []


@pytest.mark.slow
def test_every_order_with_a_crash_and_a_duplicate_ends_well() -> None:
    found = explore(Limits(1, 1))
    assert found.broken == []
    assert found.states > 10_000


@pytest.mark.slow
@pytest.mark.soak
def test_every_order_with_a_restart_of_the_coordinator_ends_well() -> None:
    found = explore(Limits(0, 0, 1))
    assert found.broken == []
    assert found.states > 10_000


def test_a_path_can_be_walked_again_to_the_same_state() -> None:
    keys = []
    for _ in range(2):
        model = Model(Limits())
        for _ in range(12):
            model.apply(list(model.choices())[-1])
        keys.append(model.key())
    assert keys[0] == keys[1]


def test_a_scheduler_that_accepts_every_completion_is_found_out(monkeypatch) -> None:
    """Whether the attempt still runs is what makes a commit unique."""
    accept = attempts.done

    def careless(turn, event) -> None:
        job = turn.state.jobs.get(event.attempt.job)
        worker = turn.state.workers.get(event.worker)
        if job and worker and event.attempt.stage == "reduce":
            task = job.task(event.attempt)
            if task.winner is not None:
                turn.record_attempt("commit_granted", event.attempt, worker.name, again=True)
                raise Broken("a second commit")
        accept(turn, event)

    from minimr.scheduler import events
    from minimr.scheduler.scheduler import HANDLERS

    monkeypatch.setitem(HANDLERS, events.AttemptDone, careless)
    found = explore(Limits(0, 1))
    assert found.broken
