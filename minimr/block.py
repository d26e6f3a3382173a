"""Blocks: many records at once, for `map_block` and for datasets that stay at the workers.

Calling Python once per record costs more than most jobs' work. A Block holds the same fields of
many records as numpy columns, a TextBlock many whole lines as one byte string, so that one call
can do the work of thousands.

Pairs are what leaves a `map_block` in the same manner, many keys and their values as two columns,
and Groups are what enters a `reduce_block`: the values of many keys, side by side.

numpy is imported when a Block is made, since a job over text may need none of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from minimr.errors import BadRecord, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Column = npt.NDArray[Any]
    Layout = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]


PIECE_BYTES = 4 << 20
"""Little beside a partition, and yet long stretches of each of its columns."""
PIECE_ROWS_MIN = 512
"""Where rows are wide: one float64 of each is a page of a column."""


class Block:
    """Named columns of equal length: arrays whose first dimension counts the rows.

    In a dataset's blocks a matrix (n, k) lies column by column in memory, which products like;
    unless its rows are long.
    """

    def __init__(self, columns: "Mapping[str, npt.ArrayLike]") -> None:
        """Take the columns; they are not copied. Raises UsageError on unequal lengths."""
        import numpy as np

        self.columns: dict[str, Column] = {
            name: np.asarray(column) for name, column in columns.items()
        }
        lengths = {name: column.shape[:1] for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1 or () in lengths.values():
            shapes = ", ".join(f"{name} {column.shape}" for name, column in self.columns.items())
            raise UsageError(f"The columns of a block must have equal lengths, not {shapes}.")
        self._rows = next(iter(lengths.values()))[0] if lengths else 0

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> "Column":
        try:
            return self.columns[name]
        except KeyError:
            raise UsageError(
                f"The block has no column {name!r}; it has: {', '.join(self.columns) or 'none'}."
            ) from None

    def __repr__(self) -> str:
        columns = ", ".join(
            f"{name}: {dtype}{[len(self), *shape]}" for name, (dtype, shape) in self.layout.items()
        )
        return f"Block({columns})"

    def take(self, rows: "npt.ArrayLike") -> "Block":
        """Return the rows that a boolean mask or an array of indices picks, as a new block."""
        import numpy as np

        picked = np.asarray(rows)
        return Block({name: column[picked] for name, column in self.columns.items()})

    @property
    def layout(self) -> "Layout":
        """The type of each column's items, and the shape of one row of it."""
        return {name: (column.dtype, column.shape[1:]) for name, column in self.columns.items()}

    def unfilled(self) -> "dict[str, Column]":
        """Return columns of this shape, which take no memory as long as nobody fills them."""
        import numpy as np

        return {
            name: np.empty((len(self), *shape), dtype)
            for name, (dtype, shape) in self.layout.items()
        }

    def pieces(self) -> "Iterator[Block]":
        """Yield the rows in blocks of about PIECE_BYTES, at least one, in order."""
        row_bytes = sum(column[:1].nbytes for column in self.columns.values())
        for rows in ranges_of_rows(len(self), row_bytes):
            yield Block({name: column[rows] for name, column in self.columns.items()})

    def by_pieces(self, function: "Callable[[Block], Block]") -> "Block":
        """Return what `function` makes of these rows, which it gets and gives back piece by piece.

        It is called when the rows are asked for, so that a `transform` never holds all of them.
        """
        return PiecewiseBlock(len(self), lambda: map(function, self.pieces()))

    @staticmethod
    def concat(blocks: Sequence["Block"]) -> "Block":
        """Join blocks of the same columns end to end; no blocks make an empty block."""
        import numpy as np

        if not blocks:
            return Block({})
        if len(blocks) == 1:
            return blocks[0]
        names = list(blocks[0].columns)
        for block in blocks:
            if list(block.columns) != names:
                raise UsageError(
                    f"Blocks with the columns {names} and {list(block.columns)} cannot be joined."
                )
        return Block({name: np.concatenate([block[name] for block in blocks]) for name in names})


class PiecewiseBlock(Block):
    """A block whose rows are made in pieces, anew each time that somebody walks through them.

    All of them are never in memory at once, as long as nobody asks for a column.
    """

    def __init__(self, rows: int, make: Callable[[], Iterator[Block]]) -> None:
        """Take the number of rows, and what makes one or more pieces of them."""
        self._rows, self._make = rows, make
        self._begun: Iterator[Block] | None = None

    def pieces(self) -> Iterator[Block]:
        """Yield the pieces as they are made. Raises UsageError if they do not fit together."""
        made, self._begun, rows = self._begun or self._make(), None, 0
        for piece in made:
            if piece.layout != self.layout:
                raise UsageError(
                    f"The pieces of a block must be alike, not {self.layout} and {piece.layout}."
                )
            rows += len(piece)
            yield piece
        if rows != len(self):
            raise UsageError(f"The pieces of a block have {rows:,} rows in place of {len(self):,}.")

    @cached_property
    def layout(self) -> "Layout":
        """That of the first piece, which is then there for whoever walks through all of them."""
        made = self._make()
        first = next(made)
        self._begun = chain([first], made)
        return first.layout

    @cached_property
    def columns(self) -> "dict[str, Column]":  # type: ignore[override]
        """All rows of every column, made now."""
        columns, row = self.unfilled(), 0
        for piece in self.pieces():
            for name, column in piece.columns.items():
                columns[name][row : row + len(piece)] = column
            row += len(piece)
        return columns


def ranges_of_rows(rows: int, row_bytes: int) -> Iterator[slice]:
    """Cut a number of rows into pieces of about PIECE_BYTES; no rows are one empty piece."""
    step = max(PIECE_ROWS_MIN, PIECE_BYTES // max(1, row_bytes))
    for first in range(0, max(1, rows), step):
        yield slice(first, min(rows, first + step))


LONG_BYTES = 1 << 20
"""A line of that size is worth some care, so that it is not copied more often than need be."""


@dataclass(frozen=True)
class TextBlock:
    """Whole lines of one file: `data` as they stand there, starting at byte `offset`."""

    data: bytes
    offset: int
    path: str
    encoding: str = "utf-8"
    errors: str = "surrogateescape"

    def text(self) -> str:
        """Return the lines as one str. Raises BadRecord if `errors` is "strict" and one is bad."""
        try:
            return self.data.decode(self.encoding, self.errors)
        except UnicodeDecodeError as error:
            raise self._undecodable(self.offset, error) from error

    @property
    def is_long_line(self) -> bool:
        """Tell whether the block is one line of LONG_BYTES or more."""
        size_bytes = len(self.data)
        return size_bytes >= LONG_BYTES and self.data.find(b"\n") in (-1, size_bytes - 1)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Return what yields (byte offset in the file, line without its end).

        A long line is decoded without copies in between, and its bytes are held no longer.
        """
        if not self.is_long_line:
            return self._lines()
        line = memoryview(self.data)[: len(self.data) - self.data.endswith(b"\n")]
        try:
            return iter([(self.offset, str(line, self.encoding, self.errors))])
        except UnicodeDecodeError as error:
            raise self._undecodable(self.offset, error) from error

    def _lines(self) -> Iterator[tuple[int, str]]:
        offset = self.offset
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        encoding, errors = self.encoding, self.errors
        try:
            for line in lines:
                yield offset, line.decode(encoding, errors)
                offset += len(line) + 1
        except UnicodeDecodeError as error:
            raise self._undecodable(offset, error) from error

    def _undecodable(self, offset: int, error: UnicodeDecodeError) -> BadRecord:
        return BadRecord(
            f"{self.path}: byte {offset + error.start} is not valid {self.encoding}; "
            "name the file's encoding, or use errors=surrogateescape to keep such bytes."
        )


class Pairs:
    """n pairs as two columns: what `map_block` and `reduce_block` may yield or return.

    `keys` is a numpy array (n,) of ints, floats or bools, a `mr.ByteStrings` of bytes or texts, or
    a list of keys of one kind. `values` is a numpy array (n, ...) of numbers, so that a value may
    be a vector or a matrix, ByteStrings, or a list of whatever may be a value. Ints and floats of
    less than 64 bits are widened, but for vectors and matrices, which keep their dtype. The columns
    are not copied, so they must not be changed afterwards.
    """

    __slots__ = ("keys", "values")

    def __init__(self, keys: Any, values: Any) -> None:
        """Take the columns. Raises UsageError if their lengths differ or one is no column."""
        for role, column in (("keys", keys), ("values", values)):
            if not hasattr(column, "__len__") or getattr(column, "shape", None) == ():
                raise UsageError(f"The {role} of Pairs must be a column, not {column!r:.80}.")
        if len(keys) != len(values):
            raise UsageError(
                f"The columns of Pairs must have equal lengths, not {len(keys):,} keys and "
                f"{len(values):,} values."
            )
        self.keys, self.values = keys, values

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield each pair as Python objects; the rows of a matrix stay arrays."""
        return zip(_items(self.keys), _items(self.values), strict=True)

    def __repr__(self) -> str:
        return f"Pairs({len(self)})"


@dataclass(frozen=True)
class Groups:
    """Many keys, each with all its values: what `reduce_block` gets.

    `keys` is a column of distinct keys in increasing order, `values` a column with all their
    values, and `starts` (n,) int64 says where those of each key begin: those of key i are
    values[starts[i]:starts[i + 1]], in the order of the map tasks, then of emission. So
    `np.maximum.reduceat(groups.values, groups.starts)` is the largest value of each key.

    A column is the best one that holds its items: an array (n,) of int64, float64 or bool, an array
    (n, ...) if all values are arrays of one shape and dtype, ByteStrings for bytes or texts, else a
    list; of tuples, a list.
    """

    keys: Any
    values: Any
    starts: "npt.NDArray[np.int64]"

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[Any, list[Any]]]:
        """Yield (key, list of its values) as Python objects, for what cannot be vectorised."""
        values = _items(self.values)
        ends = [*self.starts[1:].tolist(), len(values)]
        for key, start, end in zip(_items(self.keys), self.starts.tolist(), ends, strict=True):
            yield key, values[start:end]


def _items(column: Any) -> list[Any]:
    """Return a column's items as Python objects; the rows of a matrix stay arrays."""
    if hasattr(column, "tolist") and getattr(column, "ndim", 1) == 1:
        items: list[Any] = column.tolist()
        return items
    return list(column)
