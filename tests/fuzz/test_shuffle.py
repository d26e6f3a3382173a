"""Shuffle data: values, pair-blocks, and map output files."""

import io
import struct
import zlib
from itertools import accumulate

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import CorruptData
from minimr.shuffle import codec, pairs, segments
from minimr.shuffle.pairs import decode_pairs, encode_pairs, read_blocks, split_blocks
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes, read_segment_stream
from tests.fuzz.bad_bytes import INTERESTING, bad_bytes, damaged, fuzz, judge, written
from tests.shuffle.values import VALUES, same

LISTED = [
    ["a", 1, None, 0.5, b"raw", {"k": [1, 2]}],
    [("t", (1, 2.5)), 1 << 80, "\ud800"],
    {"weights": np.arange(6.0).reshape(2, 3), "bias": np.float64(2), "n": np.zeros((0, 4), "i4")},
]
DUMPED = [codec.dumps(value) for value in LISTED]
HEADS = [codec.pack(value)[0] for value in LISTED]
BLOCKS = [
    encode_pairs(["a", "bb", "c"], [1, 2, 3]),
    encode_pairs([1, 2], [0.5, -1.5]),
    encode_pairs([("a", 1), ("b", 2)], [{"n": 1}, [None]]),
    encode_pairs([(("a", 1), 2.0)], [np.arange(3)]),
    encode_pairs([], []),
]
SEGMENTS = [b"".join(BLOCKS[:2]), BLOCKS[2] + BLOCKS[3], b""]


def sealed(block):
    """The block with the checksum that its bytes have now."""
    return block[:4] + struct.pack("<I", zlib.crc32(block[8:])) + block[8:]


# Values


@fuzz
@given(data=bad_bytes(DUMPED))
def test_loads(data):
    judge(codec.loads, data, CorruptData)


@fuzz
@given(head=bad_bytes(HEADS), buffers=st.lists(st.binary(max_size=48), max_size=2))
def test_unpack(head, buffers):
    judge(lambda head: codec.unpack(head, buffers), head, CorruptData)


PLAIN = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=3)
SHAPES = st.lists(st.integers(-1, 4) | st.sampled_from([1 << 31, 1 << 62, 1 << 63]), max_size=40)
DTYPES = st.sampled_from(["<f8", "|b1", "|O", "<U4", "f8", "", "<M8[s]", "|V8"])
DESCRIPTIONS = st.tuples(
    DTYPES | PLAIN, SHAPES | st.binary(max_size=3) | PLAIN, st.integers(-1, 2) | PLAIN
)
GOOD_BUT_FOR_THE_DTYPE = st.tuples(DTYPES, st.sampled_from([[1], [2], [8]]), st.just(0))


@fuzz
@given(
    description=DESCRIPTIONS | GOOD_BUT_FOR_THE_DTYPE | PLAIN | st.lists(PLAIN),
    buffer=st.sampled_from([bytes(8), bytes(16)]) | st.binary(max_size=64),
)
def test_descriptions_of_arrays(description, buffer):
    head = msgpack.packb(msgpack.ExtType(codec.ARRAY, msgpack.packb(description)))
    array = judge(lambda head: codec.unpack(head, [buffer]), head, CorruptData)
    if array is not None:
        assert array.nbytes in (0, len(buffer))
        assert array.dtype.kind in "biufc"


@pytest.mark.parametrize("wrap", [b"\x91", b"\x81\xc0", b"\xc7\x02\x01", b"\xdd\xff\xff\xff\xff"])
@pytest.mark.parametrize("times", [1, 9, 1024, 1025, 100_000])
def test_nests_and_huge_announcements(wrap, times):
    judge(lambda head: codec.unpack(head, []), wrap * times + b"\xc0", CorruptData)


WRAPS = {
    "list": lambda value: [value],
    "first of many": lambda value: [value, 1, "a"],
    "last of many": lambda value: ["a", {}, value],
    "dict": lambda value: {"a": [], "b": value},
}


@pytest.mark.parametrize("innermost", [[], {}, (), 1, "a", [1], {1: 2}], ids=repr)
@pytest.mark.parametrize("wrap", ["list", "first of many", "last of many", "dict"])
def test_every_depth_that_can_be_written_can_be_read(wrap, innermost):
    """Lists within lists are compared by what they encode to: `==` would recurse too deep."""
    inside = 1 if innermost in ([1], {1: 2}) else 0
    for levels in range(codec.LEVELS_MAX - 2, codec.LEVELS_MAX + 3):
        value = innermost
        for _ in range(levels - inside):
            value = WRAPS[wrap](value)
        if levels > codec.LEVELS_MAX:
            with pytest.raises(TypeError, match="recursion limit"):
                codec.pack(value)
        else:
            head, _ = codec.pack(value)
            assert codec.pack(codec.unpack(head, []))[0] == head


def test_what_nobody_can_write_is_refused_however_deep():
    for levels in (1026, 2000, 100_000):
        for head in (b"\x91" * levels + b"\x90", b"\x81\x01" * levels + b"\x80"):
            with pytest.raises(CorruptData, match="nested deeper"):
                codec.unpack(head, [])
    deepest = b"\x91" * 1024 + b"\x90"
    assert codec.pack(codec.unpack(deepest, []))[0] == deepest
    for broken in (deepest + b"\xc0", deepest[:-1], b"\x92" + deepest[1:]):
        with pytest.raises(CorruptData):
            codec.unpack(broken, [])


@fuzz
@given(value=VALUES)
def test_what_is_dumped_comes_back(value):
    assert same(codec.loads(codec.dumps(value)), value)


# Pair-blocks


def all_pairs(data):
    return [decode_pairs(block) for block in split_blocks(data)]


@fuzz
@given(data=bad_bytes([*BLOCKS, *SEGMENTS]))
def test_pair_blocks(data):
    judge(decode_pairs, data, CorruptData)
    judge(all_pairs, data, CorruptData)
    judge(lambda data: list(read_blocks(io.BytesIO(data).read)), data, CorruptData)


@fuzz
@given(data=damaged(BLOCKS).map(sealed))
def test_pair_blocks_damaged_under_their_checksum(data):
    found = judge(decode_pairs, data, CorruptData)
    if found is not None:
        assert len(found[0]) == len(found[1]) == pairs.block_records(data)


@fuzz
@given(
    kinds=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    sizes=st.tuples(*[st.integers(0, 40) | st.sampled_from([1 << 40, (1 << 64) - 1])] * 3),
    columns=damaged([*DUMPED, BLOCKS[2][32:], BLOCKS[3][32:]]),
)
def test_headers_of_blocks(kinds, sizes, columns):
    fields = struct.pack("<BBBxIQQ", 1, *kinds, sizes[0] & 0xFFFF_FFFF, *sizes[1:])
    data = sealed(b"MRPB" + bytes(4) + fields + columns)
    judge(decode_pairs, data, CorruptData)
    judge(all_pairs, data, CorruptData)
    judge(lambda data: list(read_segment_stream(io.BytesIO(data))), data, CorruptData)


COLUMNS = [*DUMPED, bytes(16), BLOCKS[2][32:], BLOCKS[3][32:]]


@fuzz
@given(
    kinds=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    keys=damaged(COLUMNS),
    values=damaged(COLUMNS),
    records=st.integers(0, 3),
)
def test_any_columns_in_a_right_block(kinds, keys, values, records):
    fields = struct.pack("<BBBxIQQ", 1, *kinds, records, len(keys), len(values))
    columns = b"".join(column + bytes(-len(column) % 8) for column in (keys, values))
    found = judge(decode_pairs, sealed(b"MRPB" + bytes(4) + fields + columns), CorruptData)
    assert found is None or len(found[0]) == len(found[1]) == records


# Segments and map output files


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "map-output"


def map_output(parts):
    """The file of a map task whose segments are these."""
    items = [
        (number, bytes(block)) for number, part in enumerate(parts) for block in split_blocks(part)
    ]
    return written(lambda path: segments.write_map_output(path, len(parts), items))


MAP_OUTPUTS = [map_output(SEGMENTS), map_output([b""]), map_output([BLOCKS[0]] * 3)]


def read_all(path):
    """The pairs of all segments, none of which may lie outside the file."""
    file = MapOutputFile(path)
    for partition in range(len(file.index.segments)):
        offset, length = file.segment_range(partition)
        assert len(segments.MAGIC) <= offset <= offset + length <= path.stat().st_size
    return [list(file.read_segment(n)) for n in range(len(file.index.segments))]


@fuzz
@given(data=bad_bytes(SEGMENTS))
def test_segments_in_memory_and_from_a_stream(data):
    in_memory = judge(lambda data: list(read_segment_bytes(data)), data, CorruptData)
    stream = judge(lambda data: list(read_segment_stream(io.BytesIO(data))), data, CorruptData)
    assert repr(in_memory) == repr(stream)


@fuzz
@given(data=bad_bytes(MAP_OUTPUTS))
def test_map_output_files(data, path):
    path.write_bytes(data)
    judge(read_all, path, CorruptData, size_bytes=len(data))


NUMBERS = st.integers(0, 300) | st.sampled_from([-1, 1 << 31, (1 << 63) - 1, 1 << 63]) | PLAIN
INDEXES = st.lists(st.lists(NUMBERS, min_size=3, max_size=5) | PLAIN, max_size=4) | PLAIN


BODY = b"".join(SEGMENTS)


def chain(lengths):
    """The index of segments of these lengths, and a last one, that lie side by side in BODY."""
    lengths = [*lengths, len(BODY) - sum(lengths)]
    starts = accumulate(lengths, initial=len(segments.MAGIC))
    return [[start, length, 0, 0] for start, length in zip(starts, lengths, strict=False)]


CHAINS = st.lists(st.integers(-8, 200) | st.sampled_from([-300, 1 << 40]), max_size=4).map(chain)


@fuzz
@given(index=INDEXES | CHAINS, body=st.sampled_from([BODY, b"", bytes(200)]))
def test_map_output_files_with_any_index_under_a_right_checksum(index, body, path):
    data = msgpack.packb(index)
    footer = segments.FOOTER.pack(len(data), zlib.crc32(data), segments.END_MAGIC)
    data = segments.MAGIC + body + data + footer
    path.write_bytes(data)
    judge(read_all, path, CorruptData, size_bytes=len(data))


@fuzz
@given(junk=st.binary(max_size=30), length=st.sampled_from(INTERESTING))
def test_map_output_files_that_are_nearly_nothing(junk, length, path):
    path.write_bytes(junk + length[:4].ljust(4, b"\xff") + bytes(4) + segments.END_MAGIC)
    judge(read_all, path, CorruptData, size_bytes=100)
