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

Two members with an array of 2 MiB or less need no second half: each sends its array as a whole, as
many elements as on the ring, and both add the same two numbers. It takes half the time, which is
all waiting. Larger arrays gain nothing, for then both members add all of them.

Order of the sum: chunk c is added left to right from member c around the ring, ((x_c + x_c+1) +
...) + x_c-1. One member does the last addition and all others copy its result, so the replicas are
equal to the byte. They equal a sum in rank order up to rounding only.

With a compression, all that travels is packed: what was added so far is rounded at each hop of the
first half, and the finished chunks once. Their owners take the rounded ones, too, so the replicas
are still equal to the byte.

Chunks travel in segments, so that all links are busy at once: a member passes a segment on as soon
as it has come and was added. All that will come is expected from the start, so the thread that
receives a segment verifies it, adds it, and sums it for its next journey, a piece at a time, while
that piece is in the processor's cache; from a member on the same machine it adds a piece from where
the sender put it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.errors import UsageError
from minimr.gang.compression import Compression
from minimr.gang.members import Members, Target, fitting

Array = npt.NDArray[Any]

SEGMENT_BYTES = 1 << 22
"""Each message costs both members about 0.1 ms; on the one machine where it was measured, smaller
segments took longer and larger ones did not take less."""
SWAP_BYTES = 1 << 21
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
    flat, size = array.reshape(-1), members.size
    if size == 2 and compression is None and 0 < array.nbytes <= SWAP_BYTES:
        _swap(members, flat)
        return array
    chunks = [flat[i * len(flat) // size : (i + 1) * len(flat) // size] for i in range(size)]
    if compression is not None:
        _reduce_packed(members, chunks, compression)
        return array
    if size > 1:
        _reduce(members, chunks)
    return array


def _swap(members: Members, mine: Array) -> None:
    other = 1 - members.rank
    members.send(other, TAG, mine)
    theirs = fitting(members.receive(other, TAG), mine, other)
    # The same operation at both: which of two values that are no numbers a sum becomes depends on
    # their order, and on whether it is taken in place.
    mine[:] = mine + theirs if members.rank == 0 else theirs + mine


def _reduce(members: Members, chunks: list[Array]) -> None:
    """Both halves. In each step comes what is passed on in the next one.

    A finished chunk may be written over what was added up before, though the thread that sends may
    be far behind: it is finished only because the next rank has received all of that.
    """
    rank, size = members.rank, members.size
    after, before = (rank + 1) % size, (rank - 1) % size
    incoming = [(chunks[(rank - 1 - step) % size], True) for step in range(size - 1)]
    incoming += [(chunks[(rank - step) % size], False) for step in range(size - 1)]
    targets = [Target(part, is_sum) for chunk, is_sum in incoming for part in _segments(chunk)]
    staying = len(list(_segments(incoming[-1][0])))
    with members.expect(before, TAG, targets) as arrivals:
        for segment in _segments(chunks[rank]):
            members.send(after, TAG, segment)
        for arrived in islice(arrivals, len(targets) - staying):
            members.pass_on(after, TAG, arrived)
        for _ in arrivals:
            pass  # The last chunk has been everywhere.


def _reduce_packed(members: Members, chunks: list[Array], compression: Compression) -> None:
    rank, size = members.rank, members.size
    after, before = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        members.send(after, TAG, compression.pack(chunks[(rank - step) % size]))
        mine = chunks[(rank - step - 1) % size]
        mine += fitting(compression.unpack(members.receive(before, TAG)), mine, before)
    packed = compression.pack(chunks[(rank + 1) % size])
    chunks[(rank + 1) % size][:] = compression.unpack(packed)
    for step in range(size - 1):
        members.send(after, TAG, packed)
        packed = members.receive(before, TAG)
        chunks[(rank - step) % size][:] = compression.unpack(packed)


def _segments(chunk: Array) -> Iterator[Array]:
    length = max(1, SEGMENT_BYTES // chunk.itemsize)
    for start in range(0, len(chunk), length):
        yield chunk[start : start + length]


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
