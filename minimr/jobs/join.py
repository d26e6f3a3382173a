"""Join two tables of tab-separated lines on their first column.

    minimr run join people.tsv orders.tsv -o joined

For each pair of a line of the first input and a line of the second with the same first column,
the result is that column, a tab, the rest of the left line, a tab, and the rest of the right line
(an inner join). The pairs of a key are in the order of the left lines, then of the right ones. A
line without a tab is all key, with an empty rest. All lines of one key must fit in memory. Every
line travels, as a pair of its own, so a `map_block` would have nothing to save.
"""

from collections.abc import Iterator

import minimr as mr


class Join(mr.Job):
    """Emits (first column, (input number, rest)); pairs the rests of both inputs per key."""

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, tuple[int, str]]]:
        if self.input_index > 1:
            raise mr.UsageError("A join takes two inputs; put the files of a side in a directory.")
        key, _, rest = line.partition("\t")
        yield key, (self.input_index, rest)

    def reduce(self, key: str, values: Iterator[tuple[int, str]]) -> Iterator[tuple[str, str]]:
        sides: tuple[list[str], list[str]] = ([], [])
        for side, rest in values:
            sides[side].append(rest)
        left, right = sides
        for left_rest in left:
            for right_rest in right:
                yield key, f"{left_rest}\t{right_rest}"
