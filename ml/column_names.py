"""Whether csv files that are one table name the same columns in the same order.

Every file is read by itself, and what its own first line calls the columns is forgotten. So nobody
would notice that one file has them in another order: its numbers would be taken for those of other
features, and the model would be wrong without a word.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import minimr as mr

HEAD_CHARACTERS = 1 << 20


def check_same_names(paths: Iterable[Path]) -> None:
    """Raise UsageError for two files of as many columns that name one of them differently.

    Files without names are left alone, and what cannot be read is told by whoever loads it.
    """
    seen: dict[int, tuple[Path, list[str]]] = {}
    for path in sorted(paths):
        names = _names_in(path)
        first, expected = seen.setdefault(len(names), (path, names))
        for column, (one, other) in enumerate(zip(expected, names, strict=True)):
            if one != other:
                raise mr.UsageError(
                    f"column {column} is {one!r} in {first} and {other!r} in {path}: give files "
                    "with the same columns in the same order"
                )


def _names_in(path: Path) -> list[str]:
    """What the first line that is not blank calls the columns; none if it is a row of numbers."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with suppress(OSError, EOFError, zlib.error, csv.Error):
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            head = file.read(HEAD_CHARACTERS)
        for cells in csv.reader(head.splitlines(), skipinitialspace=True):
            names = [cell.strip() for cell in cells]
            if any(names):
                return [] if all(map(_is_number, names)) else names
    return []


def _is_number(cell: str) -> bool:
    with suppress(ValueError):
        float(cell)
        return True
    return False
