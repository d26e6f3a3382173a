"""Csv files whose columns are not the same."""

import gzip

import pytest

import minimr as mr
from ml import load_csv
from ml.tables import check_same_names
from tests.ml.fakes import FakeCluster


def test_another_order_of_columns_is_refused(tmp_path):
    """The features of the second file were taken for each other, and a model was trained of it."""
    (tmp_path / "1.csv").write_text("a,b,y\n1,2,3\n")
    (tmp_path / "2.csv").write_text("b,a,y\n2,1,3\n")
    told = r"column 0 is 'a' in .*1\.csv and 'b' in .*2\.csv: give files with the same columns"
    with pytest.raises(mr.UsageError, match=told):
        load_csv(tmp_path / "*.csv", cluster=FakeCluster())
    assert load_csv(tmp_path / "2.csv", cluster=FakeCluster()).count() == 1


@pytest.mark.parametrize(
    "other",
    [
        b"a,b,y\n",
        b'\xef\xbb\xbf"a" , b,y\r\n1,2,3\r\n',
        b'a, "b", "y"\n1,2,3\n',
        b"\n\na,b,y\n1,2,3\n",
        b"1,2,3\n",
        b"a,y\n1,2\n",
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_what_does_not_contradict_is_let_pass(tmp_path, other):
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("a,b,y\n1,2,3\n")
    second.write_bytes(other)
    check_same_names([first, second, tmp_path / "missing.csv"])
    check_same_names([second, first])


def test_what_gzip_holds_is_looked_at(tmp_path):
    (tmp_path / "1.csv").write_text("a,b,y\n1,2,3\n")
    with gzip.open(tmp_path / "2.csv.gz", "wt") as file:
        file.write("b,a,y\n2,1,3\n")
    with pytest.raises(mr.UsageError, match="column 0 is 'a'"):
        check_same_names(tmp_path.iterdir())


def test_what_gzip_cannot_unpack_is_told_by_whoever_loads_it(tmp_path):
    (tmp_path / "1.csv").write_text("a,b,y\n1,2,3\n")
    packed = gzip.compress(b"a,b,y\n1,2,3\n")
    (tmp_path / "2.csv.gz").write_bytes(packed[:10] + b"\xff" * 8 + packed[18:])
    check_same_names(tmp_path.iterdir())
