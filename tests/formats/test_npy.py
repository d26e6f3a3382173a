"""Matrices from .npy files, cut anywhere."""

import numpy as np
import pytest

from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats.npy import read_npy
from minimr.formats.splits import Split, plan_splits


@pytest.fixture
def saved(tmp_path):
    def save(array) -> Split:
        path = tmp_path / "data.npy"
        np.save(path, array)
        return Split(str(path), 0, path.stat().st_size, 0)

    return save


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1", "?", ">f8"])
@pytest.mark.parametrize(("label", "column"), [("", 2), ("0", 0), ("-2", 1)])
def test_features_and_labels(saved, dtype, label, column):
    matrix = np.arange(12).reshape(4, 3).astype(dtype)
    block = read_npy(saved(matrix), label)
    assert block["X"].tolist() == np.delete(matrix, column, axis=1).tolist()
    assert block["y"].tolist() == matrix[:, column].tolist()
    assert (block["X"].dtype, block["y"].dtype) == (np.float64, np.float64)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 50])
def test_splits_own_the_rows_that_start_in_them(saved, pieces):
    matrix = np.random.default_rng(0).standard_normal((60, 3))
    splits = plan_splits([saved(matrix).path], minimum=pieces)
    blocks = [read_npy(split) for split in splits]
    assert len(blocks) == pieces
    assert np.concatenate([block["X"] for block in blocks]).tobytes() == matrix[:, :2].tobytes()


def test_rows_are_read_in_pieces_and_the_bad_one_is_found(saved, monkeypatch):
    monkeypatch.setattr("minimr.block.PIECE_BYTES", 1000)
    monkeypatch.setattr("minimr.block.PIECE_ROWS_MIN", 3)
    matrix = np.random.default_rng(0).standard_normal((200, 5))
    whole = saved(matrix)
    split = Split(whole.path, whole.length - 100 * 40, 100 * 40, 0)
    assert [len(piece) for piece in read_npy(split).pieces()] == [25, 25, 25, 25]
    assert read_npy(split)["y"].tobytes() == matrix[100:, 4].tobytes()
    matrix[[150, 170], [4, 0]] = np.inf
    saved(matrix)
    with pytest.raises(BadRecord, match=r"row 150 \(counted from 0\)"):
        _ = read_npy(split).columns


def test_a_row_belongs_to_the_split_in_which_its_first_byte_lies(saved):
    whole = saved(np.arange(8.0).reshape(4, 2))
    second_row = whole.length - 3 * 16
    for offset, labels in ((second_row, [3, 5, 7]), (second_row + 1, [5, 7])):
        split = Split(whole.path, offset, whole.length - offset, 0)
        assert read_npy(split)["y"].tolist() == labels


def test_no_rows(saved):
    assert read_npy(saved(np.zeros((0, 3))))["X"].shape == (0, 2)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(5), BadRecord, "not one matrix of real numbers"),
        (np.zeros((2, 2), complex), BadRecord, "not one matrix of real numbers"),
        (np.zeros((3, 4)).T, BadRecord, "column by column"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), BadRecord, r"row 1 \(counted from 0\)"),
        (np.zeros((2, 1)), UsageError, "1 columns"),
    ],
)
def test_what_is_no_table_is_refused(saved, array, error, message):
    with pytest.raises(error, match=message):
        _ = read_npy(saved(array)).columns


@pytest.mark.parametrize("label", ["2", "-3", "price"])
def test_no_such_column(saved, label):
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        read_npy(saved(np.zeros((2, 2))), label)


def test_other_files(tmp_path):
    path = tmp_path / "data.npy"
    with pytest.raises(MinimrError, match="Cannot read the input"):
        read_npy(Split(str(path), 0, 1, 0))
    np.save(path, np.zeros((4, 3)))
    for content in (b"1 1:2\n" * 40, path.read_bytes()[:-10], b""):
        path.write_bytes(content)
        with pytest.raises(BadRecord, match=r"data\.npy is not a whole \.npy file of numbers; wri"):
            read_npy(Split(str(path), 0, 240, 0))
