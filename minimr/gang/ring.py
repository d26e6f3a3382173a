"""All-reduce on a ring: everybody ends with the sum of everybody's arrays.

To send every array to one member, which adds them up and sends the sum back, takes 2(K-1) n
elements through that one's network. On a ring all members carry the same load (Patarasuk and Yuan,
"Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009; Baidu and Horovod made
it the way in which neural networks are trained). The array is cut into K chunks:

    reduce-scatter   K-1 steps: each member sends one chunk to the next rank, and adds the chunk
                     that comes from the rank before to its own. Chunk c sets out at member c; after
                     K-1 steps the member before c holds its sum.
    all-gather       K-1 steps more: the finished chunks go once around.

Chunk i is [i n // K, (i+1) n // K). A member sends all chunks but one in each half, so where K
divides n it sends exactly 2 (K-1)/K n elements, which is the least that is possible. Where it does
not, the members together send exactly 2 (K-1) n, and each of them within 2 elements of that share.

Two members with an array of one segment need no second half: each sends its array as a whole, as
many elements as on the ring, and both add the same two numbers. It takes half the time, which is
all waiting. Larger arrays gain nothing, for then both members add all of them.

Order of the sum: chunk c is added left to right from member c around the ring, ((x_c + x_c+1) +
...) + x_c-1. One member does the last addition and all others copy its result, so the replicas are
equal to the byte. They equal a sum in rank order up to rounding only.

With a compression, all that travels is packed: what was added so far is rounded at each hop of the
first half, and the finished chunks once. Their owners take the rounded ones, too, so the replicas
are still equal to the byte.

Chunks travel in segments that fit a processor's cache: a segment is added while it is still there,
and goes on while the next one arrives.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.errors import UsageError
from minimr.gang.compression import Compression
from minimr.gang.members import Members

Array = npt.NDArray[Any]

SEGMENT_BYTES = 1 << 21
TAG = "ring"


@np.errstate(over="ignore", invalid="ignore")  # sums that are no numbers are for callers to see
def all_reduce(members: Members, array: Array, compression: Compression | None = None) -> Array:
    """Replace `array`, of any shape and numeric dtype, by the sum over all members; return it.

    Every member calls this with an array of the same shape and dtype. A `compression` is one
    without memory, for arrays of float64.

    Raises UsageError if they differ or if the array cannot be changed in place, MemberLost if a
    member is lost; the array then holds neither what it was nor the sum.
    """
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise UsageError("all_reduce works in place: give it a C-contiguous array it may change")
    rank, size = members.rank, members.size
    flat = array.reshape(-1)
    if size == 2 and compression is None and array.nbytes <= SEGMENT_BYTES:
        for mine, theirs in _pass_on(members, [flat, flat], 0):
            # The same operation at both: which of two values that are no numbers a sum becomes
            # depends on their order, and on whether it is taken in place.
            mine[:] = mine + theirs if rank == 0 else theirs + mine
        return array
    chunks = [flat[i * len(flat) // size : (i + 1) * len(flat) // size] for i in range(size)]
    if compression is not None:
        _reduce_packed(members, chunks, compression)
        return array
    for step in range(size - 1):
        for mine, theirs in _pass_on(members, chunks, rank - step):
            np.add(theirs, mine, out=mine)
    for step in range(size - 1):
        for mine, theirs in _pass_on(members, chunks, rank + 1 - step):
            mine[:] = theirs
    return array


def _reduce_packed(members: Members, chunks: list[Array], compression: Compression) -> None:
    rank, size = members.rank, members.size
    after, before = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        members.send(after, TAG, compression.pack(chunks[(rank - step) % size]))
        mine = chunks[(rank - step - 1) % size]
        mine += _fitting(compression.unpack(members.receive(before, TAG)), mine, before)
    packed = compression.pack(chunks[(rank + 1) % size])
    chunks[(rank + 1) % size][:] = compression.unpack(packed)
    for step in range(size - 1):
        members.send(after, TAG, packed)
        packed = members.receive(before, TAG)
        chunks[(rank - step) % size][:] = compression.unpack(packed)


def _pass_on(members: Members, chunks: list[Array], index: int) -> Iterator[tuple[Array, Array]]:
    """Send a chunk to the next rank; yield the segments of the chunk before it, and what came.

    Chunks differ by one element, so one of them has at most one segment more than the other.
    """
    size = members.size
    after, before = (members.rank + 1) % size, (members.rank - 1) % size
    outgoing, incoming = _segments(chunks[index % size]), _segments(chunks[(index - 1) % size])
    for segment in islice(outgoing, 1):
        members.send(after, TAG, segment)
    for mine in incoming:
        theirs = _fitting(members.receive(before, TAG), mine, before)
        for segment in islice(outgoing, 1):  # The next one travels while this one is added.
            members.send(after, TAG, segment)
        yield mine, theirs
        members.reuse(before, theirs)


def _segments(chunk: Array) -> Iterator[Array]:
    length = max(1, SEGMENT_BYTES // chunk.itemsize)
    for start in range(0, len(chunk), length):
        yield chunk[start : start + length]


def _fitting(theirs: Any, mine: Array, source: int) -> Array:
    if isinstance(theirs, np.ndarray) and (theirs.shape, theirs.dtype) == (mine.shape, mine.dtype):
        return theirs
    raise UsageError(
        f"all_reduce: member {source} sent {getattr(theirs, 'shape', theirs)} of "
        f"{getattr(theirs, 'dtype', type(theirs).__name__)} where {mine.shape} of {mine.dtype} was "
        "due; every member must call it with the same shape and dtype, and as often"
    )


def all_gather(members: Members, value: Any) -> list[Any]:
    """Give everybody's value to everybody. Returns them by rank; `value` itself at our own."""
    others = [rank for rank in range(members.size) if rank != members.rank]
    for other in others:
        members.send(other, "all_gather", value)
    values = {other: members.receive(other, "all_gather") for other in others}
    return [values.get(rank, value) for rank in range(members.size)]


def broadcast(members: Members, value: Any, root: int = 0) -> Any:
    """Give `root`'s value to everybody. Returns it; what the others call this with is not used."""
    if members.rank != root:
        return members.receive(root, "broadcast")
    for other in range(members.size):
        if other != root:
            members.send(other, "broadcast", value)
    return value
