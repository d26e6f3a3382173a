"""Data from tables and from arrays gives the rows that are in them."""

import numpy as np
import pytest

from minimr.errors import BadRecord
from ml import load_arrays, load_csv, load_npy
from ml.errors import ArgumentError
from tests.ml.fakes import FakeCluster

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
