"""Matrices in numpy's own files, .npy: X, the features of every row, and y, their labels.

The array has two dimensions, rows and columns, of any real type; it becomes float64. One column
holds the labels: the last one, or the one whose number is the format's argument ("npy:0"; negative
numbers count from the end). Nothing is parsed: a split reads its rows and copies them.

Splits are any ranges of bytes, and as for every format **a split owns the rows that start in it**;
the file's header belongs to nobody.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.block import Block, PiecewiseBlock, ranges_of_rows
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats.splits import Split
from minimr.formats.table import column_at, labeled_rows


def read_npy(split: Split, label: str = "") -> Block:
    """Return the rows that start in the split: X (n, k) float64 and y (n,) float64.

    `label` is the number of the column of labels; "" is the last one. Raises BadRecord for a file
    that is no such matrix and for a row that is not finite, UsageError for no such column.
    """
    matrix = _mapped(split.path)
    label_column = _label_column(split.path, matrix.shape[1], label)
    header_bytes, row_bytes = int(matrix.offset), matrix.strides[0]
    first, stop = (
        min(len(matrix), max(0, -(-(border - header_bytes) // row_bytes)))
        for border in (split.offset, split.offset + split.length)
    )

    def pieces() -> Iterator[Block]:
        for part in ranges_of_rows(stop - first, 8 * matrix.shape[1]):
            rows = slice(first + part.start, first + part.stop)
            # Mapped anew: what has been read would count as memory of this process.
            values = _mapped(split.path)[rows].astype(np.float64)
            yield labeled_rows(_checked(values, split.path, rows.start), label_column)

    return PiecewiseBlock(stop - first, pieces)


def check_label(path: str, label: str) -> None:
    """Raise UsageError if the matrix has no such column of labels, as `read_npy` does."""
    _label_column(path, _mapped(path).shape[1], label)


def _checked(values: npt.NDArray[np.float64], path: str, first_row: int) -> npt.NDArray[np.float64]:
    finite = np.isfinite(values)
    if not finite.all():
        row = first_row + int(np.argmin(finite.all(axis=1)))
        raise BadRecord(
            f"{path}, row {row} (counted from 0): a cell is not a finite number; fill it or leave "
            "the row out."
        )
    return values


def _mapped(path: str) -> "np.memmap[Any, np.dtype[Any]]":
    try:
        matrix: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        # numpy's own words advise to unpickle what it cannot read.
        raise BadRecord(
            f"{path} is not a whole .npy file of numbers; write it with numpy.save."
        ) from error
    except OSError as error:
        raise MinimrError(f"Cannot read the input {path}: {error.strerror or error}.") from error
    if not isinstance(matrix, np.memmap) or matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise BadRecord(f"{path} is not one matrix of real numbers; save one with numpy.save.")
    if not matrix.flags.c_contiguous:
        raise BadRecord(
            f"{path} is stored column by column, so that its rows cannot be split; save "
            "numpy.ascontiguousarray(matrix)."
        )
    return matrix


def _label_column(path: str, columns: int, label: str) -> int:
    if columns < 2:
        raise UsageError(f"{path} has {columns} columns; labels and features need two or more.")
    column = column_at(label or "-1", columns)
    if column is None:
        raise UsageError(
            f"{path} has no column {label!r} for the labels; give a number from 0 to {columns - 1}."
        )
    return column
