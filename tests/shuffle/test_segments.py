import io
import resource
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import CorruptData, MinimrError
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import (
    MapOutputFile,
    read_segment_bytes,
    read_segment_stream,
    write_map_output,
)

BLOCKS = [
    (0, encode_pairs(["a", "b"], [1, 2])),
    (0, encode_pairs(["c"], [3])),
    (2, encode_pairs(["z"], [26])),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "map-output"


def segments(file, partitions):
    return [list(file.read_segment(partition)) for partition in range(partitions)]


def test_segments_come_back_by_partition(path):
    write_map_output(path, 4, iter(BLOCKS))
    assert segments(MapOutputFile(path), 4) == [
        [(["a", "b"], [1, 2]), (["c"], [3])],
        [],
        [(["z"], [26])],
        [],
    ]


def test_the_index_tells_sizes_and_counts(path):
    index = write_map_output(path, 4, iter(BLOCKS))
    assert index == MapOutputFile(path).index
    assert [segment.records for segment in index.segments] == [3, 0, 1, 0]
    assert index.records == 4
    assert index.size_bytes == sum(len(block) for _, block in BLOCKS)


def test_a_range_holds_the_segments_own_bytes(path):
    write_map_output(path, 3, iter(BLOCKS))
    offset, length = MapOutputFile(path).segment_range(2)
    data = path.read_bytes()[offset : offset + length]
    assert data == BLOCKS[2][1]
    assert MapOutputFile(path).index.segments[2].crc == zlib.crc32(data)
    assert list(read_segment_bytes(data)) == [(["z"], [26])]
    assert list(read_segment_stream(io.BytesIO(data))) == [(["z"], [26])]


def test_an_output_without_pairs_has_empty_segments(path):
    write_map_output(path, 2, iter([]))
    assert segments(MapOutputFile(path), 2) == [[], []]


def test_nothing_appears_when_writing_fails_half_way(path):
    def blocks():
        yield BLOCKS[0]
        raise KeyError("user code broke")

    with pytest.raises(KeyError):
        write_map_output(path, 1, blocks())
    assert list(path.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(path):
    with pytest.raises(MinimrError, match=r"Cannot write the map output .*nowhere/x: No such"):
        write_map_output(path / "nowhere" / "x", 1, iter(BLOCKS))


def test_a_full_disk_is_an_error_that_says_what_to_do(path):
    path.with_name("map-output.partial").symlink_to("/dev/full")
    with pytest.raises(MinimrError, match=r"No space left on device\. Make room there"):
        write_map_output(path, 3, iter(BLOCKS))
    assert list(path.parent.iterdir()) == []


def test_partitions_out_of_order_are_a_bug_not_a_file(path):
    with pytest.raises(ValueError, match="partition 0 comes after 2"):
        write_map_output(path, 3, iter([BLOCKS[2], BLOCKS[0]]))


@given(st.data())
def test_any_damaged_byte_is_found_and_the_file_named(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged"
    write_map_output(path, 3, iter(BLOCKS))
    whole = bytearray(path.read_bytes())
    magic = 8
    position = data.draw(st.integers(magic, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with pytest.raises(CorruptData, match="damaged"):
        segments(MapOutputFile(path), 3)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_a_file_cut_short_is_corrupt(path, kept):
    write_map_output(path, 3, iter(BLOCKS))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptData, match="map-output"):
        MapOutputFile(path)


def test_a_missing_file_is_corrupt_too_since_the_map_must_run_again(path):
    with pytest.raises(CorruptData, match=r"map-output.*cannot be read"):
        MapOutputFile(path)


def test_damage_names_the_segment(path):
    write_map_output(path, 3, iter(BLOCKS))
    offset, length = MapOutputFile(path).segment_range(2)
    data = bytearray(path.read_bytes())
    data[offset + length - 1] ^= 1
    path.write_bytes(data)
    file = MapOutputFile(path)
    assert len(list(file.read_segment(0))) == 2
    with pytest.raises(CorruptData, match="segment 2"):
        list(file.read_segment(2))


def test_a_whole_block_replaced_by_another_is_found(path):
    """Each block's own checksum is right then; only the segment's is not."""
    write_map_output(path, 1, iter([(0, encode_pairs([1], [1]))]))
    other = encode_pairs([1], [2])
    offset, length = MapOutputFile(path).segment_range(0)
    assert len(other) == length
    data = path.read_bytes()
    path.write_bytes(data[:offset] + other + data[offset + length :])
    with pytest.raises(CorruptData, match="segment 0: the checksum"):
        list(MapOutputFile(path).read_segment(0))


def test_hundreds_of_segments_can_be_merged_with_few_open_files(path):
    """Each is read in between the others, as a merge does."""
    count = 200
    blocks = [(n, encode_pairs([n], [m])) for n in range(count) for m in range(2)]
    write_map_output(path, count, iter(blocks))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        file = MapOutputFile(path)
        reading = [file.read_segment(n) for n in range(count)]
        assert [next(segment) for segment in reading] == [([n], [0]) for n in range(count)]
        assert [next(segment) for segment in reading] == [([n], [1]) for n in range(count)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
