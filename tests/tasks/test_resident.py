import errno
from itertools import pairwise

import numpy as np
import pytest

import minimr as mr
from minimr.block import PiecewiseBlock
from minimr.errors import BadRecord, CorruptData
from minimr.shuffle import codec
from minimr.shuffle.pairs import encode_pairs
from minimr.tasks import resident
from minimr.tasks.resident import open_resident, store_block, store_pairs


def test_a_block_is_mapped_not_read(tmp_path):
    path = tmp_path / "partition"
    size_bytes = store_block(path, mr.Block({"X": np.eye(3), "n": np.arange(3, dtype="i4")}))
    block = open_resident(str(path)).block
    assert size_bytes == path.stat().st_size
    assert block["X"].tolist() == np.eye(3).tolist()
    assert block["n"].dtype == np.int32
    assert not block["X"].flags.writeable
    assert block["X"].flags.aligned


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 0), (7, 1), (1, 7), (2000, 37), (9, 64)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_matrices_of_short_rows_are_laid_down_column_by_column(tmp_path, shape, order, dtype):
    matrix = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order)
    store_block(tmp_path / "partition", mr.Block({"X": matrix, "rows": np.arange(shape[0])}))
    found = open_resident(str(tmp_path / "partition")).block
    short = shape[1] * matrix.itemsize < 512
    assert found["X"].flags.f_contiguous if short else found["X"].flags.c_contiguous
    assert (found["X"].dtype, found["X"].shape) == (matrix.dtype, shape)
    assert found["X"].tolist() == matrix.tolist()
    assert found["rows"].tolist() == list(range(shape[0]))


@pytest.mark.parametrize("borders", [[0, 50], [0, 0, 1, 30, 49, 50], [0, 50, 50]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pieces_give_the_bytes_of_the_whole(tmp_path, borders, order):
    block = mr.Block(
        {
            "X": np.arange(350.0).reshape(50, 7).astype("f4", order),
            "narrow": np.arange(50).reshape(50, 1),
            "y": np.arange(100.0)[::2],
            "wide": np.arange(5000.0).reshape(50, 100).astype("f8", order),
            "cube": np.arange(300, dtype="i2").reshape(50, 2, 3),
        }
    )
    pieces = [
        mr.Block({name: column[first:stop] for name, column in block.columns.items()})
        for first, stop in pairwise(borders)
    ]
    paths = [tmp_path / "whole", tmp_path / "pieces"]
    sizes = [
        store_block(paths[0], block),
        store_block(paths[1], PiecewiseBlock(50, lambda: iter(pieces))),
    ]
    turned = {name: block[name].T for name in ("X", "narrow")}
    expected = codec.dumps({"turned": list(turned), "columns": block.columns | turned})
    assert [path.read_bytes() for path in paths] == [expected, expected]
    assert sizes == [len(expected)] * 2


def test_a_large_matrix_is_turned_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("minimr.block.PIECE_BYTES", 1000)
    monkeypatch.setattr("minimr.block.PIECE_ROWS_MIN", 3)
    matrix = np.random.default_rng(0).standard_normal((500, 7))
    store_block(tmp_path / "partition", mr.Block({"X": matrix, "y": matrix[:, 0]}))
    found = open_resident(str(tmp_path / "partition")).block
    assert (found["X"].tolist(), found["y"].tolist()) == (matrix.tolist(), matrix[:, 0].tolist())


def test_a_failure_between_pieces_leaves_nothing(tmp_path):
    def pieces():
        yield mr.Block({"X": np.zeros((2, 2))})
        raise BadRecord("row 2 is bad")

    with pytest.raises(BadRecord, match="row 2"):
        store_block(tmp_path / "partition", PiecewiseBlock(4, pieces))
    assert list(tmp_path.iterdir()) == []


def test_columns_of_more_dimensions_stay_as_they_are(tmp_path):
    cube = np.arange(24.0).reshape(2, 3, 4)
    store_block(tmp_path / "partition", mr.Block({"cube": cube}))
    found = open_resident(str(tmp_path / "partition")).block
    assert found["cube"].flags.c_contiguous
    assert found["cube"].tolist() == cube.tolist()


def test_pairs_come_back_each_time_they_are_asked_for(tmp_path):
    path = tmp_path / "partition"
    store_pairs(path, [encode_pairs([2, 1], ["b", "a"]), encode_pairs([3], [None])])
    opened = open_resident(str(path))
    assert list(opened.pairs()) == [(2, "b"), (1, "a"), (3, None)]
    assert list(opened.pairs()) == [(2, "b"), (1, "a"), (3, None)]


def test_opening_again_is_free_until_the_file_changes(tmp_path):
    path = tmp_path / "partition"
    store_block(path, mr.Block({"a": [1]}))
    first = open_resident(str(path))
    assert open_resident(str(path)) is first
    store_block(path, mr.Block({"a": [2, 3]}))
    assert open_resident(str(path)).block["a"].tolist() == [2, 3]
    assert first.block["a"].tolist() == [1]  # the old mapping stays whole


def test_the_cache_is_bounded(tmp_path):
    for number in range(resident.OPEN_MAX + 5):
        path = tmp_path / str(number)
        store_pairs(path, [])
        open_resident(str(path))
    assert len(resident._open) == resident.OPEN_MAX


@pytest.mark.parametrize("content", [b"", b"x", codec.dumps([1]), codec.dumps({"columns": 3})])
def test_files_that_are_no_partition_are_corrupt(tmp_path, content):
    path = tmp_path / "partition"
    path.write_bytes(content)
    with pytest.raises(CorruptData):
        open_resident(str(path))


def test_a_missing_partition_is_corrupt_so_that_it_is_made_again(tmp_path):
    with pytest.raises(CorruptData, match="cannot be read"):
        open_resident(str(tmp_path / "nowhere"))


def test_more_partitions_than_files_may_be_open_are_told_what_to_do(tmp_path, monkeypatch):
    """A member of a gang has all of its own open, and mostly 1,024 files may be."""

    def refused(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    path = tmp_path / "partition"
    store_block(path, mr.Block({"n": np.arange(3)}))
    monkeypatch.setattr(resident.mmap, "mmap", refused)
    with pytest.raises(CorruptData, match="load the data with fewer partitions, or raise ulimit"):
        open_resident(str(path))
