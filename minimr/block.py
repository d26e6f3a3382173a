"""Blocks: many records at once, for `map_block` and for datasets that stay at the workers.

Calling Python once per record costs more than most jobs' work. A Block holds the same fields of
many records as numpy columns, a TextBlock many whole lines as one byte string, so that one call
can do the work of thousands.

numpy is imported when a Block is made, since a job over text may need none of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minimr.errors import BadRecord, UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Column = npt.NDArray[Any]


class Block:
    """Named columns of equal length: arrays whose first dimension counts the rows."""

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
            f"{name}: {column.dtype}{list(column.shape)}" for name, column in self.columns.items()
        )
        return f"Block({columns})"

    def take(self, rows: "npt.ArrayLike") -> "Block":
        """Return the rows that a boolean mask or an array of indices picks, as a new block."""
        import numpy as np

        picked = np.asarray(rows)
        return Block({name: column[picked] for name, column in self.columns.items()})

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

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield (byte offset in the file, line without its end)."""
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
