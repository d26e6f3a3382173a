"""The cluster runner: a prepared request as messages to a coordinator."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.client import Client
from minimr.cluster.joined import joined
from minimr.cluster.wire import Blob
from minimr.formats.splits import Split
from minimr.job import Job
from minimr.runners.request import Request, log_beside
from minimr.shuffle import codec
from minimr.source.pack import Code, pack
from minimr.tasks.spec import JobSpec

ROUND_INLINE_BYTES = 1 << 20


def submission(client: Client, request: Request, watch: bool) -> m.Submit:
    """A job from files to files. The log of one that nobody watches is the coordinator's to write,
    beside the output."""
    code = pack(type(request.job))
    inputs = request.map_inputs()
    output = {
        "staging": str(request.staging),
        "final": str(request.target),
        "format": request.output_format,
        "overwrite": request.overwrite,
        "skip_max": request.spec.skip_max,
        "backups": request.backups,
        "log": None if watch else str(log_beside(request.target)),
    }
    return m.Submit(
        request=client.next_request(),
        name=type(request.job).__name__,
        kind="job",
        maps=len(inputs),
        reduces=request.spec.partitions,
        source=None,
        code=code.digest,
        spec=_cargo(code, request.spec),
        inputs=_joined(inputs),
        output=output,
        watch=watch,
        events=watch,
    )


def load(client: Client, splits: Sequence[Split], input_format: str) -> m.Submit:
    """Parse splits and keep them: a job of map tasks alone, which change nothing."""
    code = pack(Job)
    spec = JobSpec(partitions=1, format=input_format)
    inputs = _joined([split.to_dict() for split in splits])
    return _kept(client, f"load {input_format}", code, spec, inputs, None, len(splits))


def derive(client: Client, job: Job, source: str, partitions: int) -> m.Submit:
    """Make each partition of a new dataset from the same partition of another."""
    spec = JobSpec(partitions=1, options=job.options())
    code = pack(type(job))
    return _kept(client, type(job).__name__, code, spec, None, source, partitions)


def _joined(inputs: Sequence[dict[str, Any]]) -> Blob:
    return Blob(joined([codec.dumps(each) for each in inputs]))


def _kept(
    client: Client,
    name: str,
    code: Code,
    spec: JobSpec,
    inputs: Blob | None,
    source: str | None,
    partitions: int,
) -> m.Submit:
    return m.Submit(
        request=client.next_request(),
        name=name,
        kind="load",
        maps=partitions,
        reduces=0,
        source=source,
        code=code.digest,
        spec=_cargo(code, spec, source, keep=True),
        inputs=inputs,
        output=None,
        watch=True,
        events=True,
    )


def round_over(
    client: Client,
    job: Job,
    source: str,
    partitions: int,
    state: Any,
    reducers: int,
    inline_bytes: int = ROUND_INLINE_BYTES,
) -> m.Submit:
    """One map and reduce over a dataset; what the reducers yield comes back in the message.

    Without reducers it is what the maps yield, of each that is not over `inline_bytes`.
    """
    code = pack(type(job))
    spec = JobSpec(
        partitions=reducers or 1,
        options=job.options(),
        inline_bytes=inline_bytes,
    )
    return m.Submit(
        request=client.next_request(),
        name=type(job).__name__,
        kind="round",
        maps=partitions,
        reduces=reducers,
        source=source,
        code=code.digest,
        spec=_cargo(code, spec, source, state=state),
        inputs=None,
        output=None,
        watch=True,
        events=False,
    )


def gang_over(
    client: Client,
    job: Job,
    source: str,
    partitions: int,
    state: Any,
    *,
    members: int,
    restart: str,
    checkpoints: Path,
) -> m.Submit:
    """Members that run at the same time over a dataset; what they yield comes back in messages."""
    code = pack(type(job))
    spec = JobSpec(partitions=1, options=job.options())
    gang = {"members": members, "partitions": partitions, "checkpoints": str(checkpoints)}
    return m.Submit(
        request=client.next_request(),
        name=type(job).__name__,
        kind="gang",
        maps=members,
        reduces=0,
        source=source,
        code=code.digest,
        spec=_cargo(code, spec, source, gang=gang, state=state),
        inputs=None,
        output=None,
        watch=True,
        events=True,
        restart=restart,
    )


def collected(results: Sequence[Blob]) -> list[tuple[Any, Any]]:
    """The pairs of a round or gang, from the blocks in which its reducers or members sent them."""
    from minimr.shuffle.pairs import decode_pairs, split_blocks

    pairs: list[tuple[Any, Any]] = []
    for blob in results:
        for keys, values in map(decode_pairs, split_blocks(blob.data)):
            pairs += zip(keys, values, strict=True)
    return pairs


def _cargo(
    code: Code,
    spec: JobSpec,
    source: str | None = None,
    keep: bool = False,
    gang: dict[str, Any] | None = None,
    state: Any = None,
) -> Blob:
    """What goes to the slots. All but the state is the same for the rounds of an iterative job, and
    packed by itself: a slot that knows it does not read it again."""
    known = {
        "code": code.to_dict(),
        "spec": spec.to_dict(),
        "source": source,
        "keep": keep,
        "gang": gang,
        # Relative paths mean in the slots what they mean here.
        "directory": os.getcwd(),  # noqa: PTH109 - every round pays for this line
    }
    return Blob(codec.dumps({"known": codec.dumps(known), "state": state}))
