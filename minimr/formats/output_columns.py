"""Whole columns of pairs to the bytes of a part, as `formats/output.py` makes them one by one.

Where a column has items that are written as JSON, or a text holds something that needs care, there
is no short way, and the pairs are written singly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from minimr.formats.output import MULTILINE, SIZED, TABBED
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.codec import Buffer
from minimr.shuffle.columns import Column, cut, is_array, item, items, size_bytes
from minimr.shuffle.strings import cut as bytes_between

PIECE_BYTES = 1 << 20
PIECE_RECORDS = 1 << 14
LARGE_BYTES = 8 << 20
"""So many records take less, unless some are large."""
SURROGATE_LEAD = 0xED
"""The first byte of every lone surrogate in UTF-8, which text output undoes, and of few others."""


@dataclass(frozen=True)
class Encoded:
    """All pairs as bytes, in order and in pieces, and what a writer notes of them."""

    pieces: Iterator[Buffer]
    key_kinds: frozenset[str]
    value_kinds: frozenset[str]


def encode_columns(output_format: str, keys: Column, values: Column) -> Encoded | None:
    """Return the pairs in that format, or None if there is no short way."""
    if output_format == "binary":
        return _binary(keys, values)
    return _text(keys, values) if output_format == "text" else None


def single_pairs(keys: Column, values: Column) -> Iterator[tuple[Any, Any]]:
    """Return the pairs as Python objects."""
    return zip(items(keys), items(values), strict=True)


def _binary(keys: Column, values: Column) -> Encoded | None:
    matrices = [_matrix(keys)] if _only_none(values) else [_matrix(keys), _matrix(values)]
    if any(matrix is None for matrix in matrices):
        return None
    widths = [matrix.shape[1] for matrix in matrices]
    key_kind, value_kind = SIZED.format(widths[0]), SIZED.format(sum(widths[1:]))
    return Encoded(_side_by_side(matrices), frozenset([key_kind]), frozenset([value_kind]))


def _matrix(column: Column) -> Any:
    return column.rows if isinstance(column, ByteStrings) and not column.text else None


def _side_by_side(matrices: list[Any]) -> Iterator[Buffer]:
    """Yield the rows in pieces that the processor's cache holds."""
    width = sum(matrix.shape[1] for matrix in matrices)
    step = max(1, PIECE_BYTES // max(1, width))
    for start in range(0, len(matrices[0]), step):
        piece = np.concatenate([matrix[start : start + step] for matrix in matrices], axis=1)
        yield piece.reshape(-1).data


def _text(keys: Column, values: Column) -> Encoded | None:
    key_kinds, value_kinds = _kinds(keys), _kinds(values) - {TABBED}
    if not key_kinds or not value_kinds or isinstance(keys, list):
        return None
    return Encoded(_lines(keys, values), key_kinds, value_kinds)


def _lines(keys: Column, values: Column) -> Iterator[Buffer]:
    """Yield the lines in pieces: each is one format, filled in by a single call."""
    columns = [keys] if isinstance(values, list) else [keys, values]
    line = b"\t".join(map(_form, columns)) + b"\n"
    for start in range(0, len(keys), PIECE_RECORDS):
        pieces = [cut(column, start, start + PIECE_RECORDS) for column in columns]
        if sum(map(size_bytes, pieces)) > LARGE_BYTES:
            yield from _large_lines(pieces)
            continue
        cells = list(map(_cells, pieces))
        yield line * len(cells[0]) % tuple(chain.from_iterable(zip(*cells, strict=True)))


def _large_lines(columns: list[Column]) -> Iterator[Buffer]:
    """Yield the lines cell by cell: strings from where they lie, without a copy."""
    ends = [b"\t"] * (len(columns) - 1) + [b"\n"]
    for number in range(len(columns[0])):
        for column, end in zip(columns, ends, strict=True):
            if isinstance(column, ByteStrings):
                yield column.slice(number, number + 1).compact()[0].data
            else:
                yield _form(column) % item(column, number)
            yield end


def _form(column: Column) -> bytes:
    """Return how `%` writes an item as text output does: a float by its repr, the rest as it is."""
    if isinstance(column, ByteStrings):
        return b"%b"
    return b"%a" if is_array(column, np.float64) else b"%d"


def _kinds(column: Column) -> frozenset[str]:
    """Return the kinds that a writer would note, or none if there is no short way."""
    if is_array(column, np.int64):
        return frozenset(["int"])
    if is_array(column, np.float64):
        return frozenset(["float"])
    if isinstance(column, ByteStrings):
        return _kinds_of_strings(column)
    return frozenset(["null"] if _only_none(column) else [])


def _kinds_of_strings(column: ByteStrings) -> frozenset[str]:
    content = column.compact()[0]
    if column.text and _holds(content, SURROGATE_LEAD):
        return frozenset()
    marks = [
        mark
        for mark, byte in ((TABBED, ord("\t")), (MULTILINE, ord("\n")))
        if _holds(content, byte)
    ]
    return frozenset(["str" if column.text else "bytes", *marks])


def _holds(content: Any, byte: int) -> bool:
    steps = range(0, len(content), PIECE_BYTES)
    return any((content[start : start + PIECE_BYTES] == byte).any() for start in steps)


def _cells(column: Column) -> list[Any]:
    """Return the items as Python objects, texts as their bytes."""
    if not isinstance(column, ByteStrings):
        return items(column)
    content, offsets = column.compact()
    return bytes_between(content.tobytes(), offsets.tolist(), text=False)


def _only_none(column: Column) -> bool:
    return isinstance(column, list) and set(map(type, column)) <= {type(None)}
