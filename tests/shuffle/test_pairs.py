import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord, CorruptData
from minimr.shuffle.compression import compressed
from minimr.shuffle.pairs import (
    HEADER_BYTES,
    block_records,
    decode_pairs,
    encode_columns,
    encode_groups,
    encode_pairs,
    open_block,
    read_blocks,
    split_blocks,
)
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes, write_map_output

from .values import KEYS_OF_ONE_KIND, VALUES, same


@given(KEYS_OF_ONE_KIND, st.data())
def test_pairs_come_back_as_they_were(keys, data):
    values = data.draw(st.lists(VALUES, min_size=len(keys), max_size=len(keys)))
    block = encode_pairs(keys, values)
    assert same(decode_pairs(block), (keys, values))
    assert block_records(block) == len(keys)
    assert len(block) % 8 == 0


@pytest.mark.parametrize(
    "column",
    [
        [1, 2, 3],
        [1, True, 1.0],
        [2**63 - 1, -(2**63)],
        [2**63, 1],
        [0.0, -0.0, float("inf"), float("nan")],
        [(1, "a"), (2, "b")],
        [(1, "a"), (2,)],
        [(), ()],
        [((1, 2.5), ("a",)), ((3, 4.5), ("b",))],
        [((((((1,),),),),),)],
        [tuple(range(300))] * 2,
        [np.arange(3.0), np.arange(2)],
        [(np.arange(3.0), 1), (np.arange(3.0), 2)],
    ],
)
def test_every_form_of_column_keeps_its_types(column):
    assert same(decode_pairs(encode_pairs(["k"] * len(column), column))[1], column)


def test_a_column_of_numbers_takes_eight_bytes_an_item():
    assert len(encode_pairs(list(range(1000)), [0.5] * 1000)) == HEADER_BYTES + 16_000


def test_arrays_in_blocks_are_aligned_for_their_type():
    block = encode_pairs(["abc"], [np.arange(3.0)])
    assert decode_pairs(block)[1][0].flags.aligned


def test_the_same_pairs_give_the_same_bytes():
    assert encode_pairs(["a"], [(1, 2.0)]) == encode_pairs(["a"], [(1, 2.0)])


def test_a_value_that_cannot_be_encoded_names_its_key():
    with pytest.raises(BadRecord, match=r"value of the key 'b' cannot travel.*type set"):
        encode_pairs(["a", "b"], [1, {2}])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_damaged_byte_is_found(position, change):
    block = bytearray(encode_pairs(["some", "words"], [1.5, 2.5]))
    block[position % len(block)] ^= change
    with pytest.raises(CorruptData):
        decode_pairs(block)


@given(st.data())
def test_a_block_cut_short_is_corrupt(data):
    block = encode_pairs([1, 2], ["a", "b"])
    cut = block[: data.draw(st.integers(0, len(block) - 1))]
    with pytest.raises(CorruptData):
        decode_pairs(cut)


def test_blocks_are_cut_apart_again():
    blocks = [encode_pairs([n], [str(n) * n]) for n in range(1, 5)]
    assert list(split_blocks(b"".join(blocks))) == blocks
    assert list(read_blocks(io.BytesIO(b"".join(blocks)).read)) == blocks
    assert list(split_blocks(b"")) == []


@pytest.mark.parametrize("missing", [1, 20, 60])
def test_a_run_of_blocks_cut_short_is_corrupt(missing):
    run = encode_pairs([1], [1]) + encode_pairs([1], ["some longer text, some longer text"])
    with pytest.raises(CorruptData):
        list(split_blocks(run[:-missing]))
    with pytest.raises(CorruptData):
        list(read_blocks(io.BytesIO(run[:-missing]).read))


def test_bytes_that_are_no_block_are_corrupt():
    with pytest.raises(CorruptData):
        list(split_blocks(b"x" * 100))


@given(
    st.lists(st.tuples(st.integers(), st.lists(st.integers(), max_size=9)), max_size=9),
    st.integers(1, 5),
)
def test_groups_become_blocks_of_bounded_size(groups, records_max):
    blocks = list(encode_groups(iter(groups), records_max))
    pairs = [pair for block in blocks for pair in zip(*decode_pairs(block), strict=True)]
    assert pairs == [(key, value) for key, values in groups for value in values]
    assert all(block_records(block) == records_max for block in blocks[:-1])
    assert all(1 <= block_records(block) <= records_max for block in blocks[-1:])


def test_a_block_lets_its_bytes_go_when_there_are_lists():
    data = bytearray(encode_pairs(["a"], [b"x" * 100]))
    block = open_block(data)
    with pytest.raises(BufferError):
        data.clear()
    assert block.size_bytes > 100
    assert block.lists() == (["a"], [b"x" * 100])
    data.clear()
    assert block.size_bytes == 0
    assert block.columns() == block.lists() == (["a"], [b"x" * 100])


def test_a_small_column_does_not_keep_a_large_block():
    block = encode_columns(np.arange(3), np.ones((3, 1 << 18)))
    keys, values = open_block(block).columns()
    whole = np.frombuffer(block, np.uint8)
    assert np.shares_memory(values, whole)
    assert not np.shares_memory(keys, whole)
    assert keys.tolist() == [0, 1, 2]
    block = encode_columns(np.ones((3, 1 << 18)), np.arange(3))
    keys, values = open_block(block).columns()
    whole = np.frombuffer(block, np.uint8)
    assert np.shares_memory(keys, whole)
    assert not np.shares_memory(values, whole)
    assert values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("codec", ["none", "zlib"])
def test_the_largest_block_of_a_segment_is_known_before_it_is_read(tmp_path, codec):
    blocks = [encode_pairs([n], ["x" * n]) for n in (5, 3_000_000, 70)]
    largest = len(blocks[1])
    stored = [block for _, block in compressed(((0, block) for block in blocks), codec)]
    path = tmp_path / "output"
    index = write_map_output(path, 1, ((0, block) for block in stored))
    segment = MapOutputFile(path).read_segment(0)
    assert index.largest_block == segment.largest_bytes() == largest
    assert read_segment_bytes(b"".join(stored)).largest_bytes() == largest
    assert [block.records for block in segment] == [1, 1, 1]
    assert segment.largest_bytes() == largest, "also once it was read"


def test_a_damaged_segment_has_some_largest_block():
    assert read_segment_bytes(encode_pairs([1], [2]) + b"damage").largest_bytes() > 0
