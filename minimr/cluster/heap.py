"""What a slot does with memory that it has freed: it keeps it for the next block.

glibc returns large pieces of memory to the kernel as soon as they are free. A task that works
through its input block by block asks for the same pieces again, and every page of them is zeroed
and mapped once more: 2,000 of them for 1 MB of text, a quarter of the time of a word count.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
LARGE_BYTES = 32 << 20
"""What is larger than that has pages of its own, and they go as soon as it is freed; 32 MiB is the
most that glibc would come to by itself, as pieces of that size are freed."""
KEPT_BYTES = 128 << 20
"""So much may lie free at the end of the heap."""


def keep_freed_memory() -> None:
    """From now on and in this process; where the C library has no such choice, nothing happens."""
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        choose(M_MMAP_THRESHOLD, LARGE_BYTES)
        choose(M_TRIM_THRESHOLD, KEPT_BYTES)
