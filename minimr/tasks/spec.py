"""What a task is told and what it answers, as plain data.

A slot receives msgpack and the serial runner has Python objects; both make their tasks here, so
that the two cannot drift apart. Every field of a spec or task can be encoded by shuffle/codec.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minimr.formats.output import PartInfo
from minimr.job import Job
from minimr.shuffle import codec
from minimr.shuffle.compression import NONE

MEMORY_BYTES = 256 << 20
"""About how much a map task holds in memory before it spills."""
INLINE_BYTES = 64 << 10
"""A map output up to this size rides inside the completion message and touches no disk."""

COLLECT = {"kind": "collect"}
"""The output of a reduce task whose pairs go back to the caller."""


def files_output(directory: Path, output_format: str) -> dict[str, Any]:
    """Return the output of a reduce task that writes an attempt's part file to a directory."""
    return {"kind": "files", "directory": str(directory), "format": output_format}


def own(value: Any) -> Any:
    """A copy of what the codec carries. Arrays are shared: as they come, nobody can write them."""
    try:
        return _copied(value)
    except RecursionError:  # It may lie deeper than functions may.
        return codec.loads(codec.dumps(value))


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _copied(each) for key, each in value.items()}
    if kind is list:
        return [_copied(each) for each in value]
    if kind is tuple:
        return tuple([_copied(each) for each in value])
    return value


@dataclass(frozen=True)
class JobSpec:
    """All that the tasks of a job have in common, beside its code.

    With `boundaries`, at most `partitions` - 1 keys in order, partitions are ranges of keys.
    Profiles of the attempts go to the directory `profiles`, if there is one. `compress` names the
    codec of spills and segments, see shuffle/compression.py.
    """

    partitions: int
    options: dict[str, Any] = field(default_factory=dict)
    format: str = "text"
    encoding: str = "utf-8"
    errors: str = "surrogateescape"
    output: dict[str, Any] = field(default_factory=lambda: dict(COLLECT))
    memory_bytes: int = MEMORY_BYTES
    inline_bytes: int = INLINE_BYTES
    skip_max: int = 0
    split_hot_keys: bool = False
    boundaries: list[Any] | None = None
    profiles: str | None = None
    compress: str = NONE

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; their values are shared, not copied."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "JobSpec":
        """Return the inverse of `to_dict`."""
        return cls(**fields)

    def new_job(self, job_class: type[Job], state: Any = None) -> Job:
        """Return a fresh instance, which every attempt gets: attempts must not see each other.

        `state` is that of a round or a gang.
        """
        job = job_class(**own(self.options))
        job.state = own(state)
        if self.split_hot_keys and job.combine is None:
            job.combine, job.splits_hot_keys = job.reduce, True
        return job

    def map_task(
        self,
        index: int,
        source: dict[str, Any],
        keep: str | None = None,
        *,
        careful: bool = False,
        skip: Sequence[str] = (),
    ) -> "MapTask":
        """Return map task `index` over `source`, a split or a resident partition as a dict.

        With `keep`, a path, the task stores what it makes there instead of shuffling it.
        """
        return MapTask(
            index=index,
            input=source,
            partitions=self.partitions,
            format=self.format,
            encoding=self.encoding,
            errors=self.errors,
            memory_bytes=self.memory_bytes,
            inline_bytes=self.inline_bytes,
            keep=keep,
            skip_max=self.skip_max,
            careful=careful,
            skip=tuple(skip),
            digest=self.output["kind"] == "files",
            boundaries=self.boundaries,
            compress=self.compress,
        )

    def reduce_task(
        self, index: int, attempt: int = 0, *, careful: bool = False, skip: Sequence[str] = ()
    ) -> "ReduceTask":
        """Return attempt `attempt` of the reduce task of partition `index`."""
        return ReduceTask(
            index,
            self.output,
            attempt,
            self.skip_max,
            careful,
            tuple(skip),
            self.memory_bytes,
            self.compress,
        )


@dataclass(slots=True)
class MapTask:
    """One attempt at one map task; see `JobSpec.map_task`.

    At most `skip_max` bad records are left out; the positions in `skip` are left out unseen, since
    they killed earlier attempts. A `careful` attempt publishes where it is before each call. Rounds
    need no `digest` of their output: what they give is gone when they end.
    """

    index: int
    input: dict[str, Any]
    partitions: int
    format: str = "text"
    encoding: str = "utf-8"
    errors: str = "surrogateescape"
    memory_bytes: int = MEMORY_BYTES
    inline_bytes: int = INLINE_BYTES
    keep: str | None = None
    skip_max: int = 0
    careful: bool = False
    skip: tuple[str, ...] = ()
    digest: bool = True
    boundaries: list[Any] | None = None
    compress: str = NONE


@dataclass(slots=True)
class MapResult:
    """A map attempt's outcome: a file, or `segments` inline, or neither if it kept its data.

    `segment_bytes` are the sizes of the R segments. `records_in` counts lines or rows, the skipped
    ones too; `records_out` the pairs that travel on, which a combiner makes fewer. `digest` is that
    of the segments, None if the task kept its data. `skipped` has a {"position", "record", "error"}
    for each record that was left out, `hot` a {"key", "pairs"} for each hot key.
    """

    path: str | None
    segments: list[bytes] | None
    segment_bytes: list[int]
    records_in: int
    records_out: int
    bytes_out: int
    counters: dict[str, int]
    digest: str | None = None
    skipped: list[dict[str, str]] = field(default_factory=list)
    hot: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class ReduceTask:
    """One attempt at one reduce task. `output` is COLLECT or made by `files_output`.

    The last fields are those of a MapTask, with key groups in place of records.
    """

    index: int
    output: dict[str, Any] = field(default_factory=lambda: dict(COLLECT))
    attempt: int = 0
    skip_max: int = 0
    careful: bool = False
    skip: tuple[str, ...] = ()
    memory_bytes: int = MEMORY_BYTES
    compress: str = NONE


@dataclass(frozen=True)
class ReduceResult:
    """A reduce attempt's outcome: a part file, or `pairs` as pair-blocks if they are collected.

    `skipped` describes the key groups that were left out, as in a MapResult.
    """

    part: PartInfo | None
    pairs: bytes | None
    records_in: int
    records_out: int
    bytes_out: int
    counters: dict[str, int]
    skipped: list[dict[str, str]] = field(default_factory=list)
