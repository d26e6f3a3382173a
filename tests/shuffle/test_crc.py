import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.shuffle import crc
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.crc import LENGTH_MAX, crc32_of_each

from .values import TEXT


def check(strings):
    encoded = [
        each.encode("utf-8", "surrogatepass") if isinstance(each, str) else each
        for each in strings.tolist()
    ]
    found = crc32_of_each(strings)
    assert found.dtype == np.uint64
    assert found.tolist() == [zlib.crc32(each) for each in encoded]


LENGTHS = st.integers(0, 20) | st.sampled_from([LENGTH_MAX - 1, LENGTH_MAX, LENGTH_MAX + 1, 200])


@given(st.lists(LENGTHS.flatmap(lambda n: st.binary(min_size=n, max_size=n)), max_size=20))
def test_bytes_of_any_length(strings):
    check(ByteStrings.of(strings))


@given(st.lists(TEXT, max_size=20))
def test_texts_count_as_their_utf_8(texts):
    check(ByteStrings.of(texts))


@pytest.mark.parametrize("width", [0, 1, 7, 8, 9, LENGTH_MAX, LENGTH_MAX + 1, 300])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_strings_of_one_width(width, count):
    rows = np.random.default_rng(width).integers(0, 256, (count, width)).astype(np.uint8)
    check(ByteStrings.fixed(rows))
    check(ByteStrings.of([row.tobytes() for row in rows]))
    wider = np.zeros((count, width + 5), np.uint8)
    wider[:, 2 : 2 + width] = rows
    check(ByteStrings.fixed(wider[:, 2 : 2 + width]))


def test_every_byte_at_every_place():
    for length in (1, 8, LENGTH_MAX):
        strings = [
            bytes(place) + bytes([byte]) + bytes(length - place - 1)
            for place in range(length)
            for byte in range(256)
        ]
        check(ByteStrings.of(strings))


@pytest.mark.parametrize("chunk_bytes", [1, 10, 64, 100])
def test_strings_are_looked_up_in_parts(monkeypatch, chunk_bytes):
    monkeypatch.setattr(crc, "CHUNK_BYTES", chunk_bytes)
    strings = [b"", b"a" * 9, b"", b"b" * 70, b"c", b"d" * 64, b"", b"", b"e" * 30, b""]
    check(ByteStrings.of(strings))
    check(ByteStrings.of(strings * 5).slice(3, 31))


def test_a_part_of_a_column_does_not_begin_at_its_buffers_start():
    check(ByteStrings.of([b"abc", b"", b"de", b"f" * 80, b"g"]).slice(1, 5))
