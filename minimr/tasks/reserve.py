"""Memory set aside for saying that there is no more memory.

When user code has used up all that the process may have (cluster/limits.py), even the text that
reports it finds no place. So some address space is kept from the start, which counts against the
limit but takes no memory while nobody writes to it, and is given up for the report.
"""

import mmap
import traceback
from contextlib import suppress

RESERVE_BYTES = 4 << 20

_held: list[mmap.mmap] = []


def set_aside() -> None:
    """Hold the reserve, if it is not held already and there is room for it."""
    if not _held:
        with suppress(OSError):
            _held.append(mmap.mmap(-1, RESERVE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def make_room(error: BaseException) -> None:
    """Free what the calls that ended in the error still hold, and the reserve."""
    while _held:
        _held.pop().close()
    traceback.clear_frames(error.__traceback__)
