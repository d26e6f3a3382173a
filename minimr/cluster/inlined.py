"""Small map outputs on their way to a reduce task, inside the order to run it."""

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from minimr.cluster.joined import Joined, joined
from minimr.cluster.wire import Blob, Buffer
from minimr.shuffle.digest import DIGEST_CHARACTERS

HEAD = struct.Struct(f"<I{DIGEST_CHARACTERS}s")


class Inlined(NamedTuple):
    """The segment of one map task's output; `digest` is that of the whole output, "" for none."""

    map_index: int
    segment: Buffer
    digest: str


def pack_inlined(outputs: Sequence[tuple[int, Blob, str | None]]) -> Blob | None:
    """The outputs as one blob, or None if there are none."""
    if not outputs:
        return None
    lengths = chain.from_iterable((HEAD.size, len(segment)) for _, segment, _ in outputs)
    return Blob(joined(_items(outputs), lengths))


def _items(outputs: Sequence[tuple[int, Blob, str | None]]) -> Iterator[Buffer]:
    """One after the other: as a list they would weigh more than all together."""
    for index, segment, digest in outputs:
        yield HEAD.pack(index, (digest or "").encode())
        yield segment.data


def unpack_inlined(blob: Blob | None) -> Iterator[Inlined]:
    """The inverse of `pack_inlined`. Raises ProtocolError for other bytes."""
    items = iter(Joined(blob.data)) if blob is not None else iter(())
    for head, segment in zip(items, items, strict=True):
        index, digest = HEAD.unpack(head)
        yield Inlined(index, segment, digest.rstrip(b"\0").decode())
