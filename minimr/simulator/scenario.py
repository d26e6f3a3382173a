"""Scenario files: a world and its faults as JSON, to keep, to edit and to pass on.

{"minimr_scenario": 1, "seed": 7, "mode": "safety",
 "world": {"workers": 3, "slots": 1, "maps": 4, "reduces": 2},
 "faults": [{"kind": "crash", "at": 2.5, "target": [0], "until": 4.0}]}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from minimr.errors import UsageError
from minimr.simulator.faults import Fault, check_fault, from_plain, to_plain
from minimr.simulator.schedule import SEED_MAX, plan_for
from minimr.simulator.world import WorldPlan

VERSION = 1
MODES = ("safety", "liveness")
LIMITS = {
    "workers": (1, 20_000),
    "slots": (1, 64),
    "maps": (1, 1_000_000),
    "reduces": (1, 100_000),
    "skip_max": (0, 1_000_000),
}
SWITCHES = {field.name for field in fields(WorldPlan)} - set(LIMITS) - {"inline", "gang"}
FILE_BYTES_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    mode: str
    plan: WorldPlan
    faults: tuple[Fault, ...]

    def to_json(self) -> str:
        plain = {
            "minimr_scenario": VERSION,
            "seed": self.seed,
            "mode": self.mode,
            "world": plain_world(self.plan),
            "faults": [to_plain(fault) for fault in self.faults],
        }
        return json.dumps(plain, indent=1) + "\n"


def plain_world(plan: WorldPlan) -> dict[str, Any]:
    """The world of a job as a scenario file describes it."""
    plain = {**asdict(plan), "inline": list(plan.inline)}
    del plain["gang"]  # Scenarios are about jobs.
    return plain


def read_scenario(path: Path) -> Scenario:
    """The scenario in this file. Raises UsageError, which names the file and what is wrong."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise UsageError(f"it is larger than {FILE_BYTES_MAX >> 20} MiB")
        return parse_scenario(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"the scenario {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the scenario {path} is no JSON: {error}") from None
    except UsageError as error:
        raise UsageError(f"the scenario {path} cannot be run: {error}") from None


def parse_scenario(value: Any) -> Scenario:
    """The scenario that this JSON value describes. Raises UsageError."""
    if not isinstance(value, Mapping) or "minimr_scenario" not in value:
        raise UsageError('it is no scenario: it has no "minimr_scenario": 1')
    if value["minimr_scenario"] != VERSION:
        version = value["minimr_scenario"]
        raise UsageError(f"it is of version {version!r}, and this minimr knows {VERSION}")
    _check_names(value, {"minimr_scenario", "seed", "mode", "world", "faults"}, "a scenario")
    seed = _whole(value.get("seed", 0), "seed", 0, SEED_MAX)
    mode = value.get("mode", "safety")
    if mode not in MODES:
        raise UsageError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
    plan = _plan(seed, value.get("world", {}))
    faults = value.get("faults", [])
    if not isinstance(faults, list):
        raise UsageError("faults is a list")
    found = tuple(from_plain(each) for each in faults)
    for fault in found:
        check_fault(fault, plan.workers, plan.maps)
    return Scenario(seed, mode, plan, found)


def _plan(seed: int, value: Any) -> WorldPlan:
    """The world; what the file does not say is drawn from the seed."""
    if not isinstance(value, Mapping):
        raise UsageError("world is an object")
    _check_names(value, {*LIMITS, *SWITCHES, "inline"}, "a world")
    plain = {**asdict(plan_for(seed)), **value}
    for name, (least, most) in LIMITS.items():
        plain[name] = _whole(plain[name], name, least, most)
    for name in sorted(SWITCHES):
        if not isinstance(plain[name], bool):
            raise UsageError(f"{name} is true or false, not {plain[name]!r}")
    if not isinstance(plain["inline"], list | tuple):
        raise UsageError("inline is a list of map tasks")
    given = [_whole(each, "inline", 0, LIMITS["maps"][1]) for each in plain["inline"]]
    return WorldPlan(**{**plain, "inline": tuple(each for each in given if each < plain["maps"])})


def _check_names(value: Mapping[str, Any], known: set[str], what: str) -> None:
    for name in value:
        if name not in known:
            raise UsageError(f"{what} has no {name!r}; it has: {', '.join(sorted(known))}")


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name} is a whole number from {least} to {most}, not {value!r}")
    return value
