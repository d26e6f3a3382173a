import numpy as np
import pytest

import minimr as mr


def block():
    return mr.Block({"X": np.arange(6.0).reshape(3, 2), "y": [10, 20, 30]})


def test_a_block_knows_its_rows_and_columns():
    assert len(block()) == 3
    assert block()["X"].shape == (3, 2)
    assert block()["y"].tolist() == [10, 20, 30]


def test_columns_are_not_copied():
    column = np.arange(3)
    assert mr.Block({"a": column})["a"] is column


@pytest.mark.parametrize("columns", [{"a": [1, 2], "b": [1]}, {"a": np.array(1)}])
def test_unequal_lengths_are_refused(columns):
    with pytest.raises(mr.UsageError, match="equal lengths"):
        mr.Block(columns)


def test_an_unknown_column_is_named_beside_those_there_are():
    with pytest.raises(mr.UsageError, match="no column 'z'; it has: X, y"):
        block()["z"]


@pytest.mark.parametrize("rows", [[0, 2], np.array([True, False, True])])
def test_take_picks_rows_by_index_or_mask(rows):
    taken = block().take(rows)
    assert taken["y"].tolist() == [10, 30]
    assert taken["X"].tolist() == [[0.0, 1.0], [4.0, 5.0]]


def test_concat_joins_end_to_end():
    joined = mr.Block.concat([block(), block().take([1])])
    assert joined["y"].tolist() == [10, 20, 30, 20]
    assert len(mr.Block.concat([])) == 0


def test_concat_refuses_different_columns():
    with pytest.raises(mr.UsageError, match="cannot be joined"):
        mr.Block.concat([block(), mr.Block({"X": [1]})])


def text_block(data, errors="surrogateescape", encoding="utf-8"):
    return mr.TextBlock(data, 100, "a.txt", encoding, errors)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [(100, "")]),
        (b"a\nbc\n", [(100, "a"), (102, "bc")]),
        (b"a\n\nbc", [(100, "a"), (102, ""), (103, "bc")]),
        ("é\nx\r\n".encode(), [(100, "é"), (103, "x\r")]),
    ],
)
def test_lines_come_with_their_byte_offsets(data, lines):
    assert list(text_block(data).lines()) == lines


def test_text_is_all_lines_at_once():
    assert text_block(b"a\nb\n").text() == "a\nb\n"


def test_invalid_bytes_survive_by_default():
    assert text_block(b"a\xff\n").text().encode("utf-8", "surrogateescape") == b"a\xff\n"


@pytest.mark.parametrize("read", [mr.TextBlock.text, lambda block: list(block.lines())])
def test_strict_decoding_names_file_and_offset(read):
    with pytest.raises(mr.BadRecord, match=r"a\.txt: byte 103 is not valid utf-8"):
        read(text_block(b"ab\n\xff\n", errors="strict"))


def test_the_encoding_is_used():
    assert list(text_block(b"\xe9\n", encoding="latin-1").lines()) == [(100, "é")]
