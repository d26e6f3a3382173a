"""Joined checksums against zlib's own over the whole."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle.compression import MAGIC as COMPRESSED
from minimr.shuffle.compression import compressor, framed
from minimr.shuffle.joined_crc import joined_crc
from minimr.shuffle.pairs import SMALL_BYTES, crc_with_block, encode_pairs


@given(st.binary(max_size=100), st.binary(max_size=300))
def test_the_checksum_of_the_whole_follows_from_those_of_the_parts(first, second):
    joined = joined_crc(zlib.crc32(first), zlib.crc32(second), len(second))
    assert joined == zlib.crc32(first + second)


@pytest.mark.parametrize("records", [1, SMALL_BYTES // 16, SMALL_BYTES // 8 + 1, 60_000])
def test_a_block_behind_others_adds_to_their_checksum(records):
    numbers = random.Random(records).choices(range(1 << 40), k=records)
    block = encode_pairs(numbers, numbers)
    for before in (b"", block, b"MRMAPOUT"):
        assert crc_with_block(zlib.crc32(before), block) == zlib.crc32(before + block)


def test_a_compressed_block_counts_as_it_lies_there():
    numbers = random.Random(0).choices(range(1 << 40), k=SMALL_BYTES // 4)
    block = framed(encode_pairs(numbers, numbers), len(numbers), "zlib", compressor("zlib"))
    assert block[:4] == COMPRESSED
    assert len(block) > SMALL_BYTES
    assert crc_with_block(7, block) == zlib.crc32(block, 7)
