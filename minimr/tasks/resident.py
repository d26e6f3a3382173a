"""Partitions of a dataset, kept parsed at a worker as files that its slots map into memory.

The page cache is the cache: any slot opens any partition in microseconds and without a copy, a
slot's death loses nothing, and data larger than memory still works (Zaharia et al., NSDI 2012,
keep such data in the heap of one process). A file holds one value in the codec's `dumps` form:
the columns of a Block, or pairs as pair-blocks.

Matrices of short rows are laid down column by column, as column stores keep tables (Abadi et al.,
"The design and implementation of modern column-oriented database systems", 2013): a row of twenty
numbers is too short for a processor that multiplies eight at once, and a column is as long as there
are rows. The product of a matrix and a vector takes a fifth less time so, and half where rows have
five numbers. Rows are turned on their way into the file, piece by piece: a turned copy would be as
large as the rest. Long rows stay rows, for memory is fastest where it is read from end to end.
"""

import errno
import mmap
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimr.block import Block, PiecewiseBlock
from minimr.errors import CorruptData
from minimr.job import Pair
from minimr.shuffle import codec
from minimr.shuffle.pairs import decode_pairs
from minimr.shuffle.whole_file import WholeFile

if TYPE_CHECKING:
    import numpy.typing as npt

LONG_ROW_BYTES = 512
OPEN_MAX = 64
"""How many partitions a slot keeps mapped; each costs a file descriptor and no memory."""


@dataclass(frozen=True)
class Resident:
    """One partition: a Block whose columns are views of the file, or else encoded pairs."""

    block: Block | None
    pair_blocks: list[Any]

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs in the order in which they were emitted. Raises CorruptData."""
        decoded = map(decode_pairs, self.pair_blocks)
        return chain.from_iterable(zip(keys, values, strict=True) for keys, values in decoded)


def store_block(path: Path, block: Block) -> int:
    """Write a Block as a partition's file; return the file's size in bytes.

    Pieces of its rows go straight to where they belong, so that no copy of all of them is made.
    """
    with WholeFile(path, "partition") as file:
        places, row = _begin(file, block), 0
        for piece in _pieces(block):
            for name, column in piece.columns.items():
                _write_rows(file, places[name], column, row, len(block))
            row += len(piece)
    return file.position


def store_pairs(path: Path, pair_blocks: list[bytes]) -> int:
    """Write pair-blocks as a partition's file; return the file's size in bytes."""
    with WholeFile(path, "partition") as file:
        for part in codec.dump_parts({"pairs": pair_blocks}):
            file.write(part)
    return file.position


def open_resident(path: str) -> Resident:
    """Return the partition in a file, mapped and not read; the last ones stay open.

    Raises CorruptData if there is no such partition there, so that it will be made again.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - every round pays for this line
    except OSError as error:
        raise CorruptData(f"The partition {path} cannot be read: {error.strerror}") from error
    identity = (path, status.st_ino, status.st_mtime_ns, status.st_size)
    resident = _open.get(identity)
    if resident is None:
        resident = _open[identity] = _map(path)
        if len(_open) > OPEN_MAX:
            _open.popitem(last=False)
    else:
        _open.move_to_end(identity)
    return resident


_open: OrderedDict[tuple[str, int, int, int], Resident] = OrderedDict()


def _begin(file: WholeFile, block: Block) -> dict[str, int]:
    """Write all but the columns; return where each of them has its place."""
    columns, places = block.unfilled(), []
    turned = [name for name, column in columns.items() if is_turned(column)]
    for name in turned:
        columns[name] = columns[name].reshape(columns[name].shape[::-1])
    for part in codec.dump_parts({"turned": turned, "columns": columns}):
        if isinstance(part, memoryview):
            places.append(file.position)
            file.skip(part.nbytes)
        else:
            file.write(part)
    return dict(zip(columns, places, strict=True))


def _pieces(block: Block) -> Iterator[Block]:
    """Yield the block's pieces; if it lies as it will in the file, it is its only one."""
    if isinstance(block, PiecewiseBlock):
        return block.pieces()
    as_stored = all(
        column.flags.f_contiguous if is_turned(column) else column.flags.c_contiguous
        for column in block.columns.values()
    )
    return iter([block]) if as_stored else block.pieces()


def is_turned(column: "npt.NDArray[Any]") -> bool:
    """Whether this lies column by column in the file: a matrix of rows that are not long."""
    return column.ndim == 2 and column.itemsize * column.shape[1] < LONG_ROW_BYTES


def _write_rows(
    file: WholeFile, place: int, column: "npt.NDArray[Any]", row: int, rows: int
) -> None:
    """Write the items of a column from a row on; it has its place there for so many rows.

    In the place of a turned matrix each of its columns has a line, in any other place there is one.
    """
    import numpy as np

    turned = column.T if is_turned(column) else column.reshape(1, -1)
    lines = np.ascontiguousarray(turned).view(np.uint8)
    item_bytes = lines.shape[1] // max(1, len(column))
    if len(column) == rows:
        lines = lines.reshape(1, -1)  # one write in place of thousands
    file.write_at(place + row * item_bytes, lines, rows * item_bytes)


def _map(path: str) -> Resident:
    try:
        with Path(path).open("rb") as file:
            value = codec.loads(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        advice = ""
        if isinstance(error, OSError) and error.errno == errno.EMFILE:  # A gang opens all its own.
            advice = "; load the data with fewer partitions, or raise ulimit -n"
        raise CorruptData(f"The partition {path} cannot be mapped: {error}{advice}") from error
    match value:
        case {"turned": list() as turned, "columns": dict() as columns}:
            back = {name: each.T if name in turned else each for name, each in columns.items()}
            return Resident(Block(back), [])
        case {"pairs": list() as pair_blocks}:
            return Resident(None, pair_blocks)
    raise CorruptData(f"The file {path} is no partition of a dataset.")
