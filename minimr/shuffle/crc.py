"""CRC-32 of many strings at once.

A CRC is linear over GF(2) (Peterson and Brown 1961): the checksum of a string is the exclusive or
of one term for each of its bytes, which depends on the byte and on how many bytes follow it, and of
one term for its length. So with a table of those terms the checksums of a million strings are one
lookup for each byte and one exclusive-or over each string, and they equal `zlib.crc32` of each.
"""

import zlib
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from minimr.shuffle.byte_strings import ByteStrings

Words = npt.NDArray[np.uint32]

LENGTH_MAX = 64
"""Longer strings go to zlib, whose speed is in the bytes of a string, not in their number."""
CHUNK_BYTES = 1 << 20
"""How many bytes are looked up at once; each of them needs 13 for a while."""


def crc32_of_each(strings: ByteStrings) -> npt.NDArray[np.uint64]:
    """Return the CRC-32 of each string, (n,) uint64; a text counts as its UTF-8."""
    if strings.rows is not None and strings.rows.shape[1] <= LENGTH_MAX:
        return _of_rows(strings.rows).astype(np.uint64)
    buffer, offsets = strings.compact()
    result = np.zeros(len(strings), np.uint64)
    lengths = np.diff(offsets)
    start = 0
    while start < len(strings):
        limit = offsets[start] + CHUNK_BYTES
        end = max(start + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        if int(lengths[start:end].max()) <= LENGTH_MAX:
            part = buffer[offsets[start] : offsets[end]]
            result[start:end] = _of_short(part, lengths[start:end])
        else:
            bounds = offsets[start : end + 1].tolist()
            each = [zlib.crc32(buffer[first:last].data) for first, last in pairwise(bounds)]
            result[start:end] = each
        start = end
    return result


def _of_rows(rows: npt.NDArray[np.uint8]) -> Words:
    width = rows.shape[1]
    result = np.full(len(rows), _length_terms()[width], np.uint32)
    for place in range(width):
        result ^= _byte_terms()[width - 1 - place][rows[:, place]]
    return result


def _of_short(buffer: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> Words:
    """Return the checksums of strings that lie end to end in the buffer."""
    ends = np.cumsum(lengths)
    following = np.repeat(ends, lengths) - np.arange(1, len(buffer) + 1)
    terms = _byte_terms()[following, buffer]
    result = _length_terms()[lengths]
    filled = np.flatnonzero(lengths)
    if len(filled):
        result[filled] ^= np.bitwise_xor.reduceat(terms, (ends - lengths)[filled])
    return result


@cache
def _byte_terms() -> Words:
    """Return (LENGTH_MAX, 256): the term of each byte, by how many bytes follow it."""
    terms = np.zeros((LENGTH_MAX, 256), np.uint32)
    empty = zlib.crc32(b"\0")
    terms[0] = [zlib.crc32(bytes([byte])) ^ empty for byte in range(256)]
    for following in range(1, LENGTH_MAX):
        before = terms[following - 1]
        terms[following] = (before >> np.uint32(8)) ^ terms[0][before & np.uint32(0xFF)]
    return terms


@cache
def _length_terms() -> Words:
    """Return (LENGTH_MAX + 1,): the checksum of so many zero bytes."""
    return np.array([zlib.crc32(bytes(length)) for length in range(LENGTH_MAX + 1)], np.uint32)
