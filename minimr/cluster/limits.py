"""How much memory a slot may take, and how many files a process may open.

Without a limit, user code that grows without end takes the machine down with it, or the kernel
chooses a process to kill, and rarely the right one. With one, Python raises MemoryError in the
call that asked for too much: an attempt fails, at a known record, and the worker lives on.

The limit is RLIMIT_DATA: private memory that can be written, which is what a process allocates (the
kernel counts it since Linux 4.7). RLIMIT_AS would count mapped files as well, and a dataset mapped
into memory may be larger than the machine's (tasks/resident.py).
"""

import os
import resource
from contextlib import suppress
from pathlib import Path

SLOTS_PERCENT = 80
"""Of the machine's memory, shared evenly by its slots; the rest is for all other processes."""
BYTES_MIN = 512 << 20
"""Python, numpy and a map task's own buffers need about that much."""
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""What a container may use, in version 2 and 1 of Linux's control groups; "max" is no limit."""


def descriptors_max() -> int:
    """Return how many file descriptors this process may have; its `ulimit -n`."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def limit_memory(bytes_max: int) -> None:
    """Give this process, and those that it starts, a limit on the memory that they allocate.

    Beyond it an allocation raises MemoryError. It is the soft limit, so user code that knows what
    it does may raise it again. A lower limit that is in force already stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([bytes_max, *known]), hard))


def slot_memory_bytes(slots: int) -> int:
    """Return a slot's share of this machine's memory, which has `slots` slots in all."""
    return max(BYTES_MIN, machine_memory_bytes() * SLOTS_PERCENT // 100 // slots)


def machine_memory_bytes() -> int:
    """Return how much memory the machine has, or the container that we are in."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):
            sizes.append(int(path.read_text()))
    return min(sizes)
