"""Csv files whose columns are not the same."""

import gzip

import pytest

import minimr as mr
from ml import (
    DescentClassifier,
    DescentRegressor,
    Linear,
    LinearRegressionWithSGD,
    LogisticRegressionWithSGD,
    StandardScaler,
    evaluate,
    evaluate_classes,
    evaluate_ranking,
    load_csv,
    load_file,
    train,
)
from ml.errors import ArgumentError
from ml.tables import check_same_names, feature_names
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


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("-1", ["a", "b"]),
        ("0", ["b", "y"]),
        ("a", ["b", "y"]),
        ("b", ["a", "y"]),
        ("-2", ["a", "y"]),
    ],
)
def test_the_features_are_called_as_the_first_file_with_names_says(tmp_path, label, names):
    (tmp_path / "1.csv").write_text("1,2,3\n")
    (tmp_path / "2.csv").write_text("a,b,y\n1,2,3\n")
    assert feature_names(tmp_path.iterdir(), label) == names


def test_a_number_that_is_the_name_of_a_column_names_it(tmp_path):
    (tmp_path / "years.csv").write_text("place,0,1\n")
    assert feature_names([tmp_path / "years.csv"], "0") == ["place", "1"]


@pytest.mark.parametrize("content", ["1,2,3\n", ""])
def test_without_a_header_there_are_no_names(tmp_path, content):
    (tmp_path / "1.csv").write_text(content)
    assert feature_names([tmp_path / "1.csv", tmp_path / "missing.csv"], "-1") == []


@pytest.fixture
def tables(tmp_path):
    """The same rows, with their columns in the order a, b and in the order b, a."""
    (tmp_path / "ab.csv").write_text("a,b,y\n1,2,0\n2,4,1\n3,5,1\n")
    (tmp_path / "ba.csv").write_text("b,a,y\n2,1,0\n4,2,1\n5,3,1\n")
    return tmp_path


OTHER_ORDER = "feature 0 of the rows is 'b', where the model has 'a': give the same columns"


@pytest.mark.parametrize(
    "trained_on",
    [
        lambda data: train(Linear(), data, step=0.01, iterations=2),
        lambda data: LinearRegressionWithSGD.train(data, 2, 0.01),
        lambda data: LogisticRegressionWithSGD.train(data, 2, 0.01),
    ],
)
def test_a_model_refuses_rows_whose_columns_have_another_order(tables, trained_on):
    """The numbers of each feature were multiplied by the weight of the other."""
    right, wrong = (load_csv(tables / name, cluster=FakeCluster()) for name in ("ab.csv", "ba.csv"))
    model = trained_on(right)
    assert model.feature_names == ["a", "b"]
    for part in (right.random_split([1, 1], seed=1)[0], right.as_float32()):
        model.predict(part)
    for rows in (wrong, wrong.as_float32(), *wrong.random_split([1, 1])):
        with pytest.raises(ArgumentError, match=OTHER_ORDER):
            model.predict(rows)


@pytest.mark.parametrize(
    ("loss", "figures"),
    [("squared", evaluate), ("logistic", evaluate_classes), ("logistic", evaluate_ranking)],
)
def test_the_figures_of_a_model_need_its_columns(tables, loss, figures):
    right, wrong = (load_csv(tables / name, cluster=FakeCluster()) for name in ("ab.csv", "ba.csv"))
    model = train(Linear(loss), right, step=0.01, iterations=2)
    figures(model, right)
    with pytest.raises(ArgumentError, match=OTHER_ORDER):
        figures(model, wrong)


def test_scaled_rows_keep_their_names(tables):
    data = load_csv(tables / "ab.csv", cluster=FakeCluster())
    assert StandardScaler().fit(data).transform(data).feature_names == ["a", "b"]


def test_rows_without_names_are_taken_as_they_are(tables):
    (tables / "none.csv").write_text("1,2,0\n")
    (tables / "none.libsvm").write_text("0 1:1\n")
    model = train(Linear(), load_csv(tables / "ab.csv", cluster=FakeCluster()), iterations=1)
    for name in ("none.csv", "none.libsvm"):
        assert len(model.predict(load_file(tables / name, cluster=FakeCluster()))) == 1


def test_names_cannot_miss_as_features_of_libsvm_text_can(tables):
    (tables / "a.csv").write_text("a,y\n1,0\n")
    model = train(Linear(), load_csv(tables / "ab.csv", cluster=FakeCluster()), iterations=1)
    with pytest.raises(ArgumentError, match="the rows have 1 feature, but the model has 2"):
        model.predict(load_csv(tables / "a.csv", cluster=FakeCluster()))


@pytest.mark.parametrize("kind", [DescentRegressor, DescentClassifier])
def test_an_estimator_does_not_go_on_with_columns_in_another_order(tables, kind):
    right, wrong = (load_csv(tables / name, cluster=FakeCluster()) for name in ("ab.csv", "ba.csv"))
    estimator = kind(iterations=2, warm_start=True).fit(right)
    with pytest.raises(ArgumentError, match=OTHER_ORDER):
        estimator.fit(wrong)
    with pytest.raises(ArgumentError, match=OTHER_ORDER):
        estimator.predict(wrong)
    assert estimator.feature_names_in_.tolist() == estimator.trained_.feature_names == ["a", "b"]
