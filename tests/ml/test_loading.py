"""Data from tables and from arrays gives the rows that are in them."""

import gzip
import inspect
import os
from types import SimpleNamespace

import numpy as np
import pytest

import minimr as mr
from minimr.errors import BadRecord
from ml import load_arrays, load_csv, load_file, load_libsvm, load_npy, loading
from ml.errors import ArgumentError
from ml.tables import suffix_of
from tests.ml.fakes import FakeCluster, FakeDataset

X = np.arange(30.0).reshape(10, 3)
Y = np.arange(10.0) / 7


def assert_loaded(data) -> None:
    features, labels = data.to_arrays()
    assert features.tobytes() == X.tobytes()
    assert labels.tobytes() == Y.tobytes()


@pytest.mark.parametrize("label", ["price", 0, -4])
def test_csv(tmp_path, label):
    rows = "".join(
        f"{y!r},{a},{b},{c}\n" for y, (a, b, c) in zip(Y.tolist(), X.tolist(), strict=True)
    )
    (tmp_path / "a.csv").write_text("price,a,b,c\n" + rows)
    assert_loaded(load_csv(tmp_path / "a.csv", label=label, partitions=3, cluster=FakeCluster()))


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([Y, X]))
    assert_loaded(load_npy(tmp_path / "a.npy", label=0, partitions=3, cluster=FakeCluster()))


@pytest.mark.parametrize("load", [load_libsvm, load_csv, load_npy, load_file, load_arrays])
def test_rows_are_cut_into_eight_partitions_as_a_seed_supposes(load):
    assert inspect.signature(load).parameters["partitions"].default == 8


def test_a_directory_is_what_all_its_files_are(tmp_path):
    for number, rows in enumerate((slice(0, 4), slice(4, 10))):
        np.save(tmp_path / f"{number}.npy", np.column_stack([X[rows], Y[rows]]))
    for skipped in ("_SUCCESS", ".hidden.csv"):
        (tmp_path / skipped).write_text("")
    (tmp_path / "inside.csv").mkdir()
    assert_loaded(load_file(tmp_path, cluster=FakeCluster()))
    assert load_file(tmp_path, partitions=5, cluster=FakeCluster()).dataset.partitions == 5
    (tmp_path / "2.csv").write_text("1,2,3\n")
    assert suffix_of(tmp_path) == ""
    assert suffix_of(tmp_path / ".hidden.csv") == ".csv"
    assert suffix_of(tmp_path / "*.NPY") == ".npy"


def test_a_glob_is_what_all_its_files_are(tmp_path):
    rows = "".join(f"{a},{b},{c},{y}\n" for y, (a, b, c) in zip(Y, X, strict=True))
    (tmp_path / "part-0.csv").write_text(rows)
    for skipped in ("_part.csv", "part.txt"):
        (tmp_path / skipped).write_text("")
    assert_loaded(load_file(tmp_path / "part-*", cluster=FakeCluster()))
    assert suffix_of(tmp_path / "part*") == ""
    (tmp_path / "part[0].npy").touch()
    assert suffix_of(tmp_path / "part[0].npy") == ".npy"


def test_a_zipped_table_is_a_table(tmp_path):
    rows = "".join(f"{a},{b},{c},{y}\n" for y, (a, b, c) in zip(Y, X, strict=True))
    with gzip.open(tmp_path / "a.CSV.gz", "wt") as file:
        file.write(rows)
    assert_loaded(load_file(tmp_path / "a.CSV.gz", cluster=FakeCluster()))


def test_arrays():
    assert_loaded(load_arrays(X, Y, partitions=3, cluster=FakeCluster()))
    assert_loaded(load_arrays(X.tolist(), Y.tolist(), cluster=FakeCluster()))


@pytest.mark.parametrize(("features", "labels"), [(X, Y[:9]), (Y, Y), (X, X), (X[:, :0], Y)])
def test_arrays_of_other_shapes(features, labels):
    with pytest.raises(ArgumentError, match=r"X must be \(rows, features\) and y \(rows,\)"):
        load_arrays(features, labels, cluster=FakeCluster())


def test_arrays_with_nan():
    with pytest.raises(BadRecord, match="row 0"):
        load_arrays([[np.nan]], [1.0], cluster=FakeCluster())


@pytest.mark.slow
def test_workers_that_do_not_see_the_temporary_file_say_what_to_do(
    start_cluster, tmp_path, monkeypatch
):
    """A directory that has its name in this process alone, as on another machine."""
    handle = os.open(tmp_path, os.O_RDONLY)
    place = SimpleNamespace(name=f"/proc/self/fd/{handle}")
    monkeypatch.setattr(loading, "_array_files", lambda: place)
    with pytest.raises(mr.UsageError, match=r"file system that they share.* load_npy"):
        load_arrays(X, Y, cluster=start_cluster("2-workers"))
    os.close(handle)


def test_arrays_that_are_brought_for_a_while_leave_no_file(tmp_path, monkeypatch):
    files_at_close = []
    monkeypatch.setattr(loading, "_array_files", lambda: SimpleNamespace(name=tmp_path))
    monkeypatch.setattr(mr, "default_cluster", FakeCluster)
    monkeypatch.setattr(
        FakeDataset, "close", lambda self: files_at_close.extend(tmp_path.iterdir())
    )
    with loading.arrays_at_the_workers(X, Y, 2) as data:
        assert_loaded(data)
    assert len(files_at_close) == 1
    assert not list(tmp_path.iterdir())


def test_arrays_that_cannot_be_brought_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_array_files", lambda: SimpleNamespace(name=tmp_path))
    monkeypatch.setattr(mr, "default_cluster", FakeCluster)
    with pytest.raises(BadRecord), loading.arrays_at_the_workers(X, np.nan * Y, 2):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        ([[1.0], [2.0]], ["yes", "no"], "y must be an array of real numbers.*DescentClassifier"),
        ([["a"]], [1.0], "X must be an array of real numbers, and is none$"),
        ([[1.0], [2.0, 3.0]], [1.0, 2.0], "X must be an array of real numbers"),
        (np.array([[1j]]), [1.0], "X must be an array of real numbers"),
        (np.ma.masked_less([[1.0]], 2), [1.0], "what is masked is missing"),
        (np.array([["NaT"]], "M8[D]"), [1.0], "dates and times are no numbers"),
        ([[1.0]], [10**400], "a whole number is too large for a float; scale it down"),
    ],
)
def test_arrays_that_are_no_numbers(features, labels, said):
    with pytest.raises(ArgumentError, match=said):
        load_arrays(features, labels, cluster=FakeCluster())


def test_sparse_matrices_do_not_travel():
    sparse = SimpleNamespace(toarray=lambda: X)
    with pytest.raises(ArgumentError, match=r"sparse matrices are not taken: pass X.toarray\(\)"):
        load_arrays(sparse, Y, cluster=FakeCluster())


def test_tables_of_different_widths(tmp_path, monkeypatch):
    """In libsvm the columns that a file lacks are zeros; a table that lacks some is another one."""
    closed = []
    monkeypatch.setattr(FakeDataset, "close", lambda self: closed.append(self))
    (tmp_path / "1.csv").write_text("a,b,y\n1,2,3\n")
    (tmp_path / "2.csv").write_text("a,y\n4,5\n")
    both = tmp_path / "*.csv"
    with pytest.raises(mr.UsageError, match="different numbers of columns, 1 to 2 beside"):
        load_csv(both, cluster=FakeCluster())
    assert closed, "nobody can use what is refused"
    (tmp_path / "2.csv").write_text("a,y\n")
    assert load_csv(both, cluster=FakeCluster()).count() == 1
