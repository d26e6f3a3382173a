"""The jobs that simulated worlds run if nobody names one, chosen so that any mistake shows.

`Trail` lists where each word was read, in order: a map output that is missing, consumed twice or
out of order changes its text. It also adds floats of very different sizes, whose sum depends on
the order of addition in its last bits.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minimr.formats.splits import plan_splits
from minimr.job import Job
from minimr.simulator.computation import MEMORY_BYTES, UserCode
from minimr.source.find import load_job
from minimr.tasks.spec import JobSpec

WORDS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx")
LINES_PER_MAP = 3


class Trail(Job):
    """word -> where it was read, and a sum of floats, both in the order of the input.

    The record at the offset `poison` cannot be mapped.
    """

    poison: int = -1

    def map(self, offset: int, line: str) -> Iterator[tuple[str, tuple[str, float]]]:
        if offset == self.poison:
            raise ValueError("this record is poisoned")
        self.count("lines")
        for position, word in enumerate(line.split()):
            yield word, (f"{offset}+{position}", 10.0 ** (offset % 19) / 3.0)

    def reduce(self, word: str, values: Iterator[tuple[str, float]]) -> Iterator[tuple[str, str]]:
        places, total = [], 0.0
        for place, number in values:
            places.append(place)
            total += number
        self.count("words")
        yield word, f"{' '.join(places)} {total!r}"


@cache
def _inputs() -> TemporaryDirectory[str]:
    """Lives as long as the process."""
    return TemporaryDirectory(prefix="minimr-sim-inputs-")


def text(lines: int, seed: int) -> str:
    """Lines of words; the same for the same numbers."""
    chance = random.Random(seed)
    return "".join(
        " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 4))) + "\n"
        for _ in range(lines)
    )


@cache
def trail(maps: int, reduces: int, poisoned: int = -1, skip_max: int = 0) -> UserCode:
    """A small job of this size. Its results are remembered by all worlds of this process.

    `poisoned` is a map task whose first record user code cannot bear.
    """
    directory, path = _made_input(maps)
    options = {}
    if poisoned >= 0:
        position = trail(maps, reduces).first_record(poisoned)
        options = {"poison": int(position.rpartition(":")[2])}
    return user_code(Trail, options, [path], maps, reduces, skip_max=skip_max, directory=directory)


def _made_input(maps: int) -> tuple[str, str]:
    """A file of some lines for each map task, and the directory where it is."""
    path = Path(_inputs().name) / f"input-{maps}"
    if not path.exists():
        path.write_text(text(LINES_PER_MAP * maps, maps), "utf-8")
    return f"{path.parent}/", str(path)


def user_code(
    job: type[Job],
    options: dict[str, Any],
    inputs: list[str],
    maps: int,
    reduces: int,
    *,
    skip_max: int = 0,
    directory: str = "",
) -> UserCode:
    """A job over files, in at least `maps` map tasks. Raises UsageError for impossible inputs."""
    splits = plan_splits(inputs, minimum=maps)
    spec = JobSpec(
        partitions=reduces,
        options=job(**options).options(),
        format=job.input_format,
        memory_bytes=MEMORY_BYTES,
        inline_bytes=MEMORY_BYTES,
        skip_max=skip_max,
    )
    return UserCode(job, spec, splits, directory)


@dataclass(frozen=True, slots=True)
class JobChoice:
    """A job that somebody named, as JOB on the command line, with its options and inputs.

    Without inputs it reads some lines of words.
    """

    reference: str
    options: tuple[tuple[str, Any], ...] = ()
    inputs: tuple[str, ...] = ()


@cache
def code_of(choice: JobChoice, maps: int, reduces: int, skip_max: int) -> UserCode:
    """The code of a named job, in at least `maps` map tasks. Raises UsageError."""
    directory, inputs = "", list(choice.inputs)
    if not inputs:
        directory, path = _made_input(maps)
        inputs = [path]
    job = load_job(choice.reference)
    return user_code(
        job, dict(choice.options), inputs, maps, reduces, skip_max=skip_max, directory=directory
    )
