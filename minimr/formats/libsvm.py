"""libsvm text as numpy columns: X, a dense matrix of features, and y, the labels.

A line is `label index:value index:value ...` (Chang and Lin, LIBSVM, 2011): indices count from 1
and rise, features that are left out are zero. `# ...` is a comment, `qid:N` after the label (from
SVMlight's ranking files) is read over, blank lines are skipped. What is wrong is refused with its
file and line, as Spark's JVM loader does: a silently shifted column costs more than an error.

Two parsers, one meaning. `_parse_lines` takes one line at a time, knows every rule and makes
every error message. `_parse_regular` takes a whole block at once with numpy, and gives up on
anything unusual; what it gives up on goes to the first. Numbers come from Python's own `float` in
both, so the bits are the same as `float(text)` gives.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from minimr.block import Block
from minimr.errors import BadRecord
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.formats.text import read_whole_lines

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
    rows = _joined(
        [_parse(split, offset, data, allow_nonfinite) for offset, data in read_whole_lines(split)]
    )
    return Block({"X": _dense(rows, split.path, limit_bytes), "y": rows.labels})


@dataclass(frozen=True)
class _Rows:
    """Rows in compressed form: labels and lengths (n,), then all features one after another."""

    labels: Floats
    lengths: Ints
    indices: Ints
    values: Floats


def _joined(parts: Sequence[_Rows]) -> _Rows:
    nothing = np.zeros(0, np.int64)
    return _Rows(
        np.concatenate([np.zeros(0), *(part.labels for part in parts)]),
        np.concatenate([nothing, *(part.lengths for part in parts)]),
        np.concatenate([nothing, *(part.indices for part in parts)]),
        np.concatenate([np.zeros(0), *(part.values for part in parts)]),
    )


def _dense(rows: _Rows, path: str, limit_bytes: int) -> Floats:
    columns = int(rows.indices.max(initial=0))
    size_bytes = 8 * len(rows.labels) * columns
    if size_bytes > limit_bytes:
        raise BadRecord(
            f"{path}: {len(rows.labels)} rows x {columns} columns (the highest index) would take "
            f"{size_bytes >> 20} MiB as a dense matrix, over the limit of {limit_bytes >> 20} MiB "
            "per split. Use more partitions, or renumber the features without gaps."
        )
    dense = np.zeros((len(rows.labels), columns))
    dense[np.repeat(np.arange(len(rows.labels)), rows.lengths), rows.indices - 1] = rows.values
    return dense


def _parse(split: Split, offset: int, data: bytes, allow_nonfinite: bool) -> _Rows:
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
    return _Rows(
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
        raise _BadLine(f"the {role} {_show(text)} is not a finite number")
    return number


def _show(token: bytes) -> str:
    text = token.decode("utf-8", "backslashreplace")
    short = text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."
    return repr(short)


def _lines_before(split: Split, offset: int) -> int:
    """Lines that end before byte `offset`, where a line starts; counted only for an error."""
    length = offset if split.length != WHOLE_FILE else WHOLE_FILE
    blocks = read_whole_lines(Split(split.path, 0, length, split.input_index))
    return sum(data.count(b"\n") for start, data in blocks if start < offset)


# ---------------------------------------------------------------------------------------------
# A whole block at once, when it holds nothing but digits, signs, points, colons and blanks.

_OTHER, _BLANK, _NEWLINE, _COLON, _DIGIT, _SIGN = range(6)
_KINDS = np.full(256, _OTHER, np.uint8)
for _characters, _kind in (
    (b" \t\r", _BLANK),
    (b"\n", _NEWLINE),
    (b":", _COLON),
    (b"0123456789", _DIGIT),
    (b"+-.eE", _SIGN),
):
    _KINDS[list(_characters)] = _kind


def _parse_regular(data: bytes) -> _Rows | None:
    """Return the block's rows, or None if anything in it needs `_parse_lines`."""
    kinds = _KINDS[np.frombuffer(data, np.uint8)]
    if (kinds == _OTHER).any():
        return None
    filled = np.concatenate([[False], kinds > _NEWLINE])
    starts = np.flatnonzero(filled[1:] & ~filled[:-1])
    lines = np.searchsorted(np.flatnonzero(kinds == _NEWLINE), starts)
    is_label = np.concatenate([[True], lines[1:] != lines[:-1]])[: len(starts)]
    is_feature = ~is_label
    colons = np.flatnonzero(kinds == _COLON)
    if not _features_are_regular(kinds, starts[is_feature], colons):
        return None
    numbers = _numbers(data)
    if numbers is None:
        return None
    # A label is one number, a feature is two, and the numbers stand in the order of the text.
    at = np.arange(len(starts)) + np.cumsum(is_feature) - is_feature
    indices = numbers[at[is_feature]]
    if not _indices_rise(indices, lines[is_feature]):
        return None
    lengths = np.diff(np.append(np.flatnonzero(is_label), len(starts))) - 1
    values = numbers[at[is_feature] + 1]
    return _Rows(numbers[at[is_label]], lengths, indices.astype(np.int64), values)


def _features_are_regular(kinds: npt.NDArray[np.uint8], starts: Ints, colons: Ints) -> bool:
    """Whether every feature, starting at `starts`, is digits, one colon, and something.

    With as many colons as features it is enough that nothing but digits stands between the i-th
    start and the i-th colon: then no colon is left for a label or for the value of a feature.
    """
    if len(colons) != len(starts):
        return False
    after_colons = np.append(kinds, np.uint8(_NEWLINE))[colons + 1]
    others = np.cumsum(kinds != _DIGIT, dtype=np.int64)
    only_digits = (others[colons] - others[starts] == 1) & (kinds[starts] == _DIGIT)
    return bool((only_digits & (after_colons > _NEWLINE)).all())


def _numbers(data: bytes) -> Floats | None:
    """Return every number of the block in order, or None if one is malformed or not finite."""
    tokens = data.replace(b":", b" ").split()
    try:
        numbers = np.fromiter(map(float, tokens), np.float64, len(tokens))
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _indices_rise(indices: Floats, lines: Ints) -> bool:
    """Whether indices start at 1 or above in every line and rise along it."""
    if len(indices) == 0:
        return True
    follows = lines[1:] == lines[:-1]
    rises = indices[1:] > indices[:-1]
    return bool(indices.min() >= 1 and indices.max() <= LARGEST_INDEX and (rises | ~follows).all())
