"""The CRC-32 of two byte strings end to end, from the CRC-32 of each.

A CRC is what is left of a string, read as a polynomial over GF(2), when it is divided by a fixed
one of degree 32 (Peterson and Brown 1961). To put n bytes behind a string is to multiply it by
x^(8n) and to add them. So the remainder of the whole is the first one's times x^(8n), plus the
second one's: some dozen shifts in place of a pass over all bytes. zlib's `crc32_combine` does so;
Python's zlib does not offer it.

Polynomials are ints here with their bits mirrored, as CRC-32 has them: 1 << 31 is 1, 1 << 30 is x.
"""

from functools import cache, lru_cache

POLYNOMIAL = 0xEDB88320
ONE = 1 << 31
BYTE = 1 << 23
"""x^8: what one more byte multiplies by."""


def joined_crc(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC-32 of two strings end to end; the second one has `second_bytes`."""
    return _product(first, _shift(second_bytes)) ^ second


@lru_cache(256)
def _shift(size_bytes: int) -> int:
    """Return x^(8n): a product for each bit of n that is set."""
    result = ONE
    for bit in range(size_bytes.bit_length()):
        if size_bytes >> bit & 1:
            result = _product(result, _squared(bit))
    return result


@cache
def _squared(times: int) -> int:
    """Return x^8 squared so many times."""
    if times == 0:
        return BYTE
    root = _squared(times - 1)
    return _product(root, root)


def _product(left: int, right: int) -> int:
    """Return left times right, modulo the polynomial."""
    result = 0
    while left:
        if left & ONE:
            result ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (POLYNOMIAL if right & 1 else 0)
    return result
