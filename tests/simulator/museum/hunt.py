"""Run the simulator's seeds over whatever `minimr` this process imports, to the first violation.

    python -P hunt.py PACKAGE MODE SEEDS [KIND ...]

It stands alone, since it is run beside a patched copy of the package: it imports nothing else.
Prints one line of JSON: the seed, its violations and how long that took, or null for the seed.
"""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import minimr
from minimr.simulator.gang_worlds import run_gang
from minimr.simulator.seeds import Sweep, run_seed

SEED_MAX_S = 10.0
"""Processor time for one seed, of which a healthy one takes milliseconds."""


class EndlessRun(Exception):
    """Virtual time stands still, or the code goes round in circles."""


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise EndlessRun(f"one seed took more than {SEED_MAX_S:g} s of processor time")


def violations_of(wanted: Sweep, seed: int) -> list[str]:
    """What the judges say of one seed. An exception ends a run of the simulator just as well."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SEED_MAX_S)
    try:
        if wanted.mode == "gang":
            return run_gang(seed, wanted.kinds).violations
        return run_seed(wanted, seed).violations
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)


def main(package: str, mode: str, seeds: str, *kinds: str) -> None:
    assert Path(minimr.__file__).parent == Path(package), "another minimr was imported"
    signal.signal(signal.SIGVTALRM, _give_up)
    wanted = Sweep(0, int(seeds) - 1, mode, kinds=kinds or None)
    found: list[str] = []
    seed = 0
    for seed in range(wanted.first, wanted.last + 1):
        if found := violations_of(wanted, seed):
            break
    spent_s = time.process_time()
    print(json.dumps({"seed": seed if found else None, "found": found, "spent_s": spent_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
