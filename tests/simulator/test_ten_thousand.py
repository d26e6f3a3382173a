"""Ten thousand seeds that nobody has run before, and every failure class among them.

The seeds follow from the day, so that each day's runs are new and all of one day agree; a failure
prints the line that repeats it, on any day. MINIMR_SEEDS_FROM takes others, MINIMR_SOAK more.
"""

import os
from datetime import UTC, datetime

import pytest

from minimr.simulator.seeds import Sweep, Tally, replay_line, sweep

pytestmark = pytest.mark.slow
SOAK = int(os.environ.get("MINIMR_SOAK", "1"))
SAFETY, LIVENESS = 10_000 * SOAK, 2_000 * SOAK
TWICE_ONE_IN = 100 if SOAK == 1 else 10
A_DAY = 10_000_000


def first_seed() -> int:
    today = datetime.now(UTC).toordinal() * A_DAY
    return int(os.environ.get("MINIMR_SEEDS_FROM", today))


@pytest.fixture(scope="module", params=[("safety", SAFETY), ("liveness", LIVENESS)])
def swept(request: pytest.FixtureRequest) -> tuple[Sweep, Tally]:
    mode, count = request.param
    wanted = Sweep(first_seed(), first_seed() + count - 1, mode, twice_one_in=TWICE_ONE_IN)
    tally = sweep(wanted, processes=2)
    print(f"{mode}: {tally.seeds / tally.seconds:.0f} seeds/s, {tally.events} events")
    return wanted, tally


def test_no_promise_is_broken(swept: tuple[Sweep, Tally]) -> None:
    wanted, tally = swept
    broken = [(replay_line(wanted, each.seed), each.violations) for each in tally.failures]
    assert broken == []
    assert tally.seeds == wanted.last - wanted.first + 1


def test_every_failure_class_occurs(swept: tuple[Sweep, Tally]) -> None:
    wanted, tally = swept
    if wanted.mode == "safety":
        assert tally.never() == []
