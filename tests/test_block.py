import numpy as np
import pytest

import minimr as mr
from minimr import block as blocks
from minimr.block import PiecewiseBlock


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


@pytest.mark.parametrize(("rows", "lengths"), [(0, [0]), (3, [3]), (4, [4]), (9, [4, 4, 1])])
def test_pieces_are_all_rows_in_order(monkeypatch, rows, lengths):
    monkeypatch.setattr(blocks, "PIECE_ROWS_MIN", 2)
    monkeypatch.setattr(blocks, "PIECE_BYTES", 4 * 24)
    numbered = mr.Block({"X": np.arange(2.0 * rows).reshape(rows, 2), "y": np.arange(rows)})
    pieces = list(numbered.pieces())
    assert [len(piece) for piece in pieces] == lengths
    assert np.concatenate([piece["X"] for piece in pieces]).tolist() == numbered["X"].tolist()
    assert np.concatenate([piece["y"] for piece in pieces]).tolist() == list(range(rows))


def test_wide_rows_come_many_at_a_time():
    pieces = mr.Block({"X": np.zeros((1500, 10_000), "i1")}).pieces()
    assert [len(piece) for piece in pieces] == [512, 512, 476]


def test_by_pieces_calls_the_function_when_rows_are_asked_for():
    sizes = []

    def halved(piece):
        sizes.append(len(piece))
        return mr.Block({"half": piece["X"] / 2, "y": piece["y"]})

    made = block().by_pieces(halved)
    assert (len(made), sizes) == (3, [])
    assert repr(made) == "Block(half: float64[3, 2], y: int64[3])"
    assert made["half"].tolist() == [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]
    assert made.take([1])["y"].tolist() == [20]
    assert sizes == [3]
    again = made.by_pieces(lambda piece: mr.Block({"y": piece["y"] + 1}))
    assert again["y"].tolist() == [11, 21, 31]


@pytest.mark.parametrize(
    "odd",
    [
        mr.Block({"X": np.zeros((1, 2), "f4"), "y": [1]}),
        mr.Block({"X": np.zeros((1, 3)), "y": [1]}),
        mr.Block({"y": [1]}),
    ],
    ids=["dtype", "width", "columns"],
)
def test_pieces_must_be_alike(odd):
    with pytest.raises(mr.UsageError, match="pieces of a block must be alike"):
        _ = PiecewiseBlock(4, lambda: iter([block(), odd])).columns


@pytest.mark.parametrize("rows", [2, 4])
def test_pieces_must_have_the_rows_that_were_promised(rows):
    with pytest.raises(mr.UsageError, match=f"have 3 rows in place of {rows}"):
        list(PiecewiseBlock(rows, lambda: iter([block()])).pieces())


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
