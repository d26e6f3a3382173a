"""The cost model against sums that a reader can do by hand, and against the paper's hardware."""

import math
from itertools import pairwise

import pytest

from minimr.simulator import cost
from minimr.simulator.cost import MB, PaperCosts, Workload, paces, pieces
from minimr.simulator.osdi04 import GREP, SORT
from minimr.simulator.work import Load

WORKERS = 1746


@pytest.fixture
def sort():
    return PaperCosts(SORT, WORKERS)


def seconds(phases):
    return sum(phase.seconds for phase in phases)


def healthy(costs):
    """A worker of about average pace."""
    return min(range(costs.workers), key=lambda worker: abs(costs.paces[worker] - 1))


def test_the_work_is_the_papers():
    assert GREP.maps * GREP.split_bytes == pytest.approx(1e12, rel=1e-4)
    assert SORT.reduces * SORT.part_bytes == pytest.approx(1e12, rel=1e-4)
    assert SORT.split_bytes == pytest.approx(64 * 2**20, rel=0.01)
    assert GREP.part_bytes == 9_233_700


def test_a_sorts_map_spends_about_half_its_time_on_its_output(sort):
    read, spill = sort.map_phases(healthy(sort), 0, Load())
    assert (read.kind, read.size_bytes, spill.size_bytes) == ("input", SORT.split_bytes, 0)
    assert 0.4 < spill.seconds / (read.seconds + spill.seconds) < 0.65


def test_all_machines_together_scan_as_fast_as_the_paper_says(sort):
    load = Load()
    sort_s = seconds(sort.map_phases(healthy(sort), 0, load))
    grep_s = seconds(PaperCosts(GREP, 1764).map_phases(healthy(sort), 0, load))
    assert 12e9 < WORKERS * SORT.split_bytes / sort_s < 14e9
    assert 30e9 < 1764 * GREP.split_bytes / grep_s < 37e9


def test_all_machines_together_write_as_fast_as_the_paper_says(sort):
    *_, write = sort.reduce_phases(healthy(sort), 0, Load(reduces=WORKERS))
    assert (write.kind, write.size_bytes) == ("output", SORT.part_bytes)
    assert 2e9 < WORKERS * write.size_bytes / write.seconds < 4e9


def test_a_fetch_brings_every_byte_once(sort):
    phases = list(sort.fetch_phases(healthy(sort), 0, Load(fetches=WORKERS)))
    assert {phase.kind for phase in phases} == {"shuffle"}
    assert sum(phase.size_bytes for phase in phases) == SORT.part_bytes


def test_seeking_disks_limit_a_full_shuffle(sort):
    """A machine's two disks give 1/(13 ms + 17 kB at 30 MB/s) segments each in a second."""
    segment = 250e6 / 15_000
    one_machine = 2 * segment / (0.013 + segment / 30e6)
    assert sort.fetch_rate(Load(fetches=WORKERS)) == pytest.approx(one_machine, rel=0.01)


def test_shares_of_the_disks_add_up_to_the_disks(sort):
    rates = [n * sort.fetch_rate(Load(fetches=n)) for n in (WORKERS, 2 * WORKERS, 10 * WORKERS)]
    assert rates == pytest.approx([rates[0]] * 3)


def test_one_reducer_alone_waits_for_round_trips(sort):
    assert sort.fetch_rate(Load(fetches=1)) == pytest.approx(SORT.segment_bytes / 0.001)
    grep = PaperCosts(GREP, 1764)
    assert seconds(grep.fetch_phases(healthy(grep), 0, Load(fetches=1))) == pytest.approx(
        15, rel=0.1
    )


def test_large_segments_are_limited_by_a_reducers_network_card():
    few = Workload(10, 1, 10**9, 10**9, 10**10, 10)
    assert PaperCosts(few, WORKERS).fetch_rate(Load(fetches=1)) == 125 * MB


def test_the_root_of_the_network_is_shared_by_all_that_cross_it():
    few = Workload(10, 1, 10**9, 10**9, 10**10, 10)
    rate = PaperCosts(few, 1800).fetch_rate(Load(fetches=900, reduces=900))
    assert rate * 1800 == pytest.approx(150e9 / 8)


def test_a_rate_is_asked_for_again_while_bytes_move(sort):
    load = Load(fetches=WORKERS)
    phases = sort.fetch_phases(healthy(sort), 0, load)
    before = next(phases)
    load.fetches = WORKERS // 2
    after = next(phases)
    assert after.size_bytes == pytest.approx(2 * before.size_bytes, rel=0.01)


def test_pieces_last_a_step_each_but_for_the_last():
    phases = list(pieces("shuffle", 1000, lambda: 150.0))
    assert [phase.size_bytes for phase in phases] == [300, 300, 300, 100]
    assert [phase.seconds for phase in phases[:3]] == [cost.STEP_S] * 3
    assert seconds(phases) == pytest.approx(1000 / 150)


def test_a_crawling_rate_still_moves_bytes():
    assert [phase.size_bytes for phase in pieces("shuffle", 3, lambda: 0.001)] == [1, 1, 1]


def test_a_slow_machine_takes_longer_for_its_own_work(sort):
    slow, well = sort.paces.index(cost.SLOW_PACE), healthy(sort)
    for phases in (sort.map_phases, sort.reduce_phases):
        for late, timely in zip(phases(slow, 0, Load()), phases(well, 0, Load()), strict=True):
            assert late.seconds / timely.seconds == pytest.approx(cost.SLOW_PACE, rel=0.01)
            assert late.size_bytes == timely.size_bytes


def test_a_slow_machine_fetches_from_disks_that_are_not_slow(sort):
    slow, well, load = sort.paces.index(cost.SLOW_PACE), healthy(sort), Load(fetches=WORKERS)
    assert list(sort.fetch_phases(slow, 0, load)) == list(sort.fetch_phases(well, 0, load))


@pytest.mark.parametrize("seed", range(5))
def test_two_seeds_differ_in_luck_and_not_in_hardware(seed):
    drawn = paces(WORKERS, seed)
    assert sorted(drawn) == sorted(paces(WORKERS, seed + 1))
    assert drawn != paces(WORKERS, seed + 1)
    assert drawn.count(cost.SLOW_PACE) == 5
    assert sum(drawn) / WORKERS == pytest.approx(1.0, abs=0.02)


def test_a_small_cluster_has_one_slow_machine():
    assert paces(20, 0).count(cost.SLOW_PACE) == 1


def test_workers_register_after_a_minute_and_one_after_another(sort):
    starts = sorted(sort.start_s(worker) for worker in range(WORKERS))
    assert starts[0] == cost.PROGRAM_S
    gaps = [after - before for before, after in pairwise(starts)]
    assert gaps == pytest.approx([cost.RAMP_S / WORKERS] * (WORKERS - 1))


def test_a_cut_keeps_the_size_of_tasks_and_segments():
    small = SORT.cut(20)
    assert (small.maps, small.reduces) == (750, 200)
    assert small.segment_bytes == SORT.segment_bytes
    whole = PaperCosts(SORT, 1740).fetch_rate(Load(fetches=1740))
    assert PaperCosts(small, 87).fetch_rate(Load(fetches=87)) == pytest.approx(whole)


def test_a_cut_keeps_one_reduce_task():
    assert GREP.cut(20).reduces == 1
    assert math.isclose(GREP.cut(20).part_bytes, GREP.part_bytes)
