"""Tables of numbers as comma-separated text: X, the features of every row, and y, their labels.

A line is a row, a cell is a number, blanks around it and quotes (RFC 4180) do not matter, blank
lines are skipped. If a cell of the file's first line is no number, that line is a header of names;
but a row of numbers with a gap (an empty cell, NA, 1,000) in the first line is refused, since it
would be lost if it were taken for names.
One column holds the labels: the last one, or the one that the format's argument gives by its name
or by its number ("csv:price", "csv:0"; negative numbers count from the end, as Python's do).

Every split looks at the first line of the file, which says how many cells a row has. As for libsvm
(libsvm.py) there are two parsers with one meaning: numpy takes thousands of lines at once and gives
up on anything unusual, and a careful one knows every rule and names file and line.
"""

import csv
import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimr.block import Block, PiecewiseBlock
from minimr.errors import BadRecord, UsageError
from minimr.formats.decimals import (
    COMMA,
    EXPONENT,
    NEWLINE,
    POINT,
    Grammar,
    cut_at_newlines,
    read_numbers,
)
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.formats.table import column_at, labeled_rows
from minimr.formats.text import BYTE_ORDER_MARK, read_whole_lines

PREVIEW_CHARACTERS = 40
MISSING = {"", "?", ".", "-", "--", "na", "n/a", "#n/a", "<na>", "none", "null"}
"""How tables say that there is no value, in small letters, those of SAS, Excel and pandas among
them; nan is a number to `float`."""
WITH_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?", re.ASCII)
"""1,000 and the like."""
YEAR = re.compile(r"[12]\d\d\d", re.ASCII)

Floats = npt.NDArray[np.float64]

_AFTER_NUMBER = POINT | EXPONENT | COMMA | NEWLINE
GRAMMAR = Grammar(
    follows={
        NEWLINE: _AFTER_NUMBER,
        COMMA: _AFTER_NUMBER,
        POINT: EXPONENT | COMMA | NEWLINE,
        EXPONENT: COMMA | NEWLINE,
    },
    signed=NEWLINE | COMMA | EXPONENT,
)


def read_csv(split: Split, label: str = "") -> Block:
    """Return the rows that start in the split: X (n, k) float64 and y (n,) float64.

    `label` is the name or the number of the column of labels; "" is the last column. Raises
    BadRecord, naming file and line, for a line that is no row of finite numbers, and UsageError if
    there is no such column, or no other.
    """
    head = _read_head(split)
    if head is None:
        return Block({"X": np.zeros((0, 0)), "y": np.zeros(0)})
    label_column = _label_column(split.path, head, label)
    tables = [np.zeros((0, head.width))]
    for start, data in read_whole_lines(split):
        for offset, lines in cut_at_newlines(data, start):
            header_bytes = max(0, head.size_bytes - offset)
            tables.append(_parse(split, offset, lines[header_bytes:], header_bytes, head))
    rows = sum(map(len, tables))
    return PiecewiseBlock(rows, lambda: (labeled_rows(table, label_column) for table in tables))


def check_label(path: str, label: str) -> None:
    """Raise UsageError if the file has no such column of labels, as `read_csv` does; it may raise
    BadRecord or MinimrError for what cannot be read."""
    head = _read_head(Split(path, 0, WHOLE_FILE, 0))
    if head is not None:
        _label_column(path, head, label)


@dataclass(frozen=True)
class _Head:
    """What the first line of a file says: the columns, and the bytes to skip, a header or none."""

    names: list[str] | None
    width: int
    size_bytes: int


def _read_head(split: Split) -> _Head | None:
    """Look at the file's first line that is not blank; None if there is none."""
    length = WHOLE_FILE if split.length == WHOLE_FILE else split.offset + split.length
    for offset, data in read_whole_lines(Split(split.path, 0, length, split.input_index)):
        size_bytes = offset
        for line in data.splitlines(keepends=True):
            mark = len(BYTE_ORDER_MARK) if line.startswith(BYTE_ORDER_MARK) else 0
            try:
                cells = _cells(line[mark:])
            except _BadLine as error:
                raise BadRecord(f"{split.path}, in its first line: {error}") from None
            size_bytes += len(line)
            if cells:
                if all(_is_number(cell) for cell in cells):
                    return _Head(None, len(cells), mark)
                _refuse_row_with_gaps(split.path, cells)
                return _Head(cells, len(cells), size_bytes)
    return None


def _refuse_row_with_gaps(path: str, cells: list[str]) -> None:
    """Raise BadRecord for a first line that is rather a row than a header.

    Numbers may be names: what has a name among them is a header, and so is an empty cell above the
    names of the rows, before years or the numbers of the columns.
    """
    numbers = [cell for cell in cells if _is_number(cell)]
    others = [cell for cell in cells if not _is_number(cell)]
    if not numbers or not all(_is_gap(cell) for cell in others):
        return
    if not cells[0] and len(others) == 1 and _are_names(numbers):
        return
    column = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    try:
        _number(cells[column], column, _Head(None, len(cells), 0))
    except _BadLine as error:
        raise BadRecord(
            f"{path}, in its first line: {error}; if it is a header, give that column a name"
        ) from None


def _is_gap(cell: str) -> bool:
    return cell.lower() in MISSING or WITH_COMMAS.fullmatch(cell) is not None


def _are_names(numbers: list[str]) -> bool:
    """Whether they are years, or two or more columns counted from 0, as pandas writes them."""
    if all(YEAR.fullmatch(number) for number in numbers):
        return len(set(numbers)) == len(numbers)
    return len(numbers) > 1 and numbers == [str(i) for i in range(len(numbers))]


def _label_column(path: str, head: _Head, label: str) -> int:
    if head.width < 2:
        raise UsageError(
            f"{path} has one column; labels and features need two or more, with commas in between."
        )
    if not label:
        return head.width - 1
    if head.names is not None and head.names.count(label) == 1:
        return head.names.index(label)
    column = column_at(label, head.width)
    if column is not None:
        return column
    names = f": {', '.join(head.names)}" if head.names else ", which have no names"
    raise UsageError(
        f"{path} has no column {label!r} for the labels; it has {head.width} columns{names}. "
        f"Give a name that is there once, or a number from 0 to {head.width - 1}."
    )


def _parse(split: Split, offset: int, data: bytes, skipped_bytes: int, head: _Head) -> Floats:
    table = _parse_regular(data, head.width)
    if table is not None:
        return table
    rows = []
    for line_index, line in enumerate(data.split(b"\n")):
        try:
            cells = _cells(line)
            if cells:
                rows.append(_row(cells, head))
        except _BadLine as error:
            before = _lines_before(split, offset + skipped_bytes)
            raise BadRecord(f"{split.path}, line {before + line_index + 1}: {error}") from None
    return np.array(rows, np.float64).reshape(len(rows), head.width)


def _parse_regular(data: bytes, width: int) -> Floats | None:
    """Return the rows of some whole lines, or None if they need a closer look."""
    numbers = read_numbers(data, GRAMMAR)
    if numbers is None or len(numbers.before) % width:
        return None
    begins_row = numbers.before.reshape(-1, width) == NEWLINE
    if not begins_row[:, 0].all() or begins_row[:, 1:].any():
        return None
    return numbers.values.reshape(-1, width)


class _BadLine(Exception):
    pass


def _cells(line: bytes) -> list[str]:
    """The cells of one line, without blanks around them; none for a blank line."""
    text = line.decode("utf-8", "backslashreplace").strip()
    if "\r" in text:
        raise _BadLine(
            "a carriage return in the middle; save the file with the line ends of Unix or Windows"
        )
    try:
        cells = next(csv.reader([text], skipinitialspace=True)) if text else []
    except csv.Error as error:
        raise _BadLine(f"it cannot be cut into cells ({error})") from None
    return [cell.strip() for cell in cells]


def _row(cells: list[str], head: _Head) -> list[float]:
    if len(cells) != head.width:
        raise _BadLine(f"{len(cells)} cells, where the first line has {head.width}")
    return [_number(cell, column, head) for column, cell in enumerate(cells)]


def _number(cell: str, column: int, head: _Head) -> float:
    if _is_number(cell) and math.isfinite(float(cell)):
        return float(cell)
    where = f"column {column}" if head.names is None else f"column {head.names[column]!r}"
    if not cell:
        raise _BadLine(f"the cell of {where} is empty; fill it or leave the line out")
    short = cell if len(cell) <= PREVIEW_CHARACTERS else cell[:PREVIEW_CHARACTERS] + "..."
    raise _BadLine(f"the cell {short!r} of {where} is not a finite number")


def _is_number(cell: str) -> bool:
    """Whether `float` takes it, Python's own 1_000 and digits beyond ASCII left aside."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def _lines_before(split: Split, offset: int) -> int:
    """Lines that end before byte `offset`, where a line starts; counted only for an error."""
    length = offset if split.length != WHOLE_FILE else WHOLE_FILE
    blocks = read_whole_lines(Split(split.path, 0, length, split.input_index))
    return sum(data.count(b"\n", 0, max(0, offset - start)) for start, data in blocks)
