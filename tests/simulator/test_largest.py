"""Worlds of the size that the paper speaks of (section 3.5), and larger ones.

The largest takes over a minute: `make test` runs NO world of 205,000 tasks, and `make soak` does.
"""

import resource

import pytest

from minimr.simulator import osdi04
from minimr.simulator.cost import PaperCosts, Workload
from minimr.simulator.run import WorldPlan, simulate

pytestmark = pytest.mark.slow


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.soak
def test_the_largest_job_of_the_paper_fits_in_memory() -> None:
    """4 GB at most: nothing may be of size M x R, which would be a billion here."""
    facts = osdi04.run("osdi04-largest").plain()
    assert facts["ok"]
    assert facts["attempts"] >= 205_000
    assert peak_kb() < 4_000_000


def test_ten_thousand_workers() -> None:
    workers, maps, reduces = 10_000, 5_000, 1_000
    split_bytes = 64 * 10**6
    work = Workload(maps, reduces, split_bytes, split_bytes, maps * split_bytes // reduces, maps)
    plan = WorldPlan(workers, 1, maps, reduces)
    outcome = simulate(0, plan=plan, faults=[], costs=PaperCosts(work, workers, 0))
    assert outcome.ok
    assert outcome.violations == []
