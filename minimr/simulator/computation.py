"""What the tasks of a simulated job compute: real user code, each task run once and remembered.

A deterministic task gives the same bytes whenever it runs, so its result is kept by what went in:
a map's by its index, a reduce's by the very segments that its fetch brought. A segment that is
missing, doubled, of another map or of another order is therefore other input and gives other
output, which the comparison with the sequential run shows.
"""

# ruff: noqa: ARG002  A job without code ignores what it is given.

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from minimr.formats.splits import Split
from minimr.job import Job
from minimr.scheduler.state import Failure
from minimr.shuffle.digest import inputs_digest, segments_digest
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.failure import Position, TaskFailed
from minimr.tasks.map_task import run_map
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.source import open_source
from minimr.tasks.spec import JobSpec

MEMORY_BYTES = 1 << 30


Skip = tuple[str, ...]
"""Positions of records that killed an attempt and are left out, as an Assign names them."""


@dataclass(frozen=True, slots=True)
class MadeMap:
    """A map task's output: R segments with the checksums that the index would hold."""

    segments: tuple[bytes, ...]
    checksums: tuple[int, ...]
    digest: str | None
    records_in: int = 0
    records_out: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    skipped: tuple[dict[str, Any], ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.segments))


@dataclass(frozen=True, slots=True)
class MadePart:
    """A reduce task's output: its pairs, encoded so that every type and every bit survives."""

    data: bytes
    records_in: int = 0
    records_out: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    skipped: tuple[dict[str, Any], ...] = ()


class Broken(Exception):
    """User code failed; `failure` is what the slot would report."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Computation(Protocol):
    """What a world needs to know of a job's code."""

    maps: int
    reduces: int
    skip_max: int
    has_bytes: bool
    """False if tasks take time but make nothing."""

    def map(self, index: int, skip: Skip = ()) -> MadeMap:
        """The output of a map task. Raises Broken."""

    def reduce(self, partition: int, segments: Sequence[bytes], skip: Skip = ()) -> MadePart:
        """The output of a reduce task over these segments, in this order. Raises Broken."""

    def inputs(self, digests: Mapping[int, str]) -> str | None:
        """The digest of all that a reduce task read, from its maps' digests by index."""


class UserCode:
    """A job's own code over real splits, in this process.

    Positions name files of `directory` without it: a temporary directory has another name in every
    process, and a run must be told alike in all of them.
    """

    has_bytes = True

    def __init__(
        self, job_class: type[Job], spec: JobSpec, splits: Sequence[Split], directory: str = ""
    ) -> None:
        self.maps, self.reduces, self.skip_max = len(splits), spec.partitions, spec.skip_max
        self._job_class, self._spec, self._splits = job_class, spec, splits
        self._directory = directory
        # Failures are kept, not exceptions: these would keep the worlds in which they were raised.
        self._made: dict[tuple[int, Skip], MadeMap | Failure] = {}
        self._parts: dict[tuple[int, tuple[bytes, ...], Skip], MadePart | Failure] = {}

    def map(self, index: int, skip: Skip = ()) -> MadeMap:
        made = self._made.get((index, skip))
        if made is None:
            made = self._made[index, skip] = self._run_map(index, skip)
        if isinstance(made, Failure):
            raise Broken(made)
        return made

    def reduce(self, partition: int, segments: Sequence[bytes], skip: Skip = ()) -> MadePart:
        key = (partition, tuple(segments), skip)
        made = self._parts.get(key)
        if made is None:
            made = self._parts[key] = self._run_reduce(*key)
        if isinstance(made, Failure):
            raise Broken(made)
        return made

    def inputs(self, digests: Mapping[int, str]) -> str | None:
        return inputs_digest(digests)

    def first_record(self, index: int) -> str:
        """The position of a map task's first record, as a careful attempt would publish it."""
        task = self._spec.map_task(index, self._splits[index].to_dict())
        position = Position(f"map task {index}")
        source = open_source(self._job_class(**self._spec.options), task, position)
        for record in source.records or ():
            position.record = record
            return self._shown(position.name() or "")
        return ""

    def _run_map(self, index: int, skip: Skip) -> MadeMap | Failure:
        task = self._spec.map_task(index, self._splits[index].to_dict(), skip=self._at(skip))
        try:
            result = run_map(self._spec.new_job(self._job_class), task, Path(_scratch().name))
        except TaskFailed as error:
            return self._failure(error)
        assert result.segments is not None, "the memory of a simulated map task is unlimited"
        checksums = tuple(zlib.crc32(segment) for segment in result.segments)
        return MadeMap(
            tuple(result.segments),
            checksums,
            segments_digest(zip(result.segment_bytes, checksums, strict=True)),
            result.records_in,
            result.records_out,
            dict(result.counters),
            self._skipped(result.skipped),
        )

    def _run_reduce(
        self, partition: int, segments: tuple[bytes, ...], skip: Skip
    ) -> MadePart | Failure:
        task = self._spec.reduce_task(partition, skip=self._at(skip))
        try:
            read = [read_segment_bytes(segment) for segment in segments]
            result = run_reduce(self._spec.new_job(self._job_class), task, read, in_memory=True)
        except TaskFailed as error:
            return self._failure(error)
        assert result.pairs is not None, "simulated reduce tasks collect their pairs"
        return MadePart(
            result.pairs,
            result.records_in,
            result.records_out,
            dict(result.counters),
            self._skipped(result.skipped),
        )

    def _failure(self, error: TaskFailed) -> Failure:
        kind, text, position = error.failure.kind, error.failure.text, error.failure.position
        return Failure(kind, self._shown(text), position and self._shown(position))

    def _skipped(self, found: Sequence[dict[str, str]]) -> tuple[dict[str, Any], ...]:
        return tuple({**each, "position": self._shown(each["position"])} for each in found)

    def _at(self, skip: Skip) -> Skip:
        return tuple(self._directory + position for position in skip)

    def _shown(self, text: str) -> str:
        return text.replace(self._directory, "") if self._directory else text


@cache
def _scratch() -> TemporaryDirectory[str]:
    """For map tasks, whose memory suffices to leave it empty. It lives as long as the process."""
    return TemporaryDirectory(prefix="minimr-sim-")


class CostsOnly:
    """A job without code, of any size: durations matter, bytes do not exist."""

    skip_max = 0
    has_bytes = False

    def __init__(self, maps: int, reduces: int) -> None:
        self.maps, self.reduces = maps, reduces

    def map(self, index: int, skip: Skip = ()) -> MadeMap:
        return MadeMap((), (), None, 1, 1)

    def reduce(self, partition: int, segments: Sequence[bytes], skip: Skip = ()) -> MadePart:
        return MadePart(b"", 1, 1)

    def inputs(self, digests: Mapping[int, str]) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Reference:
    """What the run that does one task after the other makes, which every run must equal."""

    parts: tuple[MadePart, ...]
    counters: dict[str, int]
    skipped: tuple[str, ...] = ()
    """The positions of the records that were left out."""


def sequential(
    computation: Computation, killers: Mapping[int, str], skip_max: int
) -> Reference | None:
    """Run all tasks in order; None if the job's own code fails.

    `killers` are records that kill their process, by map task: they are left out, if the job may
    leave records out.
    """
    if len(killers) > skip_max:
        return None
    skips = {index: (position,) for index, position in killers.items()}
    try:
        outputs = [computation.map(m, skips.get(m, ())) for m in range(computation.maps)]
        if sum(len(output.skipped) for output in outputs) > skip_max:
            return None
        parts = tuple(
            computation.reduce(r, [output.segments[r] for output in outputs])
            for r in range(computation.reduces)
        )
    except Broken:
        return None
    made: tuple[MadeMap | MadePart, ...] = (*outputs, *parts)
    counters: Counter[str] = Counter()
    for each in made:
        counters.update(each.counters)
    skipped = tuple(record["position"] for each in made for record in each.skipped)
    return Reference(parts, dict(counters), skipped)
