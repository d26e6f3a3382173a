"""Worlds with a gang: a dataset is loaded, and members that need each other work on it.

They are drawn from seeds like all others, with the faults that concern them. A coordinator that
dies takes datasets and gangs along, so here it is only stopped. In every third world the faults
end, and one worker alone is left: the gang must end there, or say that it is too large.
"""

# ruff: noqa: ARG002  A dataset ignores what a job would be given.

import random
import zlib
from collections.abc import Mapping, Sequence

from minimr.simulator.computation import MadeMap, MadePart, Skip
from minimr.simulator.faults import Fault
from minimr.simulator.run import Outcome, simulate
from minimr.simulator.schedule import schedule
from minimr.simulator.world import GangPlan, WorldPlan

LIVENESS_EVERY = 3
KINDS = (
    "crash",
    "restart",
    "drain",
    "pause",
    "slow",
    "partition",
    "partition_one_way",
    "partition_workers",
    "delay",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "truncate",
    "coordinator_pause",
    "clock_jump",
    "swizzle_clog",
    "slot_death",
    "stuck",
    "cancel",
)
"""The faults that concern a gang."""


class Dataset:
    """The computation of such a world: partition i is some bytes that tell i. No task fails."""

    reduces = 1
    skip_max = 0
    has_bytes = True

    def __init__(self, maps: int) -> None:
        self.maps = maps

    def map(self, index: int, skip: Skip = ()) -> MadeMap:
        data = partition(index)
        return MadeMap((data,), (zlib.crc32(data),), None, 1, 1)

    def reduce(self, partition: int, segments: Sequence[bytes], skip: Skip = ()) -> MadePart:
        return MadePart(b"")

    def inputs(self, digests: Mapping[int, str]) -> str | None:
        return None


def partition(index: int) -> bytes:
    return f"partition {index}".encode()


def gang_plan(seed: int, workers: int | None = None) -> WorldPlan:
    """The world of a seed: mostly with room for the gang, sometimes just so, seldom without."""
    chance = random.Random(3 * seed + 1)
    drawn, slots = chance.randint(2, 4), chance.randint(1, 2)
    workers = workers or drawn
    room = workers * slots
    members = chance.choice([1, room, room, max(1, room - 1), chance.randint(1, room), room + 1])
    return WorldPlan(
        workers=workers,
        slots=slots,
        maps=members + chance.randint(0, 3),
        reduces=1,
        gang=GangPlan(members, chance.choice(["all", "one"]), chance.random() < 0.5),
    )


def gang_faults(
    seed: int, plan: WorldPlan, kinds: Sequence[str] | None = None, mode: str = "safety"
) -> list[Fault]:
    """The faults of a seed, of these kinds or of some that the seed draws."""
    chance = random.Random(3 * seed)
    drawn = chance.sample(KINDS, chance.choice((1, 2, 3, 5, 8)))
    return schedule(seed, plan, drawn if kinds is None else kinds, mode)


def run_gang(seed: int, kinds: Sequence[str] | None = None) -> Outcome:
    """Draw the world and the faults of a seed, and run it to its end."""
    plan = gang_plan(seed)
    mode = "liveness" if seed % LIVENESS_EVERY == 0 else "safety"
    faults = gang_faults(seed, plan, kinds, mode)
    return simulate(seed, plan=plan, faults=faults, computation=Dataset(plan.maps), mode=mode)
