"""Faults: what breaks, where, when and for how long. A list of them is a schedule.

A schedule and a seed are a whole run, so a failure is told in one line and shrinks to a few faults.
`KINDS` says of each kind what its target and its numbers mean; it is what the help prints, what a
scenario file is checked against, and where the random schedules draw from.

Machines are numbers from 0, tasks are numbers of map tasks. The coordinator is always the other end
of a worker's link, unless a kind says otherwise.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from minimr.errors import UsageError

AT_MAX_S = 1e6
AMOUNT_MAX = 1e6


@dataclass(frozen=True, slots=True)
class Fault:
    """`until` is the time at which it is over; None means for good, or that it takes no time."""

    kind: str
    at: float
    target: tuple[int, ...] = ()
    until: float | None = None
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of fault does. `target` and `amount` say what those fields hold."""

    text: str
    target: str = "worker"
    amount: str = ""
    lasts: bool = False
    """It has an end. Without `until` it lasts for good."""
    harms: bool = False
    """Attempts are charged for it, or the job cannot succeed: no promise that the job ends well."""


KINDS: dict[str, Kind] = {
    "crash": Kind(
        "a worker process dies (kill -9), and comes back empty at `until`",
        amount="1: the whole machine loses its power, so that nobody is told",
        lasts=True,
    ),
    "restart": Kind("a worker process dies and a new one is there at once"),
    "drain": Kind(
        "a worker is asked to leave (SIGTERM); at `until` there is a new one", lasts=True
    ),
    "pause": Kind("a worker is stopped (SIGSTOP) until `until`", lasts=True),
    "slow": Kind(
        "a worker takes `amount` times as long for its tasks", amount="factor", lasts=True
    ),
    "partition": Kind("nothing passes between a worker and anybody", lasts=True),
    "partition_one_way": Kind(
        "nothing passes between a worker and the coordinator in one direction",
        amount="0: from the worker, 1: to the worker",
        lasts=True,
    ),
    "partition_workers": Kind("nothing passes between two workers", "two workers", lasts=True),
    "delay": Kind(
        "what a worker and the coordinator say takes `amount` seconds more",
        amount="seconds",
        lasts=True,
    ),
    "loss": Kind(
        "a worker's connection loses everything from there on; both ends learn it later",
        amount="seconds until they learn it",
    ),
    "duplicate": Kind(
        "a worker's next report arrives twice; orders are never said again",
        amount="how many seconds later",
    ),
    "reorder": Kind("a worker's reports overtake each other", lasts=True),
    "corrupt": Kind("a byte flips in every map output on a worker's disk"),
    "truncate": Kind("every map output on a worker's disk loses its end"),
    "full_disk": Kind("a worker's disk takes no more map output", lasts=True, harms=True),
    "coordinator_crash": Kind(
        "the coordinator dies and comes back at `until`",
        "nothing",
        "above 0: in the middle of its next write to the journal, of which this share is kept",
        lasts=True,
    ),
    "coordinator_pause": Kind("the coordinator is stopped until `until`", "nothing", lasts=True),
    "clock_jump": Kind(
        "a clock leaps forward: the coordinator's (no target) or a worker's",
        "a worker, or nothing",
        "seconds",
    ),
    "swizzle_clog": Kind(
        "the links of some workers are clogged one by one, and unclogged in another order",
        "workers, in the order of clogging",
        "seconds between two of them",
        lasts=True,
    ),
    "user_exception": Kind("user code raises at the first record of a map task", "map", harms=True),
    "segfault": Kind("user code kills its process at that record", "map", harms=True),
    "slot_death": Kind("what runs in a worker's slots is killed", harms=True),
    "stuck": Kind("what runs in a worker's slots makes no progress any more", harms=True),
    "nondeterministic": Kind("a map task gives other output at every attempt", "map", harms=True),
    "cancel": Kind("the user cancels the job", "nothing", harms=True),
    "heal": Kind("everything is mended, and all workers but this one are gone for good"),
}
"""Every kind of fault, by name."""


def check_fault(fault: Fault, workers: int, maps: int) -> None:
    """Raises UsageError, which says what is wrong, for a fault that no world can have."""
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise UsageError(f"no fault is called {fault.kind!r}; there are: {', '.join(KINDS)}")
    where = f"the fault {fault.kind} at {fault.at:g} s"
    if not 0 <= fault.at <= AT_MAX_S:
        raise UsageError(f"{where}: `at` must be between 0 and {AT_MAX_S:g} seconds")
    if fault.until is not None and not fault.at < fault.until <= AT_MAX_S:
        raise UsageError(f"{where}: `until` must be later than `at`, at most {AT_MAX_S:g} seconds")
    if not (isfinite(fault.amount) and 0 <= fault.amount <= AMOUNT_MAX):
        raise UsageError(f"{where}: `amount` must be between 0 and {AMOUNT_MAX:g}")
    if fault.kind == "slow" and fault.amount < 1:
        raise UsageError(f"{where}: `amount` is a factor of at least 1")
    _check_target(fault, kind, where, workers, maps)


def _check_target(fault: Fault, kind: Kind, where: str, workers: int, maps: int) -> None:
    counts = {
        "worker": (1, 1),
        "two workers": (2, 2),
        "map": (1, 1),
        "nothing": (0, 0),
        "a worker, or nothing": (0, 1),
        "workers, in the order of clogging": (1, workers),
    }
    least, most = counts[kind.target]
    if not least <= len(fault.target) <= most or len(dict.fromkeys(fault.target)) < len(
        fault.target
    ):
        raise UsageError(f"{where}: its target must be {kind.target}, not {list(fault.target)}")
    limit, what = (maps, "map tasks") if kind.target == "map" else (workers, "workers")
    for each in fault.target:
        if not 0 <= each < limit:
            raise UsageError(f"{where}: there is no {each} among {limit} {what}, counted from 0")


def to_plain(fault: Fault) -> dict[str, Any]:
    """What a scenario file says of a fault; what is as usual is left out."""
    plain: dict[str, Any] = {"kind": fault.kind, "at": fault.at}
    if fault.target:
        plain["target"] = list(fault.target)
    if fault.until is not None:
        plain["until"] = fault.until
    if fault.amount:
        plain["amount"] = fault.amount
    return plain


def from_plain(value: Any) -> Fault:
    """The inverse. Raises UsageError for anything that is no fault."""
    names = {each.name for each in fields(Fault)}
    if not isinstance(value, Mapping) or not {"kind", "at"} <= set(value) <= names:
        raise UsageError(
            f"a fault is an object with kind, at, target, until and amount, not {_short(value)}"
        )
    numbers = [value["at"], value.get("until", 0.0), value.get("amount", 0.0)]
    target = value.get("target", [])
    if not isinstance(value["kind"], str) or not isinstance(target, list):
        raise UsageError(f"a fault's kind is text and its target a list, unlike {_short(value)}")
    if value.get("until", 0.0) is None:
        numbers[1] = 0.0
    if not all(_is_number(each) for each in numbers) or not all(map(_is_index, target)):
        raise UsageError(f"at, until and amount are numbers, a target whole ones: {_short(value)}")
    until = value.get("until")
    return Fault(
        value["kind"],
        float(value["at"]),
        tuple(target),
        None if until is None else float(until),
        float(value.get("amount", 0.0)),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


def ends_well(faults: Iterable[Fault]) -> bool:
    """Whether nothing in this schedule could fail a job that is not broken itself."""
    return not any(KINDS[fault.kind].harms for fault in faults)
