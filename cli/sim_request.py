"""What `minimr sim` was asked for: which seeds, faults and job. All here raises UsageError."""

from typing import TYPE_CHECKING, Any

import click

from cli.job_arguments import JOB_ARGUMENTS
from minimr.errors import UsageError

if TYPE_CHECKING:
    from minimr.simulator.seeds import Sweep

SEEDS_MAX = 10_000_000
GANG = "gang"
"""In the place of a job: the worlds in which a gang works."""


def wanted_sweep(given: dict[str, Any]) -> "Sweep":
    """Which seeds to run, and how. Raises UsageError."""
    from minimr.simulator.seeds import Sweep

    if given["seed"] is not None and given["seeds"] is not None:
        raise UsageError("give either --seed or --seeds")
    if given["seeds"] is not None and (given["story"] or given["log"]):
        raise UsageError("--story and --log tell of one run: give --seed")
    one = wanted_seed(given["seed"] or "0")
    first, last = _range(given["seeds"]) if given["seeds"] else (one, one)
    kinds, gang = _kinds(given["faults"]), given["job"] == GANG
    if gang:
        _check_gang(given, kinds)
    job = None if gang else _job(given)
    return Sweep(first, last, given["mode"], given["workers"], kinds, job, gang)


def _check_gang(given: dict[str, Any], kinds: tuple[str, ...] | None) -> None:
    """Raises UsageError for what a gang does not know."""
    from minimr.simulator.gang_worlds import KINDS

    if given["inputs"] or click.get_current_context().meta[JOB_ARGUMENTS]:
        raise UsageError("the simulated gang brings its own data, and has no options")
    for kind in kinds or ():
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise UsageError(f"no gang can outlive or meet {kind!r}; faults of a gang are: {known}")


def wanted_seed(text: str) -> int:
    from minimr.simulator.schedule import SEED_MAX

    if not text.isdecimal() or not text.isascii() or int(text) > SEED_MAX:
        raise UsageError(f"a seed is a whole number from 0 to {SEED_MAX}, not {text!r}")
    return int(text)


def _range(text: str) -> tuple[int, int]:
    start, dots, end = text.partition("..")
    if not dots:
        raise UsageError(f"--seeds is a range such as 0..999, not {text!r}")
    first, last = wanted_seed(start), wanted_seed(end)
    if not first <= last < first + SEEDS_MAX:
        raise UsageError(f"--seeds {text}: a range holds 1 to {SEEDS_MAX:,} seeds")
    return first, last


def _kinds(text: str) -> tuple[str, ...] | None:
    from minimr.simulator.faults import KINDS

    if text == "all":
        return None
    if text == "none":
        return ()
    kinds = tuple(kind.strip() for kind in text.split(","))
    for kind in kinds:
        if kind not in KINDS or kind == "heal":
            known = ", ".join(each for each in KINDS if each != "heal")
            raise UsageError(f"no fault is called {kind!r}; there are: {known}")
    return kinds


def _job(given: dict[str, Any]) -> Any:
    """The job that was named, with what follows `--`; None if none was."""
    if given["job"] is None:
        return None
    from cli.request import read_job
    from minimr.simulator.jobs import JobChoice

    _, options = read_job(given["job"])
    return JobChoice(given["job"], tuple(options.items()), given["inputs"])
