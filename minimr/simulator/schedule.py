"""Worlds and schedules of faults, drawn from a seed.

Uniform chance heals what it breaks and so hides livelocks (TigerBeetle's lesson). So there are two
modes. In *safety* mode faults go on to the end of the schedule, and nothing may ever be wrong. In
*liveness* mode they stop, all is mended for one worker and everybody else is gone for good; then
the job must end, within a time that `bound_s` computes.

Swarm testing (Groce et al., ISSTA 2012): each seed first draws which kinds of faults it uses at
all. A mixture of everything would rarely let one kind do its worst.
"""

import random
from collections.abc import Callable, Sequence
from math import inf

from minimr.scheduler import policy
from minimr.simulator.faults import KINDS, Fault
from minimr.simulator.gang_member import AWAIT_S, SILENCE_S, STEPS
from minimr.simulator.work import Small
from minimr.simulator.worker import PROGRESS_TIMEOUT_S
from minimr.simulator.world import WorldPlan

Chance = random.Random

SEED_MAX = 2**63 - 1
SPANS_S = (3.0, 8.0, 20.0)
"""Faults strike within one of these times; a job without faults takes some seconds."""
FAULTS_MAX = (4, 12, 30)
"""A schedule has at most one of these numbers of faults: few show alone, many meet."""

RARE = ("cancel", "nondeterministic", "segfault", "user_exception")
"""Faults of the job or its user; most worlds are better without."""
COMMON = tuple(kind for kind in KINDS if kind not in (*RARE, "heal"))


def plan_for(seed: int, workers: int | None = None) -> WorldPlan:
    """The world of a seed."""
    chance = Chance(3 * seed + 1)
    maps, reduces = chance.randint(1, 10), chance.randint(1, 5)
    drawn = chance.randint(2, 6)
    inline = [
        index for index in range(maps) if chance.random() < chance.choice((0.0, 0.0, 0.5, 1.0))
    ]
    skip_max = 1 if chance.random() < 0.3 else 0
    return WorldPlan(
        workers=workers or drawn,
        slots=chance.randint(1, 2),
        maps=maps,
        reduces=reduces,
        inline=tuple(inline),
        skip_max=skip_max,
        backups=chance.random() < 0.8,
    )


def schedule(
    seed: int, plan: WorldPlan, kinds: Sequence[str] | None = None, mode: str = "safety"
) -> list[Fault]:
    """The faults of a seed, in order of time. `kinds` restricts what may be drawn."""
    chance = Chance(3 * seed + 2)
    chosen = _swarm(chance) if kinds is None else list(kinds)
    span_s = chance.choice(SPANS_S)
    faults = [
        _draw(chance, chance.choice(chosen), plan, span_s)
        for _ in range(chance.randint(1, chance.choice(FAULTS_MAX)))
        if chosen
    ]
    if mode == "liveness":
        faults = [fault for fault in faults if not KINDS[fault.kind].harms]
        faults.append(Fault("heal", span_s, (chance.randrange(plan.workers),)))
    return sorted(_at_most_one_of_each_rare(faults), key=lambda fault: fault.at)


def _swarm(chance: Chance) -> list[str]:
    """Some kinds. Some worlds have but one; few have a broken job."""
    chosen = chance.sample(COMMON, chance.choice((1, 2, 3, 5, 8)))
    if chance.random() < 0.2:
        chosen.append(chance.choice(RARE))
    return chosen


def _at_most_one_of_each_rare(faults: list[Fault]) -> list[Fault]:
    first = {fault.kind: fault for fault in reversed(faults)}
    return [fault for fault in faults if fault.kind not in RARE or fault is first[fault.kind]]


def _draw(chance: Chance, kind: str, plan: WorldPlan, span_s: float) -> Fault:
    at = 0.0 if kind in RARE and kind != "cancel" else round(chance.uniform(0.05, span_s), 3)
    until = None
    if KINDS[kind].lasts:
        until = round(at + chance.choice((0.2, 1.0, 3.0, 8.0, 15.0)) * chance.uniform(0.5, 1.5), 3)
    amount = AMOUNTS.get(kind, _none)(chance)
    return Fault(kind, at, _target(chance, kind, plan), until, round(amount, 3))


def _target(chance: Chance, kind: str, plan: WorldPlan) -> tuple[int, ...]:
    workers = range(plan.workers)
    match KINDS[kind].target:
        case "worker":
            return (chance.choice(workers),)
        case "two workers":
            return tuple(chance.sample(workers, min(2, plan.workers)))
        case "map":
            return (chance.randrange(plan.maps),)
        case "a worker, or nothing":
            return (chance.choice(workers),) if chance.random() < 0.5 else ()
        case "workers, in the order of clogging":
            return tuple(chance.sample(workers, chance.randint(1, plan.workers)))
    return ()


def _none(_: Chance) -> float:
    return 0.0


def _either(chance: Chance) -> float:
    return float(chance.random() < 0.4)


AMOUNTS: dict[str, Callable[[Chance], float]] = {
    "crash": _either,
    "slow": lambda chance: chance.choice((2.0, 5.0, 20.0)),
    "partition_one_way": _either,
    "delay": lambda chance: chance.choice((0.05, 0.5, 4.0, 11.0)),
    "loss": lambda chance: chance.uniform(0.5, 12.0),
    "duplicate": lambda chance: chance.choice((0.0, 0.05, 2.0, 12.0)),
    "coordinator_crash": lambda chance: chance.choice((0.0, chance.random(), 1.0)),
    "clock_jump": lambda chance: chance.choice((1.0, 5.0, 30.0)),
    "swizzle_clog": lambda chance: chance.choice((0.1, 0.5, 1.5)),
}


def end_of(faults: Sequence[Fault]) -> float:
    """When the last fault is over. A crash in the middle of a write waits for one."""
    ends = [fault.until or fault.at for fault in faults]
    return max((each for each in ends if each < inf), default=0.0)


def bound_s(plan: WorldPlan, faults: Sequence[Fault]) -> float:
    """Until when a job must have ended if one worker is healthy from the last fault on.

    First everybody must notice what is lost: leases run out, workers that were cut off come back,
    an excluded worker gets work again, an attempt that hangs is given up, each at most a few times.
    Then one slot does every task in turn, a second time for what it had to redo.
    """
    healing_s = 3 * policy.LEASE_S + policy.RETURN_S + policy.EXCLUDE_S + 2 * PROGRESS_TIMEOUT_S
    jumps_s = sum(fault.amount for fault in faults if fault.kind in ("delay", "duplicate"))
    slowest = max([1.0, *(fault.amount for fault in faults if fault.kind == "slow")])
    working_s = 2 * (plan.maps + plan.reduces) * Small.longest_s
    if plan.gang is not None:  # It waits for slots, for news of members, and begins anew.
        healing_s += policy.GANG_INCOMPLETE_S + policy.GANG_TOO_LARGE_S
        working_s += 2 * slowest * (STEPS * Small.longest_s + SILENCE_S + AWAIT_S)
    return end_of(faults) + slowest * Small.longest_s + healing_s + jumps_s + working_s
