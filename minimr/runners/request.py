"""A request to run a job, checked and prepared, the same for every runner; and its result."""

import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Any

from minimr.aggregates import Aggregate
from minimr.errors import UsageError
from minimr.formats import committer, input_format
from minimr.formats.output import PartInfo, encoder
from minimr.formats.pack import packed, task_input
from minimr.formats.parts import read_part
from minimr.formats.splits import Split, plan_splits
from minimr.formats.text import check_encoding
from minimr.job import Job
from minimr.keys import preview
from minimr.shuffle.compression import NONE, compressor
from minimr.source.find import AnyJob, job_of
from minimr.tasks.spec import INLINE_BYTES, MEMORY_BYTES, JobSpec, files_output

BYTES_PER_REDUCER = 64 << 20
MEMORY_PER_INPUT = 4
"""A reducer has that many times its share of the input as memory, if it can be had."""
MEMORY_BYTES_MIN = 1_000_000
REDUCERS_MIN, REDUCERS_MAX = 2, 64
REDUCERS_ALLOWED = 100_000
INLINE_TOTAL_BYTES = 8 << 20
SKIP_MAX = 1_000
"""Bad records that a job may allow: each is described in messages and in the journal."""


class TemporaryPlace:
    """A directory that goes when nobody refers to this object any more, or the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="minimr-result-"))
        weakref.finalize(self, _remove, self.path)


def _remove(directory: Path) -> None:
    """Nobody can be interrupted here: Python would show where, and what is left would stay."""
    try:
        shutil.rmtree(directory, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass
class Request:
    """A context manager: leaving it by an error removes the staging directory."""

    job: Job
    splits: list[Split]
    spec: JobSpec
    staging: Path
    final: Path | None
    output_format: str
    overwrite: bool
    temporary: "TemporaryPlace | None" = field(default=None, repr=False)
    handed_over: bool = False
    backups: bool = True
    pack: bool = False

    @property
    def target(self) -> Path:
        """Where the result appears: the user's output, or a temporary place."""
        if self.final is not None:
            return self.final
        assert self.temporary is not None
        return self.temporary.path / "result"

    def input_paths(self) -> list[str]:
        """The files that are read, each once."""
        return list(dict.fromkeys(split.path for split in self.splits))

    def map_inputs(self) -> list[dict[str, Any]]:
        """What each map task reads, in order."""
        return [task_input(each) for each in _packs(self.splits, self.pack)]

    def result(
        self, parts: Sequence[dict[str, Any]], counters: dict[str, int], seconds: float
    ) -> "Result":
        """What was published, as we were told; parts that were too many for that are read."""
        infos = [PartInfo.from_dict(part) for part in parts]
        infos = infos or list(committer.read_manifest(self.target).parts)
        skipped = committer.read_skipped(self.target) if self.spec.skip_max else []
        return Result(
            self.final, infos, dict(counters), seconds, skipped, self.target, self.output_format,
            self.temporary,
        )  # fmt: skip

    def sample(self) -> None:
        """Look at the inputs to cut the partitions evenly; leave nothing if that is interrupted."""
        from minimr.runners.sample import sampled_boundaries

        with self:
            boundaries = sampled_boundaries(self.job, self.spec, self.splits)
        self.spec = replace(self.spec, boundaries=boundaries)

    def hand_over(self) -> None:
        """The cluster looks after the staging directory from now on."""
        self.handed_over = True

    def __enter__(self) -> "Request":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not self.handed_over:
            committer.abort(self.staging)


@dataclass
class Result:
    """What a job left: iterate for its (key, value) pairs, part by part.

    `output` is the directory that was asked for, or None if the pairs are only here. `skipped` has
    a {"position", "record", "error"} for each bad record that was left out. `log` is the event log
    of the run, or None if its place could not be written.
    """

    output: Path | None
    parts: list[PartInfo]
    counters: dict[str, int]
    seconds: float
    skipped: list[dict[str, str]]
    _target: Path = field(repr=False)
    _format: str = field(repr=False)
    # Keeps a temporary result until nobody refers to this object.
    _temporary: "TemporaryPlace | None" = field(default=None, repr=False)
    log: Path | None = field(default=None, kw_only=True)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for part in self.parts:
            yield from read_part(self._target / part.name, self._format, part.kinds)

    @property
    def records(self) -> int:
        """The number of pairs."""
        return sum(part.records for part in self.parts)


def new_request(
    job: AnyJob,
    inputs: Sequence[str],
    output: str | os.PathLike[str] | None = None,
    *,
    reducers: int | None = None,
    output_format: str | None = None,
    encoding: str = "utf-8",
    errors: str = "surrogateescape",
    overwrite: bool = False,
    skip_bad_records: int = 0,
    backups: bool = True,
    pack: bool = False,
    split_hot_keys: bool = False,
    balance_keys: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    compress: str = NONE,
    profiles: str | None = None,
    options: dict[str, Any] | None = None,
    **unknown: Any,
) -> Request:
    """Check everything that can be checked before any work is done. Raises UsageError.

    For a job of total order, and to `balance_keys`, it reads a sample of the inputs. `memory_bytes`
    is for each slot; `compress` names the codec of spills and shuffled segments: none, zlib, or
    zstd.
    """
    for name, value in unknown.items():
        raise UsageError(
            f"there is no setting {name!r}; an option that the job declares is given as "
            f"options={{{name!r}: {preview(value)}}}"
        )
    skip_bad_records = whole_number("skip_bad_records", skip_bad_records)
    _check_limits(skip_bad_records, memory_bytes, compress)
    instance = job_of(job, options)
    output_format = output_format or instance.output_format
    encoder(output_format)
    check_encoding(encoding, errors)
    splits = plan_splits(inputs)
    check_inputs(instance.input_format, splits)
    sampler = _sampler(instance, balance_keys)
    if split_hot_keys:
        _check_splittable(instance)
    spec = JobSpec(
        partitions=_partitions(reducers, instance, splits, memory_bytes),
        options=instance.options(),
        format=instance.input_format,
        encoding=encoding,
        errors=errors,
        memory_bytes=memory_bytes,
        inline_bytes=min(INLINE_BYTES, INLINE_TOTAL_BYTES // len(_packs(splits, pack))),
        skip_max=skip_bad_records,
        split_hot_keys=split_hot_keys,
        profiles=profiles,
        compress=compress,
    )
    request = _with_place(instance, splits, spec, output, output_format, overwrite)
    request.backups, request.pack = bool(backups), pack
    if sampler is not None:
        request.sample()
    return request


def _with_place(
    job: Job,
    splits: list[Split],
    spec: JobSpec,
    output: str | os.PathLike[str] | None,
    output_format: str,
    overwrite: bool,
) -> Request:
    """A request whose result has a place, and a staging directory for what will be the result."""
    temporary = TemporaryPlace() if output is None else None
    final = None if output is None else Path(output).resolve()
    target = temporary.path / "result" if temporary else Path(output or "")
    staging = committer.prepare(target, secrets.token_hex(4), overwrite)
    # Without an output the pairs stay with Python, so they keep their types.
    output_format = output_format if final else "msgpack"
    spec = replace(spec, output=files_output(staging, output_format))
    return Request(job, splits, spec, staging, final, output_format, overwrite, temporary)


def log_beside(path: str | os.PathLike[str]) -> Path:
    """Where the event log lies of a run that writes `path`."""
    return Path(f"{os.fspath(path)}.log")


def reducers_for(splits: Sequence[Split], memory_bytes: int = MEMORY_BYTES) -> int:
    """So many that each one's share of the input fits in its memory with room to sort it.

    The number of workers has no part in it: more of them must not change the parts.
    """
    total = sum(size_of(split) for split in splits)
    bytes_per_reducer = min(BYTES_PER_REDUCER, memory_bytes // MEMORY_PER_INPUT)
    return max(REDUCERS_MIN, min(REDUCERS_MAX, -(-total // bytes_per_reducer)))


def _partitions(reducers: int | None, job: Job, splits: Sequence[Split], memory_bytes: int) -> int:
    """As many as were asked for, or as the job says, or as its input needs."""
    partitions = reducers
    if partitions is None:
        partitions = job.default_reducers or reducers_for(splits, memory_bytes)
    return check_reducers(partitions)


def check_reducers(number: Any, least: int = 1) -> int:
    """Return how many reducers are meant. Raises UsageError for what is no number of them."""
    reducers = whole_number("reducers", number)
    if not least <= reducers <= REDUCERS_ALLOWED:
        why = "each of them writes a file" if least else "without any it gives what the maps yield"
        raise UsageError(
            f"a {'job' if least else 'round'} has from {least} to {REDUCERS_ALLOWED:,} reducers, "
            f"not {reducers:,}; {why}"
        )
    return reducers


def whole_number(name: str, number: Any) -> int:
    """The number as an int, as messages carry it: numpy's, too. Raises UsageError for others."""
    try:
        return index(number)
    except TypeError:
        raise UsageError(f"{name} is a whole number, not {preview(number)}") from None


def _sampler(job: Job, balance_keys: bool) -> str | None:
    """What asks for a sample of the inputs, if anything does: it chooses the partitions, and only
    one can say which partition a key belongs to."""
    sampler = "total_order" if job.total_order else "balance_keys" if balance_keys else None
    if sampler is not None and type(job).partition is not Job.partition:
        raise UsageError(
            f"{type(job).__name__} has a partition of its own and {sampler}, which chooses the "
            "partitions; leave one of them out"
        )
    return sampler


def _check_limits(skip_bad_records: int, memory_bytes: int, compress: str) -> None:
    if not 0 <= skip_bad_records <= SKIP_MAX:
        raise UsageError(
            f"a job may skip from 0 to {SKIP_MAX:,} bad records, not {skip_bad_records:,}; "
            "let map leave out what is bad in every file"
        )
    if memory_bytes < MEMORY_BYTES_MIN:
        raise UsageError(
            f"a slot needs a memory of at least {MEMORY_BYTES_MIN:,} bytes, not {memory_bytes:,}; "
            "64MB is enough for most jobs"
        )
    if compress != NONE:
        compressor(compress)


def check_inputs(format: str, splits: Sequence[Split]) -> None:
    """Raise UsageError if a file cannot be of that format."""
    reader = input_format(format)
    for path in dict.fromkeys(split.path for split in splits):
        reader.check(path)


def _check_splittable(job: Job) -> None:
    """A hot key is split by letting each map task reduce its own pairs of every key first."""
    if job.combine is None and not isinstance(job.reduce, Aggregate):
        raise UsageError(
            f"the pairs of one key of {type(job).__name__} cannot be split: its reduce must see "
            "them together. Make reduce one of Sum, Count, Min, Max, Mean, TopK, or give a combine"
        )


def _packs(splits: Sequence[Split], pack: bool) -> list[list[Split]]:
    """The splits of each map task: one, or with `pack` neighbours together."""
    if not pack:
        return [[split] for split in splits]
    return packed(splits, [size_of(split) for split in splits])


def size_of(split: Split) -> int:
    return split.length if split.length >= 0 else Path(split.path).stat().st_size
