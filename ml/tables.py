"""Files that are tables: which they are, and whether their columns are what they are taken for.

Every file is read by itself, and numbers alone become rows, not what a csv file's first line calls
its columns. So nobody would notice that one has them in another order: its numbers would be taken
for those of other features, and the model or its predictions would be wrong without a word.
"""

import csv
import gzip
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path

import minimr as mr

TABLES = (".csv", ".npy")
"""How files end that have columns."""
HEAD_CHARACTERS = 1 << 20


def suffix_of(path: str | os.PathLike[str]) -> str:
    """In small letters, that of gzip left out; of a directory or a glob that of the files, "" if
    they have different ones."""
    suffixes = {_suffix(each) for each in files_of(path)}
    return suffixes.pop() if len(suffixes) == 1 else ""


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """Those that a path stands for; itself, if it is a file or nothing that is there."""
    place = Path(path)
    found = [place]
    with suppress(OSError):  # Whoever loads them says so.
        if place.is_dir():
            found = list(place.iterdir())
        elif has_magic(str(place)) and not place.exists():
            found = [Path(name) for name in glob(str(place), recursive=True)]  # noqa: PTH207
    if found in ([place], []):
        return [place]
    return [each for each in found if each.is_file() and each.name[0] not in "._"]


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def refuse_narrow_table(
    path: str | os.PathLike[str], label: str | int | None, features: int, expected: int
) -> None:
    """Raise UsageError for a table with fewer features than a model has: none can miss there, as
    zeros do in libsvm text. `label` is what it was loaded with."""
    if features >= expected or suffix_of(path) not in TABLES:
        return
    column = "the last column" if label is None else f"column {label!r}"
    raise mr.UsageError(
        f"the rows have {features} feature{'s' * (features != 1)}, and the model has {expected}: "
        f"{column} of {os.fspath(path)} is taken for the labels; give the columns that the model "
        "was trained on, with labels or any numbers in that one"
    )


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


def feature_names(paths: Iterable[Path], label: str) -> list[str]:
    """What csv files call their columns, but that of the labels; nothing, if none of them says it.

    `label` is what they were loaded with, a name or a number.
    """
    names = next(filter(None, map(_names_in, sorted(paths))), [])
    if names:
        del names[names.index(label) if names.count(label) == 1 else int(label)]
    return names


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
