"""How many attempts a slot has begun, in a file that outlives it.

A slot may die with answers it has not sent yet. The worker then reads here which attempt was the
running one, and blames that one alone. The file is mapped into memory: a store, not a system call.
"""

import mmap
import struct
from pathlib import Path

COUNT = struct.Struct("<Q")
NAME = "started"


class StartedCounter:
    """The slot's side."""

    def __init__(self, scratch: Path) -> None:
        path = scratch / NAME
        path.write_bytes(COUNT.pack(0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), COUNT.size)
        self._count = 0

    def next(self) -> None:
        self._count += 1
        COUNT.pack_into(self._map, 0, self._count)


def read_started(scratch: Path) -> int:
    """The worker's side, after the slot's death; 0 if it died before it could begin."""
    try:
        (count,) = COUNT.unpack((scratch / NAME).read_bytes())
    except (OSError, struct.error):
        return 0
    return int(count)
