"""Compressed blocks: the same pairs, fewer bytes, and nothing that a peer can blow up."""

import struct
import sys
import zlib

import pytest

import minimr as mr
from minimr.errors import CorruptData
from minimr.shuffle.compression import (
    CODECS,
    FRAME_BYTES,
    MAGIC,
    RAW_BYTES_MAX,
    Compressing,
    compressor,
    framed,
)
from minimr.shuffle.pairs import block_records, decode_pairs, encode_pairs

KEYS = [f"key-{number:06}" for number in range(500)]
VALUES = list(range(500))


def block_of(keys, values):
    return encode_pairs(keys, values)


BLOCK = block_of(KEYS, VALUES)


@pytest.fixture(params=CODECS)
def codec(request):
    if request.param == "zstd":
        pytest.importorskip("zstandard", reason="zstd was NOT tried: no package zstandard here")
    return request.param


def test_a_frame_holds_the_same_pairs_in_fewer_bytes(codec):
    frame = framed(BLOCK, len(KEYS), codec, compressor(codec))
    assert len(frame) < len(BLOCK) // 2
    assert len(frame) % 8 == 0
    assert block_records(frame) == len(KEYS)
    assert decode_pairs(frame) == (KEYS, VALUES)


def test_what_is_small_or_does_not_shrink_stays_as_it_is(codec):
    small = block_of(["a"], [1])
    assert framed(small, 1, codec, compressor(codec)) is small
    chance = b"".join(zlib.compress(str(n).encode()) for n in range(300))
    dense = block_of([chance], [1])
    assert framed(dense, 1, codec, lambda data: data) is dense


def test_every_damaged_byte_is_noticed():
    frame = framed(BLOCK, len(KEYS), "zlib", compressor("zlib"))
    for place in range(len(frame)):
        bad = bytearray(frame)
        bad[place] ^= 0x55
        with pytest.raises(CorruptData):
            decode_pairs(bytes(bad))
    for length in range(0, len(frame), 7):
        with pytest.raises(CorruptData):
            decode_pairs(frame[:length])


def forged(codec_number, stored, raw_bytes, records=1, version=1):
    """A frame with a checksum that is right and a promise that is not."""
    fields = struct.pack("<BBxxIQQ", version, codec_number, records, len(stored), raw_bytes)
    rest = fields + stored + bytes(-len(stored) % 8)
    return MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (forged(0, zlib.compress(bytes(1 << 20)), RAW_BYTES_MAX + 1), "is the most"),
        (forged(0, zlib.compress(bytes(1 << 20)), 5000), "does not give the 5,000 bytes"),
        (forged(0, zlib.compress(b"x" * 900), 1000), "does not give the 1,000 bytes"),
        (forged(0, b"no zlib at all", 1000), "does not give the 1,000 bytes"),
        (forged(7, b"whatever it is", 1000), "the codec 7, which nobody knows"),
        (forged(0, zlib.compress(BLOCK), len(BLOCK), records=3), "of 3 records holds 500"),
        (forged(0, b"x" * 16, 1000, version=9), "has version 9"),
        (forged(0, b"x" * 16, 16), "stands for 16"),
    ],
)
def test_a_frame_that_promises_what_it_does_not_hold(frame, said):
    with pytest.raises(CorruptData, match=said):
        decode_pairs(frame)


def test_a_bomb_of_zstd_is_not_set_off():
    zstandard = pytest.importorskip("zstandard", reason="zstd was NOT tried: it is not installed")
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    with pytest.raises(CorruptData, match="does not give"):
        decode_pairs(forged(1, bomb, 1 << 20))


def test_the_account_is_the_same_whatever_compressed():
    accounts = [Compressing("zlib")]
    stored = list(accounts[0].blocks(iter([(0, BLOCK), (2, BLOCK), (2, BLOCK)])))
    assert [partition for partition, _ in stored] == [0, 2, 2]
    assert accounts[0].raw_bytes == 3 * len(BLOCK)
    assert accounts[0].stored_bytes == sum(len(block) for _, block in stored)
    lengths = [length for length, _ in accounts[0].segments(3)]
    assert lengths == [len(BLOCK), 0, 2 * len(BLOCK)]
    assert len(stored[0][1]) > FRAME_BYTES


def test_a_codec_that_is_not_there_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(mr.UsageError, match=r"pip install 'minimr\[compress\]'"):
        compressor("zstd")
    with pytest.raises(mr.UsageError, match="must be one of none, zlib, zstd"):
        compressor("lz4")


class Words(mr.Job):
    def map(self, offset, line):
        for word in line.split():
            yield word, offset

    def reduce(self, word, offsets):
        yield word, list(offsets)


def parts(path):
    return {each.name: each.read_bytes() for each in sorted(path.glob("part-*"))}


def test_a_job_gives_the_same_bytes_with_spills_and_without(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"the word {n % 97} of line {n}\n" for n in range(6000)))
    outputs = {}
    for name, settings in {
        "plain": {},
        "zlib": {"compress": "zlib"},
        "spilled": {"compress": "zlib", "memory_bytes": 1 << 20},
    }.items():
        result = mr.run(
            Words, [str(text)], tmp_path / name, runner="serial", reducers=2, **settings
        )
        outputs[name] = parts(tmp_path / name)
        if settings:
            counters = result.counters
            raw, stored = (
                counters[f"map output bytes {each}"] for each in ("before compression", "stored")
            )
            assert stored < raw // 2
    assert outputs["plain"] == outputs["zlib"] == outputs["spilled"]
