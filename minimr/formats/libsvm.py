"""libsvm text as numpy columns: X, a dense matrix of features, and y, the labels.

A line is `label index:value index:value ...` (Chang and Lin, LIBSVM, 2011): indices count from 1
and rise, features that are left out are zero. `# ...` is a comment, `qid:N` after the label (from
SVMlight's ranking files) is read over, blank lines are skipped. What is wrong is refused with its
file and line, as Spark's JVM loader does: a silently shifted column costs more than an error.

Two parsers, one meaning. `_parse_lines` takes one line at a time, knows every rule and makes
every error message. `_parse_regular` takes thousands of lines at once with numpy (decimals.py), and
gives up on anything unusual; what it gives up on goes to the first. Numbers have the bits that
Python's own `float` gives in both.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from minimr.block import Block, PiecewiseBlock
from minimr.errors import BadRecord
from minimr.formats.decimals import (
    BLANK,
    COLON,
    EXPONENT,
    NEWLINE,
    POINT,
    Grammar,
    cut_at_newlines,
    read_numbers,
)
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.formats.text import BYTE_ORDER_MARK, read_whole_lines

DENSE_LIMIT_BYTES = 1 << 30
"""The largest X that one split may need; sparse rows with huge indices would not fit in memory."""

LARGEST_INDEX = (1 << 31) - 1  # the JVM's Int, and what fits every tool that reads libsvm
PREVIEW_CHARACTERS = 40

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def read_libsvm(
    split: Split, *, allow_nonfinite: bool = False, limit_bytes: int = DENSE_LIMIT_BYTES
) -> Block:
    """Return the rows that start in the split: X (n, k) float64 and y (n,) float64.

    k is the highest index in *this* split: other splits of the file may be wider. NaN and
    infinity are refused unless `allow_nonfinite`.

    Raises BadRecord, naming file and line, for a line that breaks the format, and BadRecord if X
    would take more than `limit_bytes`.
    """
    parts = [
        _parse(split, offset, lines, allow_nonfinite)
        for start, data in read_whole_lines(split)
        for offset, lines in cut_at_newlines(data, start)
    ] or [_parse_lines([], allow_nonfinite)]
    rows, columns = sum(len(part.labels) for part in parts), max(part.width for part in parts)
    _check_size(rows, columns, split.path, limit_bytes)
    return PiecewiseBlock(
        rows, lambda: (Block({"X": _dense(part, columns), "y": part.labels}) for part in parts)
    )


@dataclass(frozen=True)
class _Rows:
    """Rows in compressed form: labels and lengths (n,), then all features one after another.

    Of rows that have all features up to `width` there are no indices.
    """

    labels: Floats
    lengths: Ints
    indices: Ints
    values: Floats
    width: int


def _rows(labels: Floats, lengths: Ints, indices: Ints, values: Floats) -> _Rows:
    width = int(indices.max(initial=0))
    # As many rising indices as there are columns, in every row, can only be all of them.
    has_all = len(values) == len(labels) * width
    return _Rows(labels, lengths, indices[:0].copy() if has_all else indices, values, width)


def _check_size(rows: int, columns: int, path: str, limit_bytes: int) -> None:
    size_bytes = 8 * rows * columns
    if size_bytes > limit_bytes:
        raise BadRecord(
            f"{path}: {rows} rows x {columns} columns (the highest index) would take "
            f"{size_bytes >> 20} MiB as a dense matrix, over the limit of {limit_bytes >> 20} MiB "
            "per split. Use more partitions, or renumber the features without gaps."
        )


def _dense(part: _Rows, columns: int) -> Floats:
    rows = len(part.labels)
    has_all = not len(part.indices)
    if has_all and part.width == columns:
        return part.values.reshape(rows, columns)
    dense = np.zeros((rows, columns))
    if has_all:
        dense[:, : part.width] = part.values.reshape(rows, part.width)
    else:
        dense[np.repeat(np.arange(rows), part.lengths), part.indices - 1] = part.values
    return dense


def _parse(split: Split, offset: int, data: bytes, allow_nonfinite: bool) -> _Rows:
    if offset == 0:
        data = data.removeprefix(BYTE_ORDER_MARK)
    regular = _parse_regular(data)
    if regular is not None:
        return regular
    try:
        return _parse_lines(data.split(b"\n"), allow_nonfinite)
    except _BadLine as error:
        line_number = _lines_before(split, offset) + error.line_index + 1
        raise BadRecord(f"{split.path}, line {line_number}: {error}") from None


# ---------------------------------------------------------------------------------------------
# One line at a time: every rule, every message.


class _BadLine(Exception):
    def __init__(self, message: str, line_index: int = 0) -> None:
        super().__init__(message)
        self.line_index = line_index


def _parse_lines(lines: Iterable[bytes], allow_nonfinite: bool) -> _Rows:
    labels: list[float] = []
    lengths: list[int] = []
    indices: list[int] = []
    values: list[float] = []
    for line_index, line in enumerate(lines):
        tokens = line.partition(b"#")[0].split()
        if not tokens:
            continue
        try:
            labels.append(_number(tokens[0], "label", allow_nonfinite))
            pairs = list(_features(tokens[1:], allow_nonfinite))
        except _BadLine as error:
            raise _BadLine(str(error), line_index) from None
        lengths.append(len(pairs))
        indices.extend(index for index, _ in pairs)
        values.extend(value for _, value in pairs)
    return _rows(
        np.array(labels, np.float64),
        np.array(lengths, np.int64),
        np.array(indices, np.int64),
        np.array(values, np.float64),
    )


def _features(tokens: list[bytes], allow_nonfinite: bool) -> Iterator[tuple[int, float]]:
    first = 1 if tokens and re.fullmatch(rb"qid:\d+", tokens[0]) else 0
    previous = 0
    for token in islice(tokens, first, None):
        index_text, colon, value_text = token.partition(b":")
        if not colon or not value_text:
            raise _BadLine(f"{_show(token)} has no value; a feature is written index:value")
        index = _index(index_text)
        if index <= previous:
            raise _BadLine(_order_fault(index, previous))
        previous = index
        yield index, _number(value_text, "value", allow_nonfinite)


def _index(text: bytes) -> int:
    if not re.fullmatch(rb"\d+", text):
        raise _BadLine(f"the index {_show(text)} is not a whole number")
    digits = text.lstrip(b"0") or b"0"
    if len(digits) > len(str(LARGEST_INDEX)) or int(digits) > LARGEST_INDEX:
        raise _BadLine(f"the index {_show(text)} is over {LARGEST_INDEX}, the largest there can be")
    return int(digits)


def _order_fault(index: int, previous: int) -> str:
    if index == 0:
        return "the index 0 is not allowed: libsvm counts features from 1"
    if index == previous:
        return f"the index {index} stands twice"
    return f"the index {index} comes after {previous}; indices must rise along the line"


def _number(text: bytes, role: str, allow_nonfinite: bool) -> float:
    try:
        number = float(text)
        # float() also takes Python's own 1_000, which no other reader of libsvm would.
        good = b"_" not in text and (allow_nonfinite or math.isfinite(number))
    except ValueError:
        good = False
    if not good:
        # Whoever gives such a file another name sees this first.
        hint = "; numbers with commas between them are read under a name in .csv"
        told = hint if role == "label" and b"," in text else ""
        raise _BadLine(f"the {role} {_show(text)} is not a finite number{told}")
    return number


def _show(token: bytes) -> str:
    text = token.decode("utf-8", "backslashreplace")
    short = text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."
    return repr(short)


def _lines_before(split: Split, offset: int) -> int:
    """Lines that end before byte `offset`, where a line starts; counted only for an error."""
    length = offset if split.length != WHOLE_FILE else WHOLE_FILE
    blocks = read_whole_lines(Split(split.path, 0, length, split.input_index))
    return sum(data.count(b"\n", 0, max(0, offset - start)) for start, data in blocks)


# ---------------------------------------------------------------------------------------------
# Many lines at once, when they hold nothing but numbers, colons and blanks.

_AFTER_NUMBER = POINT | EXPONENT | BLANK | NEWLINE
GRAMMAR = Grammar(
    follows={
        NEWLINE: _AFTER_NUMBER,  # a label
        BLANK: COLON,  # an index
        COLON: _AFTER_NUMBER,  # a value
        POINT: EXPONENT | BLANK | NEWLINE,
        EXPONENT: BLANK | NEWLINE,
    },
    signed=NEWLINE | COLON | EXPONENT,
    counts=BLANK,
)
_COMMENT = re.compile(rb"#[^\n]*")
_QID = re.compile(rb"^([ \t\r]*\S+[ \t\r]+)qid:\d+(?!\S)", re.MULTILINE)


def _parse_regular(data: bytes) -> _Rows | None:
    """Return the rows of some whole lines, or None if anything in them needs `_parse_lines`."""
    if b"#" in data:
        data = _COMMENT.sub(b"", data)
    if b"q" in data and b"qid" in data:  # One character is found ten times as fast as three.
        data = _QID.sub(rb"\1", data)
    numbers = read_numbers(data, GRAMMAR)
    if numbers is None:
        return None
    labels = np.flatnonzero(numbers.before == NEWLINE)
    lengths = np.diff(labels, append=len(numbers.before)) - 1
    if not _indices_rise(numbers.counts, lengths):
        return None
    values = numbers.values.take(np.flatnonzero(numbers.before == COLON))
    return _rows(numbers.values.take(labels), lengths, numbers.counts.astype(np.int64), values)


def _indices_rise(indices: npt.NDArray[np.uint64], lengths: Ints) -> bool:
    """Whether indices start at 1 or above in every line and rise along it."""
    if len(indices) == 0:
        return True
    rises = indices[1:] > indices[:-1]
    first = np.cumsum(lengths[:-1])  # the first feature of each line but the first
    rises[first[(first > 0) & (first < len(indices))] - 1] = True
    return bool(indices.min() >= 1 and indices.max() <= LARGEST_INDEX and rises.all())
