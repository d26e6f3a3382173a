"""Count how many numbers fall in each of some equal bins.

    minimr run histogram ages.txt -o ages -- --low 0 --high 100 --bins 20
    minimr run histogram log.csv -o sizes -- --low 0 --high 1e6 --column 7 --separator ,

The result is a bin's lower edge and its count, in order; bins without a number are left out. A bin
holds its lower edge and not its upper one, but the last holds `high` too, as in numpy.histogram.
`column` and `separator` tell where the number is (see numbers.py). Numbers below `low` or above
`high`, and lines without a number, are counted by the job's counters.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import minimr as mr
from minimr.jobs.numbers import NO_NUMBER, check_column, number_in


class Histogram(mr.Job):
    """Emits (lower edge, 1) for each number, or a whole block's counts at once; adds them up."""

    default_reducers: ClassVar[int | None] = 1

    low: float
    high: float
    bins: int = 10
    column: int = 0
    separator: str = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        check_column(self.column)
        if self.bins < 1:
            raise mr.UsageError(f"--bins is how many bins there are, at least 1, not {self.bins}.")
        width = self.high - self.low
        if not 0 < width * self.bins < math.inf:
            raise mr.UsageError(
                "--low must be less than --high, and both well within the range of a float, not "
                f"{self.low} and {self.high}."
            )
        self._edges = [self.low + width * index / self.bins for index in range(self.bins)]

    def map(self, _offset: int, line: str) -> Iterator[tuple[float, int]]:
        edge = self._bin_of(line)
        if edge is not None:
            yield edge, 1

    def map_block(self, block: mr.TextBlock) -> Iterable[tuple[float, int]]:
        edges = (self._bin_of(line) for _, line in block.lines())
        return Counter(edge for edge in edges if edge is not None).items()

    combine = reduce = mr.Sum()

    def _bin_of(self, line: str) -> float | None:
        """The lower edge of the line's bin; None, and counted, if it has none."""
        number = number_in(line, self.column, self.separator)
        if number is None:
            self.count(NO_NUMBER)
        elif number < self.low:
            self.count("numbers below low")
        elif number > self.high:
            self.count("numbers above high")
        else:
            return self._edges[bisect_right(self._edges, number) - 1]
        return None
