"""Find the lines that match a pattern.

    minimr run grep logs/ -- "error|warning" --ignore-case

The pattern is a regular expression of Python's `re`. The result is the file's path and the line,
for each line in which the pattern is found, in the order of the files and lines.
A `map_block` would save little: a pattern cannot be searched for in many lines at once, since `^`
and `$` would see the line ends.
"""

import re
from collections.abc import Iterator
from typing import Any

import minimr as mr


class Grep(mr.Job):
    """Emits (path, line) for each line that matches; the values of a path stay in order."""

    pattern: str
    ignore_case: bool = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        try:
            self._search = re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0).search
        except re.error as error:
            raise mr.UsageError(
                f"The pattern {self.pattern!r} is no regular expression: {error}."
            ) from error

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, str]]:
        if self._search(line):
            yield self.input_path, line
