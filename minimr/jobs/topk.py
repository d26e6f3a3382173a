"""Find the lines with the largest numbers.

    minimr run topk sales.tsv -o top -- --n 20 --column 3
    minimr run wordcount books/*.txt -o counts
    minimr run topk counts -o common -- --column 2

The second and third line find the ten most frequent words. The result is the `n` lines with the
largest numbers, the largest first; of equal numbers, the line that sorts first comes first, so the
order of the input has no say. `column` and `separator` tell where the number is (see numbers.py).
Lines without one are left out and counted.

Each map task sends its own best `n` lines to the one reducer, so these must fit in memory.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import minimr as mr
from minimr.jobs.numbers import NO_NUMBER, check_column, number_in

Ranked = tuple[float, str]


class TopLines(mr.Job):
    """Emits (None, (-number, line)), so that all lines meet and the smallest pairs are the best."""

    default_reducers: ClassVar[int | None] = 1

    n: int = 10
    column: int = 0
    separator: str = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        check_column(self.column)
        if self.n < 1:
            raise mr.UsageError(f"--n is how many lines to keep, at least 1, not {self.n}.")

    def map(self, _offset: int, line: str) -> Iterator[tuple[None, Ranked]]:
        number = number_in(line, self.column, self.separator)
        if number is None:
            self.count(NO_NUMBER)
        else:
            yield None, (-number, line)

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[None, Ranked]]:
        pairs = (pair for offset, line in block.lines() for pair in self.map(offset, line))
        return self.combine(None, (ranked for _, ranked in pairs))

    def combine(self, key: None, ranked: Iterable[Ranked]) -> Iterator[tuple[None, Ranked]]:
        for best in heapq.nsmallest(self.n, ranked):
            yield key, best

    def reduce(self, _key: None, ranked: Iterator[Ranked]) -> Iterator[tuple[str, None]]:
        for _, line in heapq.nsmallest(self.n, ranked):
            yield line, None
