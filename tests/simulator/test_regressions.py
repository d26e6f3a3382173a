"""Schedules that once broke a promise. New ones come from `minimr sim --seed N --shrink`."""

import pytest

from minimr.simulator.faults import Fault
from minimr.simulator.gang_worlds import Dataset, GangPlan
from minimr.simulator.run import WorldPlan, simulate

TWO = WorldPlan(workers=2, slots=1, maps=6, reduces=3)
THREE = WorldPlan(workers=3, slots=2, maps=6, reduces=3)


def check(plan: WorldPlan, *faults: Fault, seeds: int = 25) -> None:
    for seed in range(seeds):
        assert simulate(seed, plan=plan, faults=faults).violations == [], seed


def test_a_worker_that_returns_with_output_the_journal_lost_is_told_to_forget_it() -> None:
    for at in (0.6, 1.2, 2.4):
        check(THREE, Fault("coordinator_crash", at, (), at + 0.5, 0.7))


def test_a_task_avoided_by_one_worker_and_failed_on_the_other_still_runs() -> None:
    """Two workers: one lost its output to damage, the other's disk is full."""
    check(TWO, Fault("full_disk", 3.0, (0,)), Fault("corrupt", 4.0, (1,)))
    check(TWO, Fault("full_disk", 3.0, (1,), until=9.0), Fault("corrupt", 4.0, (0,)))


def test_output_made_again_before_its_old_holder_is_given_up_is_kept() -> None:
    """The coordinator restarts, a holder is cut off, and reducers are quicker than its timer."""
    check(
        THREE,
        Fault("coordinator_crash", 4.0, (), 4.5),
        Fault("crash", 4.1, (1,), amount=1.0),
    )


def test_a_draining_worker_alone_is_replaced_and_the_job_goes_on() -> None:
    check(TWO, Fault("drain", 2.0, (0,), 5.0), Fault("drain", 2.5, (1,), 5.5))


@pytest.mark.parametrize("late_s", [0.0, 0.05, 2.0, 12.0])
def test_reports_that_come_twice_change_nothing(late_s: float) -> None:
    repeats = [
        Fault("duplicate", 0.5 + place / 4, (place % 3,), amount=late_s) for place in range(24)
    ]
    check(THREE, *repeats)


def test_losses_of_the_same_output_in_several_epochs_are_told_once() -> None:
    """Restored losses are old news: what was made again since is not lost with them."""
    faults = [
        Fault("coordinator_crash", 2.0, (), 2.5),
        Fault("restart", 4.0, (0,)),
        Fault("restart", 6.0, (1,)),
        Fault("coordinator_crash", 7.0, (), 7.5, 0.4),
    ]
    check(WorldPlan(workers=2, slots=1, maps=8, reduces=4), *faults)


def test_a_backup_that_cannot_fetch_does_not_use_up_the_losses_of_its_task() -> None:
    """Its rival is silent, its holder is cut off, and it alone is left to run it: it pauses."""
    plan = WorldPlan(workers=4, slots=1, maps=3, reduces=2, inline=(0,))
    faults = [
        Fault("reorder", 0.0, (1,)),
        Fault("partition", 1.0, (0,), until=5.0),
        Fault("drain", 2.0, (2,)),
        Fault("restart", 2.0, (0,)),
        Fault("partition", 2.01, (2,)),
        Fault("drain", 2.1, (0,)),
        Fault("drain", 2.95, (1,)),
        Fault("heal", 3.0, (0,)),
    ]
    assert simulate(10170260, plan=plan, faults=faults, mode="liveness").violations == []


def test_a_coordinator_that_is_stopped_at_the_end_has_not_heard_who_wants_to_leave() -> None:
    """The fault was the checker's: it took what had arrived for what had been read."""
    plan = WorldPlan(workers=6, slots=1, maps=2, reduces=3, inline=(0,))
    faults = [
        Fault("coordinator_pause", 0.5, ()),
        Fault("restart", 2.0, (4,)),
        Fault("drain", 3.0, (4,)),
        Fault("partition_one_way", 3.0, (4,), until=4.4),
        Fault("coordinator_pause", 3.0, (), until=4.0),
        Fault("coordinator_pause", 4.3, ()),
    ]
    assert simulate(20434050, plan=plan, faults=faults).violations == []


def test_a_member_whose_worker_was_given_up_need_not_be_told_who_came_back() -> None:
    """The fault was the checker's. The news of the end was on its way to a worker that slept."""
    plan = WorldPlan(3, 1, 3, 1, inline=(), gang=GangPlan(3, "one", rival=True))
    faults = [
        Fault("pause", 9.0, (1,), until=24.0),
        Fault("pause", 19.0, (2,), until=30.0),
        Fault("delay", 20.0, (2,), amount=11.0),
    ]
    found = simulate(30003570, plan=plan, faults=faults, computation=Dataset(plan.maps))
    assert found.violations == []
