"""Counting the words of a large text as numbers.

A loop of C that makes an object of every word and looks it up in a dictionary takes some 150 ns a
word, wherever the next word's entry lies in memory. Most words are short: eight bytes or fewer are
one number of 64 bits, and equal numbers are found by sorting them, at 60 ns a word and in the order
in which memory likes to be read. Only the distinct ones become objects. Longer words, one in seven
of an English text, are counted one by one.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SPACE = 32
WORD = np.dtype("<u8")
"""Little-endian, so that a word's first byte is the lowest and what follows it is masked off."""
FIRST_BYTES = np.array([(1 << 8 * size) - 1 for size in range(WORD.itemsize + 1)], WORD)
"""The masks that keep the first 0 to 8 bytes."""
LEAD_BYTES_FROM = 0xC2
"""No character beyond ASCII begins with a smaller byte."""
SPACES = np.array(
    [
        int.from_bytes(chr(code).encode(), "big")
        for code in range(0x80, 0x3001)
        if chr(code).isspace()
    ],
    np.uint32,
)
"""Those beyond ASCII, in UTF-8, two or three bytes each."""
WHOLE_BYTES = 4 << 20
"""A text up to that size is counted at once."""
PIECE_BYTES = 1 << 20
"""Of a longer one, a line that is long: the arrays made of a piece take eight times as much."""


def count_words(text: bytes) -> dict[bytes | memoryview, int]:
    """How often each word occurs in `text`, whose words stand between spaces and hold no NUL.

    A large word is a view of the text: it is not copied before it is decoded.
    """
    counts: dict[bytes | memoryview, int] = {}
    piece_bytes = PIECE_BYTES if len(text) > WHOLE_BYTES else len(text)
    for piece in _pieces(text, piece_bytes):
        for word, count in [(piece, 1)] if len(piece) > piece_bytes else _count(bytes(piece)):
            counts[word] = counts.get(word, 0) + count
    return counts


def has_space_beyond_ascii(text: bytes) -> bool:
    """Whether a character of Unicode that counts as space occurs in UTF-8; no-break spaces do."""
    if text.isascii():
        return False
    starts = range(0, len(text), PIECE_BYTES)
    return any(_has_space_beyond_ascii(text[at : at + PIECE_BYTES + 2]) for at in starts)


def _has_space_beyond_ascii(text: bytes) -> bool:
    data = np.frombuffer(text + b"\0\0", np.uint8)
    (leads,) = np.nonzero(data >= LEAD_BYTES_FROM)
    two = data[leads].astype(np.uint32) << 8 | data[leads + 1]
    three = two << 8 | data[leads + 2]
    # One after the other: `np.isin` loads numpy.ma, which takes each process 6 ms.
    return any(((two == space) | (three == space)).any() for space in SPACES)


def _pieces(text: bytes, piece_bytes: int) -> Iterator[memoryview]:
    """Cut at spaces; a word that is larger than a piece comes alone, without a space."""
    view, start = memoryview(text), 0
    while start + piece_bytes < len(text):
        end = text.rfind(b" ", start, start + piece_bytes)
        if end < 0:
            end = text.find(b" ", start + piece_bytes)
            end = end if end >= 0 else len(text)
        yield view[start:end]
        start = end + 1
    yield view[start:]


def _count(piece: bytes) -> Iterator[tuple[bytes, int]]:
    piece += b" " * WORD.itemsize  # So that it ends with as many as a word read there may touch.
    starts, sizes = _words(piece)
    short = sizes <= WORD.itemsize
    yield from _count_short(piece, starts[short], sizes[short])
    long = zip(starts[~short].tolist(), sizes[~short].tolist(), strict=True)
    yield from Counter([piece[at : at + size] for at, size in long]).items()


def _words(piece: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the words start, and their sizes in bytes: (words,) each."""
    inside = np.frombuffer(piece, np.uint8) != SPACE
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[0]:
        edges = np.concatenate([[0], edges])
    starts, ends = edges[::2], edges[1::2]
    return starts, ends - starts


def _count_short(
    piece: bytes, starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Iterator[tuple[bytes, int]]:
    """Count words of up to eight bytes, which are read as numbers, wherever they begin."""
    at_every_byte = np.ndarray((len(piece) - WORD.itemsize + 1,), WORD, piece, strides=(1,))
    words = at_every_byte[starts] & FIRST_BYTES[sizes]
    words.sort()
    firsts = np.flatnonzero(np.concatenate([[True], words[1:] != words[:-1]])[: len(words)])
    counts = np.diff(firsts, append=len(words))
    texts = words[firsts].astype(WORD).view(f"S{WORD.itemsize}")
    return zip(texts.tolist(), counts.tolist(), strict=True)
