"""Sort lines.

    minimr run sort names.txt -o sorted
    minimr run sort sales.tsv -o sorted -- --key 3 --numeric --reverse

The parts follow one another: read in their order, they are the sorted input, whatever their number.
Each holds about the same number of lines, unless one key alone has more of them than that.

`key` sorts by one column, counted from 1, instead of the whole line; columns stand between
`separator`, or between runs of blanks without one. `numeric` compares numbers, as `sort -g` does:
what is none comes first. `reverse` puts the last first. Text is compared character by character, by
code point. Lines with equal keys stay in the order of the input, as with `sort --stable`.

`minimr validate sorted` checks the result. Records of fixed width are sorted by `terasort`.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import minimr as mr
from minimr.jobs.lines import column_of_lines

NO_NUMBER = float("-inf")
DESCENDING = bytes(254 - min(byte, 254) for byte in range(256))
AFTER_ALL = b"\xff"
LARGE_BYTES = 1 << 18
"""Lines of such a size are not copied as often as they come."""


class Sort(mr.Job):
    """Emits (key, line), or (line, True) if the line is the key; the engine sorts by key."""

    total_order: ClassVar[bool] = True

    key: int = 0
    separator: str = ""
    numeric: bool = False
    reverse: bool = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.key < 0:
            raise mr.UsageError(f"Columns are counted from 1, so --key cannot be {self.key}.")

        self._by_line = not (self.key or self.numeric or self.reverse)

    def map(self, _offset: int, line: str) -> Iterator[tuple[Any, str | bool]]:
        yield self.key_of(line), self._by_line or line

    def map_block(self, block: mr.TextBlock) -> mr.Pairs:
        import numpy as np

        lines = column_of_lines(block)
        if self._by_line:
            return mr.Pairs(lines, np.ones(len(lines), np.bool_))
        return mr.Pairs(list(map(self.key_of, lines)), lines)

    def reduce(self, key: Any, lines: Iterator[str | bool]) -> Iterator[tuple[Any, None]]:
        for line in lines:
            yield key if self._by_line else line, None

    def reduce_block(self, groups: mr.Groups) -> Iterator[mr.Pairs]:
        lines = groups.values
        if not self._by_line:
            yield mr.Pairs(lines, [None] * len(lines))
            return
        import numpy as np

        counts = np.diff(groups.starts, append=len(lines))
        numbers = np.repeat(np.arange(len(groups)), counts)
        step = 1 if groups.keys.nbytes > LARGE_BYTES * len(groups) else max(1, len(numbers))
        for start in range(0, len(numbers), step):
            part = groups.keys.take(numbers[start : start + step])
            yield mr.Pairs(part, [None] * len(part))

    def key_of(self, line: str) -> Any:
        """What the line is sorted by: the line itself, unless an option says otherwise."""
        field = self._column(line) if self.key else line
        if self.numeric:
            number = number_in(field)
            return -number if self.reverse else number
        return descending(field) if self.reverse else field

    def _column(self, line: str) -> str:
        columns = line.split(self.separator or None)
        return columns[self.key - 1] if self.key <= len(columns) else ""


def number_in(text: str) -> float:
    """The number that a text is, or NO_NUMBER."""
    try:
        number = float(text)
    except ValueError:
        return NO_NUMBER
    return number if number == number else NO_NUMBER


def descending(text: str) -> bytes:
    """Bytes that are ordered the other way round than the texts.

    UTF-8 is ordered as the text is and has no byte above 244. So 254 minus each byte turns the
    order around, and 255 at the end puts a text behind those that it begins.
    """
    return text.encode("utf-8", "surrogatepass").translate(DESCENDING) + AFTER_ALL
