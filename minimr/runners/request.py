"""A request to run a job, checked and prepared, the same for every runner; and its result."""

import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from minimr.errors import UsageError
from minimr.formats import committer
from minimr.formats.output import PartInfo, encoder
from minimr.formats.parts import read_part
from minimr.formats.splits import Split, plan_splits
from minimr.formats.text import check_encoding
from minimr.job import Job
from minimr.source.find import load_job
from minimr.tasks.spec import INLINE_BYTES, JobSpec, files_output

BYTES_PER_REDUCER = 64 << 20
REDUCERS_MIN, REDUCERS_MAX = 2, 64
INLINE_TOTAL_BYTES = 8 << 20
SKIP_MAX = 1_000
"""Bad records that a job may allow: each is described in messages and in the journal."""


class TemporaryPlace:
    """A directory that goes when nobody refers to this object any more, or the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="minimr-result-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


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

    @property
    def target(self) -> Path:
        """Where the result appears: the user's output, or a temporary place."""
        if self.final is not None:
            return self.final
        assert self.temporary is not None
        return self.temporary.path / "result"

    def result(
        self, parts: Sequence[dict[str, Any]], counters: dict[str, int], seconds: float
    ) -> "Result":
        infos = [PartInfo.from_dict(part) for part in parts]
        skipped = committer.read_skipped(self.target) if self.spec.skip_max else []
        return Result(
            self.final, infos, dict(counters), seconds, skipped, self.target, self.output_format,
            self.temporary,
        )  # fmt: skip

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
    job: Job | type[Job] | str,
    inputs: Sequence[str],
    output: str | os.PathLike[str] | None = None,
    *,
    reducers: int | None = None,
    output_format: str = "text",
    encoding: str = "utf-8",
    errors: str = "surrogateescape",
    overwrite: bool = False,
    skip_bad_records: int = 0,
    options: dict[str, Any] | None = None,
) -> Request:
    """Check everything that can be checked before any work is done. Raises UsageError."""
    if not 0 <= skip_bad_records <= SKIP_MAX:
        raise UsageError(
            f"a job may skip from 0 to {SKIP_MAX:,} bad records, not {skip_bad_records:,}; "
            "let map leave out what is bad in every file"
        )
    encoder(output_format)
    if isinstance(job, str):
        job = load_job(job)
    instance = job(**(options or {})) if isinstance(job, type) else job
    check_encoding(encoding, errors)
    splits = plan_splits(inputs)
    partitions = reducers or instance.default_reducers or reducers_for(splits)
    if partitions < 1:
        raise UsageError(f"a job needs at least one reducer, not {partitions}")
    temporary = TemporaryPlace() if output is None else None
    final = None if output is None else Path(output).resolve()
    target = temporary.path / "result" if temporary else Path(output or "")
    staging = committer.prepare(target, secrets.token_hex(4), overwrite)
    # Without an output the pairs stay with Python, so they keep their types.
    output_format = output_format if final else "msgpack"
    spec = JobSpec(
        partitions=partitions,
        options=instance.options(),
        format=instance.input_format,
        encoding=encoding,
        errors=errors,
        output=files_output(staging, output_format),
        inline_bytes=min(INLINE_BYTES, INLINE_TOTAL_BYTES // len(splits)),
        skip_max=skip_bad_records,
    )
    return Request(instance, splits, spec, staging, final, output_format, overwrite, temporary)


def log_beside(path: str | os.PathLike[str]) -> Path:
    """Where the event log lies of a run that writes `path`."""
    return Path(f"{os.fspath(path)}.log")


def reducers_for(splits: Sequence[Split]) -> int:
    """From the size of the input alone: more workers must not change the parts."""
    total = sum(size_of(split) for split in splits)
    return max(REDUCERS_MIN, min(REDUCERS_MAX, -(-total // BYTES_PER_REDUCER)))


def size_of(split: Split) -> int:
    return split.length if split.length >= 0 else Path(split.path).stat().st_size
