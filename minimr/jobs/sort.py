"""Sort lines.

    minimr run sort names.txt -o sorted

Lines are compared character by character, by code point; equal lines all stay. Every part of the
result is sorted. With one reducer, which is this job's default, the result as a whole is sorted.
"""

from collections.abc import Iterator
from typing import ClassVar

import minimr as mr


class Sort(mr.Job):
    """Emits (line, None); the engine sorts by key, and the default reduce keeps every pair."""

    default_reducers: ClassVar[int | None] = 1

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, None]]:
        yield line, None
