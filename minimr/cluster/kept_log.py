"""The event log of one job in the coordinator's memory, for those who ask later.

A job of a hundred thousand tasks has several hundred thousand lines, much alike; as Python objects
they would weigh more than all that the scheduler knows of the job. So all but the newest lines are
packed, which makes them some twenty times smaller, and a log that grows too long loses its oldest.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgpack

Line = dict[str, Any]

ERRORS = "surrogatepass"
PACKED_TOGETHER = 500
LINES_MAX = 200_000


class KeptLog:
    """Lines in order; `first` is the job's first one even if it is among those that were lost."""

    def __init__(self, lines_max: int = LINES_MAX) -> None:
        """`lines_max` is kept to within PACKED_TOGETHER lines."""
        self.first: Line | None = None
        self._packed: deque[bytes] = deque(maxlen=max(1, lines_max // PACKED_TOGETHER))
        self._newest: list[Line] = []

    def extend(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.append(line)

    def append(self, line: Line) -> None:
        if self.first is None:
            self.first = line
        self._newest.append(line)
        if len(self._newest) > PACKED_TOGETHER:  # One is always left, the last.
            together, self._newest = self._newest[:-1], self._newest[-1:]
            # A number of more than 64 bits is kept as text.
            packed = msgpack.packb(together, default=str, unicode_errors=ERRORS)
            self._packed.append(zlib.compress(packed, 1))

    @property
    def last(self) -> Line:
        """Raises IndexError if there is none."""
        return self._newest[-1]

    def __iter__(self) -> Iterator[Line]:
        for together in list(self._packed):
            yield from msgpack.unpackb(zlib.decompress(together), unicode_errors=ERRORS)
        yield from list(self._newest)

    def __len__(self) -> int:
        return PACKED_TOGETHER * len(self._packed) + len(self._newest)
