"""Merging in several passes: how many runs at once, and which (Knuth, TAOCP volume 3, 5.4.1).

A merge holds a block of each run in memory, so it can take only so many runs at once: its fan-in.
With more runs, neighbours are first merged into longer runs on disk, until few enough are left.
Neighbours, because the order of the runs is the order of the values within a key. And no more than
needed, since a pass reads and writes what it merges: of 65 runs with a fan-in of 64, two are merged
and 63 stay as they are.
"""

from typing import Any

from minimr.errors import BadRecord
from minimr.keys import preview

FAN_IN = 64
"""Runs that are merged at once if memory allows; each costs a block."""
FAN_IN_MIN = 2
BLOCK_BYTES_MAX = 1 << 20
BLOCK_BYTES_MIN = 4096
RECORD_COPIES = 5
SPARE_BYTES = 48 << 20
"""A task may take so much beside its memory: where that is small, for the copies of a record."""
BLOCK_SHARE = 48
"""A block takes at most this part of the memory, so that 16 runs can be merged at once."""


def next_pass(runs: int, fan_in: int = FAN_IN) -> list[range]:
    """Return how the next pass groups `runs` runs: neighbours, by number, each run once.

    A group of one stays as it is. Groups have at most `fan_in` members; when the number of groups
    is `fan_in` or less, what is left is the last merge. Raises ValueError for a fan-in below 2.
    """
    if fan_in < 2:
        raise ValueError(f"a merge of {fan_in} runs at once makes nothing longer")
    groups: list[range] = []
    start = 0
    while start < runs:
        surplus = len(groups) + runs - start - fan_in
        size = max(1, min(fan_in, surplus + 1, runs - start))
        groups.append(range(start, start + size))
        start += size
    return groups


def fan_in_for(memory_bytes: int, block_bytes: int, largest_bytes: int = 0) -> int:
    """Return how many runs, of blocks of `block_bytes`, may be merged at once within the memory.

    A block that is being merged counts thrice: as it was read, joined to others, and sorted. The
    largest of all, of `largest_bytes`, is one record, which is neither joined nor sorted.
    """
    block_bytes = max(block_bytes, largest_bytes // 2)
    return max(FAN_IN_MIN, min(FAN_IN, memory_bytes // (3 * block_bytes)))


def record_bytes_max(memory_bytes: int) -> int:
    """Return how large a record may be: a merge and what follows it hold so many copies of one."""
    few_copies = min(memory_bytes, (memory_bytes + SPARE_BYTES) // RECORD_COPIES)
    return max(few_copies, BLOCK_BYTES_MAX)


def too_large(memory_bytes: int, record_bytes: int, more: bool = False) -> str:
    """Return what to tell of a record that is larger, or with `more` even larger than that."""
    needed_bytes = max(record_bytes, RECORD_COPIES * record_bytes - SPARE_BYTES)
    needed = f"{'over ' if more else ''}{-(-needed_bytes // 1_000_000)}MB"
    return (
        f"takes {'over ' if more else ''}{record_bytes:,} bytes, and a task with a memory of "
        f"{memory_bytes:,} bytes can take {record_bytes_max(memory_bytes):,}. Allow it "
        f"{needed} (--memory)"
    )


def check_size(key: Any, pair_bytes: int, memory_bytes: int) -> None:
    """Raise BadRecord if a task of that memory cannot take the pair of this key, so large."""
    if pair_bytes > record_bytes_max(memory_bytes):
        what = too_large(memory_bytes, pair_bytes)
        raise BadRecord(f"The pair of the key {preview(key)} {what}.")


def block_bytes_for(memory_bytes: int) -> int:
    """Return how large the blocks of runs should be that are merged within the memory."""
    return max(BLOCK_BYTES_MIN, min(BLOCK_BYTES_MAX, memory_bytes // BLOCK_SHARE))
