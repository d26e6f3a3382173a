"""Worlds under faults, end to end. The oracle is the sequential run."""

import gc
import weakref
from collections.abc import Iterable
from typing import Any

import pytest

from minimr.errors import UsageError
from minimr.simulator.faults import KINDS, Fault
from minimr.simulator.run import Outcome, WorldPlan, simulate
from minimr.simulator.work import Load, Phase

PLAN = WorldPlan(workers=3, slots=1, maps=6, reduces=2)
FROM_THE_START = ("user_exception", "segfault", "nondeterministic")


def named(outcome: Outcome, event: str) -> list[dict[str, Any]]:
    return [line for line in outcome.log if line["event"] == event]


def run(*faults: Fault, plan: WorldPlan = PLAN, seed: int = 5) -> Outcome:
    """A run that breaks no promise."""
    outcome = simulate(seed, plan=plan, faults=faults)
    assert outcome.violations == []
    return outcome


def reasons(outcome: Outcome) -> set[str]:
    return {line["reason"] for line in named(outcome, "attempt_failed")}


def test_a_healthy_job_ends_well_with_every_attempt_a_winner() -> None:
    outcome = run(plan=WorldPlan(3, 1, 6, 2, backups=False))
    assert outcome.ok
    assert len(named(outcome, "attempt_started")) == 8
    assert len(named(outcome, "commit_granted")) == 2
    assert named(outcome, "world_closed")[0]["leftovers"] == []


@pytest.mark.parametrize("inline", [(), (0, 3), tuple(range(6))], ids=["disk", "both", "inline"])
def test_map_output_travels_by_disk_or_inside_the_message(inline: tuple[int, ...]) -> None:
    plan = WorldPlan(3, 1, 6, 2, inline=inline)
    assert run(Fault("crash", 4.0, (0,), until=6.0), plan=plan).ok


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "heal"])
def test_every_kind_of_fault_strikes_and_breaks_no_promise(kind: str) -> None:
    target = {"worker": (1,), "two workers": (0, 1), "map": (2,), "a worker, or nothing": (1,)}
    where = target.get(KINDS[kind].target, () if KINDS[kind].target == "nothing" else (0, 2))
    amount = 3.0 if kind in ("slow", "delay", "loss", "duplicate", "clock_jump") else 0.5
    for at in (1.0, 2.5, 4.0):
        fault = Fault(kind, 0.0 if kind in FROM_THE_START else at, where, at + 3.0, amount)
        outcome = run(fault)
        assert [line["kind"] for line in named(outcome, "fault")] == [kind]


def test_a_crash_with_a_word_is_noticed_at_once_and_one_without_by_the_lease() -> None:
    plan = WorldPlan(3, 1, 6, 2, backups=False)
    loud = run(Fault("crash", 2.0, (0,)), plan=plan)
    (lost,) = named(loud, "worker_lost")
    assert lost["t"] < 2.1
    silent = run(Fault("crash", 2.0, (0,), amount=1.0), plan=plan)
    (lost,) = named(silent, "worker_lost")
    assert lost["t"] > 10.0


def test_damage_is_found_at_the_fetch_and_the_map_made_again() -> None:
    for kind in ("corrupt", "truncate"):
        outcome = run(*(Fault(kind, 4.0, (number,)) for number in range(3)), seed=3)
        assert outcome.ok
        assert named(outcome, "output_lost")
        assert "fetch" in reasons(outcome)


def test_a_full_disk_fails_attempts_with_the_bytes_needed() -> None:
    outcome = run(Fault("full_disk", 0.0, (0,)), Fault("full_disk", 0.0, (1,)))
    if "disk_full" in reasons(outcome):
        failed = named(outcome, "attempt_failed")
        assert "bytes needed" in next(x["error"] for x in failed if x["reason"] == "disk_full")
    assert outcome.ok


def test_a_coordinator_that_dies_in_the_middle_of_a_write_goes_on() -> None:
    for share in (0.1, 0.5, 0.99, 1.0):
        outcome = run(Fault("coordinator_crash", 1.0, (), 3.0, share))
        assert outcome.ok
        assert [line["epoch"] for line in named(outcome, "coordinator_started")] == [1]


def test_no_world_outlives_its_run_though_failures_of_its_job_are_remembered() -> None:
    worlds = []
    fault = Fault("user_exception", 0.0, (2,))
    simulate(5, plan=PLAN, faults=[fault], prepare=lambda world: worlds.append(weakref.ref(world)))
    gc.collect()
    assert [world() for world in worlds] == [None]


def test_a_poisoned_record_fails_the_job_at_the_second_time_or_is_skipped() -> None:
    fault = Fault("user_exception", 0.0, (2,))
    failed = run(fault)
    assert not failed.ok
    assert "failed twice at the same record" in failed.error
    skipped = run(fault, plan=WorldPlan(3, 1, 6, 2, skip_max=1))
    assert skipped.ok
    assert named(skipped, "job_done")[0]["skipped"] == 1


def test_a_record_that_kills_its_process_is_located_and_skipped() -> None:
    fault = Fault("segfault", 0.0, (2,))
    failed = run(fault)
    assert "failed twice at the same record" in failed.error
    skipped = run(fault, plan=WorldPlan(3, 1, 6, 2, skip_max=1))
    assert skipped.ok
    assert reasons(skipped) == {"died"}


def test_a_stuck_attempt_is_given_up_and_its_worker_is_not() -> None:
    stuck = [Fault("stuck", 1.5, (number,)) for number in range(3)]
    outcome = run(*stuck, plan=WorldPlan(3, 1, 6, 2, backups=False))
    assert "stuck" in reasons(outcome)
    assert not named(outcome, "worker_lost")


def test_output_that_differs_when_made_again_is_a_clear_error_or_was_never_read() -> None:
    told = set()
    for seed in range(40):
        faults = (Fault("nondeterministic", 0.0, (2,)), Fault("restart", 5.0, (0,)))
        outcome = simulate(seed, plan=PLAN, faults=faults)
        assert outcome.violations == []
        told.add(outcome.error[:32])
    assert told == {"", "map-2 gave other output when it "}


def test_a_cancelled_job_leaves_nothing() -> None:
    outcome = run(Fault("cancel", 1.0))
    assert (outcome.ok, outcome.error) == (False, "cancelled")


def test_without_a_worker_a_job_waits_and_breaks_no_promise() -> None:
    gone = [Fault("crash", 1.5, (number,)) for number in range(3)]
    outcome = run(*gone)
    assert (outcome.ok, outcome.error) == (False, "it did not end")


def test_impossible_faults_are_refused() -> None:
    with pytest.raises(UsageError):
        simulate(1, plan=PLAN, faults=[Fault("crash", 1.0, (7,))])


class Steady:
    """A cost model in which everything takes as long as anything else."""

    latency_s = 0.001
    heartbeats = False

    def start_s(self, worker: int) -> float:
        return 0.0

    def slot_start_s(self, worker: int) -> float:
        return 0.1

    def map_phases(self, worker: int, index: int, load: Load) -> Iterable[Phase]:
        assert load.maps >= 1
        yield Phase("input", 10.0, 100)

    def fetch_phases(self, worker: int, index: int, load: Load) -> Iterable[Phase]:
        yield Phase("shuffle", 10.0, 100)

    def reduce_phases(self, worker: int, index: int, load: Load) -> Iterable[Phase]:
        yield Phase("output", 10.0, 100)

    def map_bytes(self, index: int) -> int:
        return 100

    def publish_s(self) -> float:
        return 0.0


def test_a_world_of_costs_alone_takes_the_time_of_its_model() -> None:
    plan = WorldPlan(workers=10, slots=1, maps=40, reduces=20, backups=False)
    outcome = simulate(0, plan=plan, faults=[], costs=Steady())
    assert outcome.ok
    assert outcome.violations == []
    assert outcome.seconds == pytest.approx(4 * 10 + 2 * 20, rel=0.02)
    moved = dict.fromkeys(("input", "shuffle", "output"), 0)
    for transfer in outcome.traffic:
        moved[transfer.kind] += transfer.size_bytes
    assert moved == {"input": 4000, "shuffle": 2000, "output": 2000}


def test_a_world_of_costs_alone_loses_map_outputs_with_their_workers() -> None:
    plan = WorldPlan(workers=10, slots=1, maps=40, reduces=20, backups=False)
    faults = [Fault("crash", 45.0, (number,), until=46.0) for number in (0, 1)]
    outcome = simulate(0, plan=plan, faults=faults, costs=Steady())
    assert outcome.ok
    assert outcome.violations == []
    assert len(named(outcome, "output_lost")) == 8
    assert "fetch" in reasons(outcome)
