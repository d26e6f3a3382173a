"""Keep each line once.

    minimr run distinct addresses.txt -o unique

The lines of each part come out sorted.
"""

from collections.abc import Iterable, Iterator

import minimr as mr


class Distinct(mr.Job):
    """Emits (line, None) for each different line; one of each key's pairs is kept."""

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, None]]:
        yield line, None

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[str, None]]:
        for line in dict.fromkeys(line for _, line in block.lines()):
            yield line, None

    def reduce(self, line: str, _values: Iterable[None]) -> Iterator[tuple[str, None]]:
        yield line, None

    combine = reduce
