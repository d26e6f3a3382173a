from collections import Counter

import pytest

from minimr.simulator.faults import KINDS, Fault, check_fault
from minimr.simulator.schedule import RARE, bound_s, end_of, plan_for, schedule
from minimr.simulator.world import WorldPlan

PLAN = WorldPlan(workers=3, slots=1, maps=4, reduces=2)


@pytest.mark.parametrize("mode", ["safety", "liveness"])
def test_every_schedule_is_possible_and_in_order(mode: str) -> None:
    for seed in range(300):
        plan = plan_for(seed)
        faults = schedule(seed, plan, mode=mode)
        for fault in faults:
            check_fault(fault, plan.workers, plan.maps)
        assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)


def test_a_seed_draws_the_same_again_and_another_seed_something_else() -> None:
    drawn = [(plan_for(seed), tuple(schedule(seed, plan_for(seed)))) for seed in range(50)]
    again = [(plan_for(seed), tuple(schedule(seed, plan_for(seed)))) for seed in range(50)]
    assert drawn == again
    assert len(dict.fromkeys(drawn)) == 50


def test_every_kind_of_fault_is_drawn() -> None:
    seen = Counter(fault.kind for seed in range(600) for fault in schedule(seed, plan_for(seed)))
    assert sorted(seen) == sorted(kind for kind in KINDS if kind != "heal")


def test_kinds_can_be_chosen() -> None:
    for seed in range(30):
        kinds = {fault.kind for fault in schedule(seed, PLAN, ["crash", "delay"])}
        assert kinds <= {"crash", "delay"}
        assert schedule(seed, PLAN, []) == []


def test_no_job_is_broken_in_two_ways_of_one_kind() -> None:
    for seed in range(600):
        drawn = Counter(fault.kind for fault in schedule(seed, plan_for(seed)))
        assert all(drawn[kind] <= 1 for kind in RARE)


def test_liveness_ends_with_one_worker_that_is_well_and_nothing_that_excuses() -> None:
    for seed in range(200):
        plan = plan_for(seed)
        *faults, heal = schedule(seed, plan, mode="liveness")
        healed = [heal, *(fault for fault in faults if fault.kind == "heal")]
        assert len([fault for fault in healed if fault.kind == "heal"]) == 1
        assert not any(KINDS[fault.kind].harms for fault in faults)


def test_the_bound_grows_with_the_work_and_the_faults() -> None:
    large = WorldPlan(workers=3, slots=1, maps=40, reduces=2)
    late = [Fault("crash", 100.0, (0,), until=200.0)]
    assert bound_s(PLAN, []) < bound_s(large, [])
    assert bound_s(PLAN, late) >= bound_s(PLAN, []) + 200.0
    assert end_of(late) == 200.0
    assert end_of([]) == 0.0
