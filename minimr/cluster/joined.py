"""Many byte strings as one: the inputs of all map tasks of a job, or all that a reduce task merges.

A job may have a hundred thousand map tasks. One value for each in the head of a message would burst
its limit, and one Python object for each would weigh more than what the scheduler knows of a task.

    u32 number of items, u32 length for each, then the items end to end
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

from minimr.cluster.wire import Buffer
from minimr.errors import ProtocolError

COUNT_BYTES = LENGTH_BYTES = 4


def joined(items: Sequence[Buffer]) -> bytes:
    """The items as one; `Joined` takes them apart."""
    numbers = array("I", [len(items), *map(len, items)])
    return b"".join([_little_endian(numbers).tobytes(), *items])


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
        return map(self.__getitem__, range(len(self)))


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
