"""Worlds with a gang: whatever breaks, the result is the known one or the failure has a reason."""

from collections import Counter

import pytest

from minimr.simulator.faults import Fault
from minimr.simulator.gang_member import expected
from minimr.simulator.gang_worlds import Dataset, gang_plan, partition, run_gang
from minimr.simulator.run import simulate
from minimr.simulator.world import GangPlan, WorldPlan

SEEDS = 120


@pytest.fixture(scope="module")
def outcomes():
    return [run_gang(seed) for seed in range(SEEDS)]


def test_no_seed_breaks_a_promise(outcomes):
    assert {each.seed: each.violations for each in outcomes if each.violations} == {}


def test_the_seeds_see_all_that_can_happen_to_a_gang(outcomes):
    seen = Counter(line["event"] for each in outcomes for line in each.log)
    for event in ("gang_started", "gang_formed", "gang_restarted", "gang_waits", "member_ready"):
        assert seen[event], event
    alone = [
        line
        for each in outcomes
        for line in each.log
        if line["event"] == "gang_formed" and len(line["new"]) < len(line["attempts"])
    ]
    assert alone, "no member ever started again alone"
    ends = Counter(each.ok for each in outcomes)
    assert min(ends[True], ends[False]) > SEEDS // 10


def test_the_same_seed_gives_the_same_log(outcomes):
    for seed in range(0, SEEDS, 20):
        assert run_gang(seed).log_hash == outcomes[seed].log_hash


def test_the_result_of_a_gang_is_known_beforehand():
    contents = [partition(index) for index in range(3)]
    first, second = expected(contents, 2)
    assert first.partition(b":")[2] == second.partition(b":")[2]
    assert expected(contents, 1)[0] != first


@pytest.mark.parametrize("restart", ["all", "one"])
def test_a_lost_worker_costs_time_and_nothing_else(restart):
    plan = WorldPlan(3, 1, 5, 1, gang=GangPlan(3, restart))
    faults = [Fault("restart", 4.0, (1,)), Fault("slot_death", 6.0, (0,))]
    outcome = simulate(3, plan=plan, faults=faults, computation=Dataset(plan.maps))
    assert outcome.ok
    assert outcome.violations == []


def test_a_gang_that_is_too_large_says_so_within_its_patience():
    plan = WorldPlan(2, 1, 3, 1, gang=GangPlan(3, "all"))
    outcome = simulate(1, plan=plan, faults=[], computation=Dataset(plan.maps))
    assert "the gang has 3 members, and the cluster has 2 slots" in outcome.error
    assert outcome.seconds < 30
    assert outcome.violations == []


def test_plans_are_drawn_from_the_seed_and_vary():
    plans = [gang_plan(seed) for seed in range(100)]
    assert plans == [gang_plan(seed) for seed in range(100)]
    spare = [plan.workers * plan.slots - plan.gang.members for plan in plans]
    assert min(sum(room < 0 for room in spare), spare.count(0), sum(room > 0 for room in spare)) > 5
    assert {plan.gang.restart for plan in plans} == {"all", "one"}
