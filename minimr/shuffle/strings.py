"""Cutting one buffer into Python strings, without numpy."""

from itertools import pairwise
from typing import Any

LARGE_BYTES = 2 << 20
"""Strings of so much together are cut without a copy of them all."""


def cut_large(data: memoryview, bounds: list[int], text: bool) -> list[Any]:
    """Return the same of bytes that are not to be copied at once. Raises UnicodeDecodeError."""
    pieces = (data[start:end] for start, end in pairwise(bounds))
    if not text:
        return [bytes(piece) for piece in pieces]
    return [str(piece, "utf-8", "surrogatepass") for piece in pieces]


def cut(data: bytes, bounds: list[int], text: bool) -> list[Any]:
    """Return the bytes between neighbouring bounds, or the str that they encode.

    Raises UnicodeDecodeError. Text that is all ASCII, where a character is a byte, is decoded once.
    """
    pairs = pairwise(bounds)
    if not text:
        return [data[start:end] for start, end in pairs]
    if data.isascii():
        characters = data.decode("ascii")
        return [characters[start:end] for start, end in pairs]
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in pairs]
