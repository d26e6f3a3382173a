"""Cutting one buffer into Python strings, without numpy."""

from itertools import pairwise
from typing import Any


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
