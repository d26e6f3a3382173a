"""The smallest schedule that still fails.

Delta debugging (Zeller and Hildebrandt, TSE 2002): leave out halves, then quarters, then single
faults, and keep whatever still fails; then make what is left simpler, one field at a time. The seed
stays, and with it every other chance of the run, so each trial is one deterministic run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from minimr.errors import UsageError
from minimr.simulator.computation import Computation
from minimr.simulator.faults import Fault
from minimr.simulator.run import WorldPlan, simulate

Fails = Callable[[list[Fault]], bool]


def shrink(faults: Sequence[Fault], fails: Fails) -> list[Fault]:
    """A part of `faults` of which no fault can be left out, and none made simpler.

    `fails` tells whether a schedule still fails. Raises UsageError if `faults` do not.
    """
    current = list(faults)
    if not fails(current):
        raise UsageError("this run breaks no promise, so there is nothing to shrink")
    current = _leave_out(current, fails)
    return _simplify(current, fails)


def _leave_out(faults: list[Fault], fails: Fails) -> list[Fault]:
    """Without ever larger a part, until not one fault can be spared."""
    pieces = 2
    while len(faults) >= 1:
        smaller = next((each for each in _without(faults, pieces) if fails(each)), None)
        if smaller is not None:
            faults, pieces = smaller, max(2, pieces - 1)
        elif pieces >= len(faults):
            return faults
        else:
            pieces = min(len(faults), 2 * pieces)
    return faults


def _without(faults: list[Fault], pieces: int) -> Iterator[list[Fault]]:
    size = -(-len(faults) // pieces)
    for start in range(0, len(faults), size):
        yield faults[:start] + faults[start + size :]


def _simplify(faults: list[Fault], fails: Fails) -> list[Fault]:
    """Round numbers and no ends, where the failure does not depend on them."""
    for place in range(len(faults)):
        for simpler in SIMPLER:
            trial = [*faults[:place], simpler(faults[place]), *faults[place + 1 :]]
            if trial != faults and fails(trial):
                faults = trial
    return faults


def _rounded(digits: int) -> Callable[[Fault], Fault]:
    def simpler(fault: Fault) -> Fault:
        until = None if fault.until is None else round(fault.until, digits)
        return replace(fault, at=round(fault.at, digits), until=until)

    return simpler


SIMPLER: tuple[Callable[[Fault], Fault], ...] = (
    lambda fault: replace(fault, until=None),
    lambda fault: replace(fault, amount=round(fault.amount)),
    lambda fault: replace(fault, amount=round(fault.amount, 1)),
    *map(_rounded, range(3)),
)
"""Ways to make a fault simpler, the boldest of each kind first."""


def still_fails(
    seed: int, plan: WorldPlan, mode: str, computation: Computation | None = None
) -> Fails:
    """Whether the world of this seed breaks a promise under a schedule."""

    def fails(faults: list[Fault]) -> bool:
        try:
            outcome = simulate(seed, plan=plan, faults=faults, computation=computation, mode=mode)
            return bool(outcome.violations)
        except UsageError:
            return False  # Simplified into something that no world can have.

    return fails


def regression_test(seed: int, plan: WorldPlan, faults: Sequence[Fault], violation: str) -> str:
    """A test that can be pasted into tests/simulator/test_regressions.py."""
    code = ", computation=Dataset(plan.maps)" if plan.gang else ""
    lines = [
        f"def test_seed_{seed}() -> None:",
        f'    """It was once seen that {_one_line(violation)}."""',
        f"    plan = {plan!r}",
        "    faults = [",
        *(f"        {_code(fault)}," for fault in faults),
        "    ]",
        f"    assert simulate({seed}, plan=plan, faults=faults{code}).violations == []",
    ]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace('"', "'").rstrip(".")


def _code(fault: Fault) -> str:
    extra = "" if fault.until is None else f", until={fault.until!r}"
    extra += "" if not fault.amount else f", amount={fault.amount!r}"
    return f"Fault({fault.kind!r}, {fault.at!r}, {fault.target!r}{extra})".replace("'", '"')
