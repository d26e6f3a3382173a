"""One simulated run: a seed in, an outcome out."""

import gc
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from minimr.simulator.computation import Computation, CostsOnly
from minimr.simulator.faults import Fault, check_fault
from minimr.simulator.inject import inject
from minimr.simulator.jobs import trail
from minimr.simulator.judge import judge
from minimr.simulator.schedule import bound_s, plan_for, schedule
from minimr.simulator.work import Costs, Small, Transfer
from minimr.simulator.world import World, WorldPlan

__all__ = ["Outcome", "WorldPlan", "simulate"]

TIME_MAX_S = 1e7


@dataclass
class Outcome:
    """What became of a run. `seconds` are virtual, from the submission of the job to its end."""

    seed: int
    mode: str
    plan: WorldPlan
    faults: list[Fault]
    ok: bool
    error: str
    seconds: float
    events: int
    log: list[dict[str, Any]] = field(repr=False)
    violations: list[str] = field(default_factory=list)
    traffic: list[Transfer] = field(default_factory=list, repr=False)

    @cached_property
    def log_hash(self) -> str:
        """The same for the same seed, on every machine and in every process."""
        lines = (json.dumps(line, separators=(",", ":")) for line in self.log)
        return sha256("\n".join(lines).encode()).hexdigest()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """A world is one great cycle, and nothing of it can be freed before its end: looking for
    garbage in the middle of it costs a fifth of the time and finds none. After it all of it is."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_garbage()
def simulate(
    seed: int,
    *,
    plan: WorldPlan | None = None,
    faults: Sequence[Fault] | None = None,
    costs: Costs | None = None,
    computation: Computation | None = None,
    mode: str = "safety",
    check: bool = True,
    prepare: Callable[[World], None] = lambda _: None,
) -> Outcome:
    """Run the world of this seed to the end of its job, or to the time by which it must have ended.

    Without `plan` and `faults` the seed draws them. With `costs` tasks take the time of that model
    and, unless there is a `computation`, make no bytes. `check` judges the event log. `prepare` may
    change the world before it starts.

    Raises UsageError for faults that the world cannot have.
    """
    plan = plan or plan_for(seed)
    faults = schedule(seed, plan, mode=mode) if faults is None else list(faults)
    for fault in faults:
        check_fault(fault, plan.workers, plan.maps)
    job = computation or (trail_for(plan, faults) if costs is None else _no_code(plan))
    world = World(seed, plan, job, costs or Small(random.Random(3 * seed)))
    inject(world, faults)
    prepare(world)
    world.start()
    limit_s = bound_s(plan, faults) if costs is None else TIME_MAX_S
    world.loop.run(limit_s)
    violations = judge(world, faults, limit_s, check)
    return _outcome(world, mode, faults, violations)


def _outcome(world: World, mode: str, faults: list[Fault], violations: list[str]) -> Outcome:
    client = world.client
    ended, started_at = client.ended, client.submitted_at or 0.0
    return Outcome(
        world.seed,
        mode,
        world.plan,
        faults,
        ok=ended is not None and ended.ok,
        error="it did not end" if ended is None else ended.error,
        seconds=(client.ended_at if ended else world.loop.now) - started_at,
        events=world.loop.events,
        log=world.log,
        violations=violations,
        traffic=world.traffic,
    )


def trail_for(plan: WorldPlan, faults: Sequence[Fault]) -> Computation:
    """The small job of a world, poisoned if the schedule says so."""
    poisoned = [fault.target[0] for fault in faults if fault.kind == "user_exception"]
    return trail(plan.maps, plan.reduces, poisoned[0] if poisoned else -1, plan.skip_max)


def _no_code(plan: WorldPlan) -> Computation:
    return CostsOnly(plan.maps, plan.reduces)
