from collections.abc import Sequence

import pytest

from minimr.errors import UsageError
from minimr.simulator.faults import Fault
from minimr.simulator.run import WorldPlan
from minimr.simulator.shrink import regression_test, shrink
from minimr.simulator.world import GangPlan

MANY = [Fault("crash", 0.1234 + number, (number % 3,), number + 2.345, 0.5) for number in range(17)]


def having(*wanted: int):
    """Fails as long as these of MANY are there, by their targets and whole seconds."""

    def fails(faults: Sequence[Fault]) -> bool:
        there = [(fault.target, int(fault.at)) for fault in faults]
        return all((MANY[number].target, int(MANY[number].at)) in there for number in wanted)

    return fails


@pytest.mark.parametrize("wanted", [(), (0,), (16,), (3, 11), (0, 8, 16), tuple(range(17))])
def test_only_what_is_needed_is_left(wanted: tuple[int, ...]) -> None:
    left = shrink(MANY, having(*wanted))
    assert [int(fault.at) for fault in left] == list(wanted)


def test_what_is_left_is_made_simple() -> None:
    (left,) = shrink(MANY, having(5))
    assert left == Fault("crash", 5.0, MANY[5].target)


def test_numbers_that_matter_stay() -> None:
    (left,) = shrink(MANY[:1], lambda faults: bool(faults) and faults[0].at > 0.11)
    assert left == Fault("crash", 0.12, (0,))


def test_a_schedule_that_does_not_fail_cannot_be_shrunk() -> None:
    with pytest.raises(UsageError):
        shrink(MANY, lambda faults: False)


@pytest.mark.parametrize(
    "plan", [WorldPlan(3, 1, 4, 2), WorldPlan(3, 1, 4, 1, gang=GangPlan(3, "one"))]
)
def test_the_test_that_comes_out_runs(plan: WorldPlan) -> None:
    text = regression_test(5, plan, [Fault("crash", 1.0, (0,), until=2.0)], 'a "promise" broke.')
    room: dict[str, object] = {}
    exec("from minimr.simulator.run import WorldPlan, simulate\n", room)
    exec("from minimr.simulator.gang_worlds import Dataset, GangPlan\n", room)
    exec("from minimr.simulator.faults import Fault\n" + text, room)
    room["test_seed_5"]()  # type: ignore[operator]
