"""ByteStrings: n byte strings or n texts in one buffer, so that numpy can work on all of them.

A Python list of a million words is a million objects. Here they are two arrays: all bytes end to
end, and the n + 1 offsets at which they meet (the layout of Apache Arrow's columns of text). Keys
of a fixed width, as TeraSort's ten bytes, need no offsets: they are the rows of a matrix.

Texts are kept as UTF-8, lone surrogates too. UTF-8 was made so that comparing bytes compares code
points, which is how Python orders str, so one order serves both.

numpy's own strings (dtypes S and U) would not do: they drop zero bytes at the end.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.errors import UsageError
from minimr.shuffle.strings import LARGE_BYTES, cut, cut_large

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

GATHER_BYTES = 1 << 20
"""How many bytes of strings are picked at once: an index of 8 bytes stands for each of them."""


LONG_BYTES = 1 << 16
"""From here on an item is looked at where it lies."""


class LongItem:
    """An item of ByteStrings that is compared without a copy of it, also with a bytes or a str."""

    __slots__ = ("_data",)

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __lt__(self, other: Any) -> bool:
        return _compared(self._data, _data_of(other)) < 0

    def __gt__(self, other: Any) -> bool:
        return _compared(self._data, _data_of(other)) > 0

    def __eq__(self, other: object) -> bool:
        return _compared(self._data, _data_of(other)) == 0

    __hash__ = None  # type: ignore[assignment]


def _data_of(item: Any) -> memoryview:
    if isinstance(item, LongItem):
        return item._data
    return memoryview(item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item)


def _compared(left: memoryview, right: memoryview) -> int:
    """Return a number that is negative, zero or positive as left is less, equal or greater."""
    for start in range(0, min(len(left), len(right)), LONG_BYTES):
        ours, theirs = (bytes(each[start : start + LONG_BYTES]) for each in (left, right))
        if ours != theirs:
            return -1 if ours < theirs else 1
    return len(left) - len(right)


class ByteStrings:
    """A column of byte strings, or of texts if `text` is True; item i is a bytes or a str.

    `buffer` is (m,) uint8 and `offsets` (n + 1,) int64: item i is buffer[offsets[i]:offsets[i+1]].
    Made by `fixed`, a column has `rows` (n, width) uint8 as well.
    """

    __slots__ = ("buffer", "offsets", "rows", "text")

    def __init__(self, buffer: Bytes, offsets: Ints, *, text: bool = False) -> None:
        """Take the arrays; they are not copied. Raises UsageError if they do not fit together."""
        if buffer.dtype != np.uint8 or offsets.dtype != np.int64 or len(offsets) < 1:
            raise UsageError(
                "ByteStrings are made of a buffer of uint8 and n + 1 offsets of int64, not of "
                f"{buffer.dtype} and {len(offsets)} {offsets.dtype}."
            )
        if offsets[0] < 0 or offsets[-1] > len(buffer) or (offsets[1:] < offsets[:-1]).any():
            raise UsageError("The offsets of ByteStrings must rise and lie within the buffer.")
        self.buffer, self.offsets, self.text = buffer, offsets, text
        self.rows: Bytes | None = None

    @classmethod
    def of(cls, items: "Sequence[bytes] | Sequence[str]") -> "ByteStrings":
        """Return a list of bytes, or of str, as a column. Raises UsageError for any other item."""
        kinds = set(map(type, items))
        if kinds not in ({str}, {bytes}, set()):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise UsageError(f"ByteStrings hold either bytes or str, not {names}.")
        text = kinds == {str}
        encoded: Any = [item.encode("utf-8", "surrogatepass") for item in items] if text else items  # type: ignore[union-attr]
        offsets = np.zeros(len(items) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(items)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets, text=text)

    @classmethod
    def fixed(cls, rows: Bytes, *, text: bool = False) -> "ByteStrings":
        """Return the rows of a matrix (n, width) of uint8 as a column; they are not copied."""
        if rows.dtype != np.uint8 or rows.ndim != 2:
            raise UsageError(
                "ByteStrings.fixed takes a matrix (n, width) of uint8, not an array of shape "
                f"{rows.shape} of {rows.dtype}."
            )
        strings = cls.__new__(cls)
        strings.buffer = strings.offsets = np.zeros(0, np.int64)  # type: ignore[assignment]
        strings.rows, strings.text = rows, text
        return strings

    @property
    def width(self) -> int | None:
        """Return the width of all items in bytes, or None if the column has offsets."""
        return None if self.rows is None else self.rows.shape[1]

    @property
    def nbytes(self) -> int:
        """Return how much memory the items take, in bytes."""
        if self.rows is not None:
            return self.rows.nbytes
        return int(self.offsets[-1] - self.offsets[0]) + self.offsets.nbytes

    def __len__(self) -> int:
        return len(self.offsets) - 1 if self.rows is None else len(self.rows)

    def __getitem__(self, index: int) -> Any:
        if self.rows is not None:
            return self._item(self.rows[index].tobytes())
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self._item(self.buffer[self.offsets[index] : self.offsets[index + 1]].tobytes())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        kind = "str" if self.text else "bytes"
        return f"ByteStrings({len(self)} {kind})"

    def lengths(self) -> Ints:
        """Return the length of each item in bytes, (n,) int64."""
        if self.rows is not None:
            return np.full(len(self.rows), self.rows.shape[1], np.int64)
        return np.diff(self.offsets)

    def comparable(self, index: int) -> Any:
        """Return what compares as the item (0 <= `index` < n) does: itself, unless it is long."""
        if not self._is_long(index):
            return self[index]
        if self.rows is not None:
            return LongItem(np.ascontiguousarray(self.rows[index]).data)
        return LongItem(self.buffer[self.offsets[index] : self.offsets[index + 1]].data)

    def _is_long(self, index: int) -> bool:
        if self.rows is not None:
            return bool(self.rows.shape[1] >= LONG_BYTES)
        return bool(self.offsets[index + 1] - self.offsets[index] >= LONG_BYTES)

    def tolist(self) -> list[Any]:
        """Return the items as Python's bytes or str."""
        if self.rows is not None:
            width, data = self.rows.shape[1], self.rows.tobytes()
            bounds = list(range(0, len(data) + 1, width)) if width else [0] * (len(self.rows) + 1)
        else:
            buffer, offsets = self.compact()
            bounds = offsets.tolist()
            if len(buffer) >= LARGE_BYTES:
                return cut_large(buffer.data, bounds, self.text)
            data = buffer.tobytes()
        return cut(data, bounds, self.text)

    def slice(self, start: int, end: int) -> "ByteStrings":
        """Return items `start` to `end` - 1 as a column over the same bytes."""
        if self.rows is not None:
            return ByteStrings.fixed(self.rows[start:end], text=self.text)
        return _trusted(self.buffer, self.offsets[start : end + 1], self.text)

    def take(self, indices: npt.NDArray[Any]) -> "ByteStrings":
        """Return the items at these indices, or those that a boolean mask picks."""
        if indices.dtype == np.bool_:
            indices = np.flatnonzero(indices)
        if len(indices) == 1 and self._is_long(index := int(indices[0]) % len(self)):
            return self.slice(index, index + 1)
        if self.rows is not None:
            return ByteStrings.fixed(_take_rows(self.rows, indices), text=self.text)
        starts = self.offsets[indices]
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(self.offsets[indices + 1] - starts, out=offsets[1:])
        return _trusted(_gather(self.buffer, starts, offsets), offsets, self.text)

    @staticmethod
    def concat(columns: "Sequence[ByteStrings]") -> "ByteStrings":
        """Join columns, all of bytes or all of texts, end to end."""
        text = columns[0].text
        if len({each.width for each in columns}) == 1 and columns[0].rows is not None:
            rows = [each.rows for each in columns if each.rows is not None]
            return ByteStrings.fixed(np.concatenate(rows), text=text)
        parts = [each.compact() for each in columns]
        offsets = [np.zeros(1, np.int64)]
        end = 0
        for _, each in parts:
            offsets.append(each[1:] + end)
            end += int(each[-1])
        buffer = np.concatenate([part for part, _ in parts])
        return _trusted(buffer, np.concatenate(offsets), text)

    def words(self, number: int, at: Ints | None = None) -> npt.NDArray[np.uint64]:
        """Return bytes 8k to 8k + 7 of each item (or of those `at` indices), k = `number`.

        Each is one uint64, the first byte the highest, missing bytes zero: so numbers compare as
        the strings do there.
        """
        if self.rows is not None:
            rows = self.rows if at is None else self.rows[at]
            part = rows[:, 8 * number : 8 * number + 8]
            padded = np.zeros((len(part), 8), np.uint8)
            padded[:, : part.shape[1]] = part
            return padded.view(">u8").ravel().astype(np.uint64)
        starts = (self.offsets[:-1] if at is None else self.offsets[at]) + 8 * number
        ends = self.offsets[1:] if at is None else self.offsets[at + 1]
        result = np.zeros(len(starts), np.uint64)
        last = max(len(self.buffer) - 1, 0)
        if len(self.buffer):
            for place in range(8):
                byte = self.buffer[np.minimum(starts + place, last)].astype(np.uint64)
                byte[starts + place >= ends] = 0
                result = (result << np.uint64(8)) | byte
        return result

    def _item(self, data: bytes) -> Any:
        return data.decode("utf-8", "surrogatepass") if self.text else data

    def compact(self) -> tuple[Bytes, Ints]:
        """Return buffer and offsets, the latter from 0 to the length of the former."""
        if self.rows is not None:
            count, width = self.rows.shape
            return self.rows.ravel(), np.arange(count + 1, dtype=np.int64) * width
        first = self.offsets[0]
        return self.buffer[first : self.offsets[-1]], self.offsets - first


def _trusted(buffer: Bytes, offsets: Ints, text: bool) -> ByteStrings:
    """Make a column of arrays that are known to fit together."""
    strings = ByteStrings.__new__(ByteStrings)
    strings.buffer, strings.offsets, strings.rows, strings.text = buffer, offsets, None, text
    return strings


def _take_rows(rows: Bytes, indices: npt.NDArray[Any]) -> Bytes:
    """Return the rows at these indices, each copied as one item and not byte by byte."""
    width = rows.shape[1]
    if not width or rows.strides[1] != 1:
        taken: Bytes = rows[indices]
        return taken
    whole: Any = rows.view(f"V{width}")[:, 0]
    picked: Bytes = whole[indices].view(np.uint8).reshape(len(indices), width)
    return picked


def _gather(buffer: Bytes, starts: Ints, offsets: Ints) -> Bytes:
    """Return the strings that begin at `starts`; in the result they end at `offsets`."""
    result = np.empty(int(offsets[-1]), np.uint8)
    shifts = starts - offsets[:-1]
    lengths = np.diff(offsets)
    item = 0
    while item < len(starts):
        limit = offsets[item] + GATHER_BYTES
        end = max(item + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        first, last = int(offsets[item]), int(offsets[end])
        if end == item + 1:  # perhaps a huge one
            result[first:last] = buffer[starts[item] : starts[item] + last - first]
        else:
            places = np.arange(first, last) + np.repeat(shifts[item:end], lengths[item:end])
            result[first:last] = buffer[places]
        item = end
    return result
