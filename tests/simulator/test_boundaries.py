"""The coordinator dies at every place of its journal where it can, and goes on.

`make test` takes every border of a record, and every byte of the last write, of three jobs.
`make soak` takes every byte of every write, of fifty.
"""

import pytest

from minimr.simulator.boundaries import crash_everywhere, places
from minimr.simulator.schedule import plan_for
from minimr.simulator.world import WorldPlan

SMALL = WorldPlan(workers=2, slots=1, maps=3, reduces=2)
LARGER = (
    (2, WorldPlan(workers=3, slots=2, maps=6, reduces=3, inline=(1, 4))),
    (3, WorldPlan(workers=2, slots=1, maps=5, reduces=1, inline=(0, 1, 2, 3, 4))),
    (4, WorldPlan(workers=4, slots=1, maps=8, reduces=4, backups=False)),
)
MORE = [(seed, plan_for(seed)) for seed in range(5, 52)]


def check(seed: int, plan: WorldPlan, every_byte: bool = False) -> int:
    """Every crash is survived, by going on. Returns how many there were."""
    count = 0
    for place, outcome in crash_everywhere(seed, plan, every_byte):
        assert (outcome.violations, outcome.ok) == ([], True), place
        started = [line["epoch"] for line in outcome.log if line["event"] == "coordinator_started"]
        assert started == [1], place
        count += 1
    return count


def test_the_places_begin_with_nothing_and_end_with_everything() -> None:
    found = places(1, SMALL)
    writes = sorted({place.write for place in found})
    assert writes == list(range(1, len(writes) + 1))
    for write in writes:
        kept = [place.kept_bytes for place in found if place.write == write]
        assert kept[0] == 0
        assert kept[-1] == found[[p.write for p in found].index(write)].size_bytes
    last = [place.kept_bytes for place in found if place.write == writes[-1]]
    assert last == list(range(len(last)))
    assert len(places(1, SMALL, every_byte=True)) > 5 * len(found)


def test_a_crash_at_every_boundary_is_survived() -> None:
    assert check(1, SMALL) > 50


def test_a_crash_at_every_boundary_of_larger_jobs_is_survived() -> None:
    for seed, plan in LARGER:
        assert check(seed, plan) > 50


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("seed", "plan"), [*LARGER, *MORE])
def test_a_crash_at_every_byte_of_the_journal_is_survived(seed: int, plan: WorldPlan) -> None:
    assert check(seed, plan, every_byte=True) > 1000
