"""Sorted chunks to whole groups, for a `reduce_block` that must see all values of a key at once.

Most groups lie within a chunk. One that goes on in the next chunk is put together, as long as it
fits into memory; one that does not is handed out as a LongGroup, to be read piece by piece.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from minimr.block import Groups
from minimr.shuffle.columns import (
    Column,
    Tuples,
    comparable,
    concat,
    count_upto,
    cut,
    size_bytes,
    starts,
    take,
    typed,
)  # fmt: skip
from minimr.shuffle.merge_columns import Chunk

COPIES = 2
"""A group takes its size twice while it is put together."""


@dataclass(frozen=True)
class LongGroup:
    """One key (a column of one) and its values in pieces; they end when the next group is asked
    for."""

    keys: Column
    pieces: Iterator[Column]


def whole_groups(chunks: Iterator[Chunk], memory_bytes: int) -> Iterator[Groups | LongGroup]:
    """Yield all groups of the chunks in order of key, many at a time."""
    chunk = next(chunks, None)
    while chunk is not None:  # Nothing of a chunk may stay here when the next one is asked for.
        begins = starts(chunk.keys)
        end = int(begins[-1]) if chunk.open else len(chunk.keys)
        if end:
            begins = begins[begins < end]
            yield _groups(take(chunk.keys, begins), cut(chunk.values, 0, end), begins)
        if not chunk.open:
            del chunk
            chunk = next(chunks, None)
            continue
        tail = _Tail(chunk, end, chunks)
        del chunk
        yield _one_group(tail, memory_bytes)
        for _ in tail.pieces:  # whatever was left unread lies before the next key
            pass
        chunk = tail.rest


def _groups(
    keys: Column, values: Column, begins: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Groups:
    keys = typed(keys)
    values = typed(values)
    return Groups(keys, values.tolist() if isinstance(values, Tuples) else values, begins)


def _one_group(tail: "_Tail", memory_bytes: int) -> Groups | LongGroup:
    pieces: list[Column] = []
    held_bytes = 0
    for piece in tail.pieces:
        pieces.append(piece)
        held_bytes += size_bytes(piece)
        if held_bytes * COPIES > memory_bytes:
            del piece
            return LongGroup(tail.keys, chain(_emptied(pieces), tail.pieces))
    return _groups(tail.keys, concat(pieces), np.zeros(1, np.int64))


def _emptied(pieces: list[Column]) -> Iterator[Column]:
    while pieces:
        yield pieces.pop(0)


class _Tail:
    """The last key of an open chunk: its values there and in the chunks that follow, in pieces.

    When the pieces are read, `rest` is what follows the key, or None.
    """

    def __init__(self, chunk: Chunk, start: int, chunks: Iterator[Chunk]) -> None:
        self.keys = cut(chunk.keys, start, start + 1)
        self.rest: Chunk | None = None
        self.pieces = self._pieces(cut(chunk.values, start, len(chunk.keys)), chunks)

    def _pieces(self, first: Column, chunks: Iterator[Chunk]) -> Iterator[Column]:
        yield first
        del first
        key = comparable(self.keys, 0)
        for chunk in chunks:
            end, count = count_upto(chunk.keys, key), len(chunk.keys)
            if end:
                yield cut(chunk.values, 0, end)
            if end < count:
                rest = cut(chunk.keys, end, count), cut(chunk.values, end, count)
                self.rest = Chunk(*rest, chunk.open)
                return
            del chunk  # the next one needs the room
