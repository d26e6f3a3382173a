"""Hunt mutants: each in a process of its own, over a patched copy of the package."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulator.museum.mutant import PACKAGE, Mutant

HUNT = Path(__file__).with_name("hunt.py")
PROCESSES = 2

Kinds = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seed` is the first that broke a promise, None if there was none; `found` says how."""

    mutant: Mutant | None
    seed: int | None
    found: tuple[str, ...]
    spent_s: float


def hunt(mutant: Mutant) -> Verdict:
    """The seeds of a mutant, over a copy of the package with that one file changed.

    One that cannot be hunted survives, and `found` says why.
    """
    try:
        source = mutant.source()
    except ValueError as error:
        return Verdict(mutant, None, (str(error),), 0.0)
    with TemporaryDirectory(prefix="minimr-museum-") as directory:
        package = Path(directory).resolve() / PACKAGE.name
        patched = _copy(mutant, package)
        for compiled in patched.parent.glob(f"__pycache__/{patched.stem}.*"):
            compiled.unlink()
        patched.write_text(source, "utf-8")
        return _hunt(mutant, package, mutant.mode, mutant.seeds, mutant.kinds)


def _copy(mutant: Mutant, package: Path) -> Path:
    """A package of links to the healthy one, but for the folder of the mutated file.

    Compiled files come along and stay valid: only the mutated one is compiled anew.
    """
    package.mkdir()
    folder = mutant.file.partition("/")[0]
    for healthy in PACKAGE.iterdir():
        if healthy.name == folder:
            shutil.copytree(healthy, package / folder)
        else:
            (package / healthy.name).symlink_to(healthy)
    return package / mutant.file


def hunt_all(mutants: Iterable[Mutant]) -> Iterator[Verdict]:
    """In the order of the mutants, two at a time."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        yield from pool.map(hunt, mutants)


def hunt_nothing(mode: str, seeds: int, kinds: Kinds) -> Verdict:
    """The same seeds over the healthy code."""
    return _hunt(None, PACKAGE, mode, seeds, kinds)


def _hunt(mutant: Mutant | None, package: Path, mode: str, seeds: int, kinds: Kinds) -> Verdict:
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", str(HUNT), str(package), mode, str(seeds), *(kinds or ())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Verdict(mutant, None, (done.stderr,), 0.0)
    said = json.loads(done.stdout)
    return Verdict(mutant, said["seed"], tuple(said["found"]), said["spent_s"])
