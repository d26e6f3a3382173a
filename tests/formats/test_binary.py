"""Binary records against slicing the whole file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats import binary
from minimr.formats.binary import check_size, read_binary, read_binary_blocks, read_binary_records
from minimr.formats.splits import Split, plan_splits


def write(path, width, records):
    path.write_bytes(bytes(number % 251 for number in range(width * records)))
    return str(path)


def expected(path, width):
    data = Path(path).read_bytes()
    return [(start, data[start : start + width]) for start in range(0, len(data), width)]


@given(
    width=st.integers(1, 9),
    records=st.integers(0, 40),
    split_bytes=st.integers(1, 30),
    block_bytes=st.integers(1, 30),
)
def test_splits_own_each_record_once_wherever_they_are_cut(
    tmp_path_factory, width, records, split_bytes, block_bytes
):
    path = write(tmp_path_factory.mktemp("binary") / "a", width, records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binary, "BLOCK_BYTES", block_bytes)
        splits = plan_splits([path], split_bytes)
        assert [each for split in splits for each in read_binary(split, width)] == expected(
            path, width
        )
        blocks = [block for split in splits for block in read_binary_blocks(split, width)]
        rows = [row.tobytes() for block in blocks for row in block["record"]]
        assert rows == [record for _, record in expected(path, width)]
        lists = [each for split in splits for each in read_binary_records(split, width)]
        assert [record for _, each in lists for record in each] == rows


def test_blocks_are_matrices_of_bytes(tmp_path):
    path = write(tmp_path / "a", 3, 5)
    [block] = read_binary_blocks(Split(path, 0, 15, 0), 3)
    assert (block["record"].dtype, block["record"].shape) == ("uint8", (5, 3))


def test_the_size_of_a_file_must_be_a_multiple():
    check_size("data", 300, 100)
    with pytest.raises(UsageError, match=r"data has 1,234 bytes, .* record size of 100"):
        check_size("data", 1234, 100)
    with pytest.raises(UsageError, match=r"data\.gz is compressed"):
        check_size("data.gz", 300, 100)


def test_a_file_that_ends_within_a_record_is_an_error_of_its_reader(tmp_path):
    path = write(tmp_path / "a", 10, 3)
    for read in (read_binary, read_binary_blocks):
        with pytest.raises(BadRecord, match="ends at byte 30, within a record of 7 bytes"):
            list(read(Split(path, 0, 30, 0), 7))


def test_a_compressed_file_is_refused_by_the_reader(tmp_path):
    [split] = plan_splits([write(tmp_path / "a.gz", 10, 3)])
    with pytest.raises(UsageError, match="compressed"):
        list(read_binary(split, 10))


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(MinimrError, match=r"Cannot read the input .*gone: No such file"):
        list(read_binary(Split(str(tmp_path / "gone"), 0, 10, 0), 10))
