"""Many byte strings as one: the inputs of all map tasks of a job, or all that a reduce task merges.

A job may have a hundred thousand map tasks. One value for each in the head of a message would burst
its limit, and one Python object for each would weigh more than what the scheduler knows of a task.

    u32 number of items, u32 length for each, then the items end to end
"""

import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, pairwise

from minimr.cluster.wire import Buffer
from minimr.errors import ProtocolError

COUNT_BYTES = LENGTH_BYTES = 4


def joined(items: Iterable[Buffer], lengths: Iterable[int] | None = None) -> bytearray:
    """The items as one; `Joined` takes them apart.

    With their `lengths`, the items may be made one by one and need not all be there at once.
    """
    numbers = array("I", chain([0], lengths or map(len, items)))
    numbers[0] = len(numbers) - 1
    whole = bytearray(_little_endian(numbers))
    for item in items:
        whole += item
    return whole


class Joined:
    """The items of what `joined` made, by number. Raises ProtocolError for other bytes."""

    def __init__(self, data: Buffer) -> None:
        self.data = memoryview(data)
        numbers = array("I")
        if len(data) < COUNT_BYTES:
            raise ProtocolError("a list of items is cut off")
        numbers.frombytes(self.data[:COUNT_BYTES])
        count = _little_endian(numbers)[0]
        start = COUNT_BYTES + LENGTH_BYTES * count
        if len(data) < start:
            raise ProtocolError(f"a list of {count} items is cut off")
        lengths = array("I")
        lengths.frombytes(self.data[COUNT_BYTES:start])
        self._starts = array("Q", accumulate(_little_endian(lengths), initial=start))
        if self._starts[-1] != len(data):
            raise ProtocolError(f"a list of {count} items has {len(data)} bytes, which is wrong")

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> memoryview:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.data[self._starts[index] : self._starts[index + 1]]

    def __iter__(self) -> Iterator[memoryview]:
        return (self.data[start:end] for start, end in pairwise(self._starts))


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
