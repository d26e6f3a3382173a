"""`minimr predict` and `minimr evaluate`, for the models of every `minimr train`."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml import ClassificationModel, Linear, Trained
from tests.cli.conftest import Minimr


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Label 1 where the first feature is above the second, with one exception."""
    path = tmp_path / "data.libsvm"
    path.write_text("1 1:2\n0 2:2\n1 1:3 2:1\n0 1:4 2:1\n")
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A logistic model whose border is where both features are equal."""
    path = tmp_path / "model.json"
    Trained(Linear("logistic"), 2, np.array([1.0, -1.0]), [0.7, 0.5]).save(path)
    return str(path)


def test_classes_and_how_many_are_right(minimr: Minimr, model: str, data: str) -> None:
    result = minimr("predict", model, data)
    assert result.stdout.split() == ["1.0", "0.0", "1.0", "1.0"]
    assert result.stderr == "4 rows, accuracy 0.7500\n"


def test_one_row_is_told_as_one(minimr: Minimr, model: str, tmp_path: Path) -> None:
    path = tmp_path / "narrow.libsvm"
    path.write_text("1 1:2\n")
    warning = "minimr: warning: the rows have 1 feature, and the model has 2; those that are"
    warned, told = minimr("predict", model, path).stderr.splitlines()
    assert (warned[: len(warning)], told) == (warning, "1 row, accuracy 1.0000")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_columns_in_another_order_are_refused(minimr: Minimr, tmp_path: Path, command: str) -> None:
    (tmp_path / "ab.csv").write_text("a,b,y\n1,2,0\n2,4,1\n3,5,1\n")
    (tmp_path / "ba.csv").write_text("b,a,y\n2,1,0\n4,2,1\n5,3,1\n")
    model = tmp_path / "model.json"
    minimr("train", "linear", tmp_path / "ab.csv", "--step", "0.01", "--model", model)
    minimr(command, model, tmp_path / "ab.csv")
    result = minimr(command, model, tmp_path / "ba.csv")
    assert result.exit_code == 2
    assert "feature 0 of the rows is 'b', where the model has 'a'" in result.stderr


def test_the_figures_of_a_classification(minimr: Minimr, model: str, data: str) -> None:
    figures = json.loads(minimr("evaluate", model, data, "--json").stdout)
    assert figures["rows"] == 4
    assert figures["accuracy"] == 0.75
    assert figures["weightedPrecision"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["weightedFMeasure"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert figures["areaUnderROC"] == 0.5 * (0.5 * 0 + 1)
    lines = minimr("evaluate", model, data).stdout.splitlines()
    assert lines[2].split() == ["accuracy", "0.75"]


def test_the_figures_of_a_regression(minimr: Minimr, tmp_path: Path, data: str) -> None:
    path = tmp_path / "linear.json"
    minimr("train", "linear", data, "--step", "0.1", "--model", path)
    [_, rows, *_, r2] = minimr("evaluate", path, data).stdout.splitlines()
    figures = json.loads(minimr("evaluate", path, data, "--json").stdout)
    assert (rows.split(), r2.split()) == (["rows", "4"], ["r2", f"{figures['r2']:.6g}"])
    assert json.loads(minimr("predict", path, data, "--json").stdout)["metrics"] == figures


def test_mllib_s_classifier_keeps_its_threshold(minimr: Minimr, tmp_path: Path, data: str) -> None:
    path = tmp_path / "model.json"
    ClassificationModel("logistic", np.array([1.0, -1.0]), 0.0, threshold=0.94).save(path)
    assert minimr("predict", path, data).stdout.split() == ["0.0", "0.0", "0.0", "1.0"]
    assert json.loads(minimr("evaluate", path, data, "--json").stdout)["accuracy"] == 0.25


def test_rows_of_one_class_have_no_curves(minimr: Minimr, model: str, tmp_path: Path) -> None:
    path = tmp_path / "ones.libsvm"
    path.write_text("1 1:1\n1 2:1\n")
    figures = json.loads(minimr("evaluate", model, path, "--json").stdout)
    named = ("rows", "accuracy", "weightedPrecision", "weightedFMeasure", "confusionMatrix")
    assert tuple(figures) == named


def test_which_class_is_taken_for_which(minimr: Minimr, model: str, data: str) -> None:
    counts = json.loads(minimr("evaluate", model, data, "--json").stdout)["confusionMatrix"]
    assert counts == [[1, 1], [0, 2]]
    table = minimr("evaluate", model, data).stdout.splitlines()[-3:]
    assert [line.split() for line in table] == [
        ["called", "0", "called", "1"],
        ["rows", "of", "class", "0", "1", "1"],
        ["rows", "of", "class", "1", "0", "2"],
    ]


def test_the_largest_table_of_classes_fits_a_terminal(minimr: Minimr, tmp_path: Path) -> None:
    path, data = tmp_path / "seven.npz", tmp_path / "rows.libsvm"
    Trained(Linear("softmax", classes=7), 1, np.arange(7.0)).save(path)
    data.write_text("".join(f"{label} 1:1\n" for label in range(7)))
    table = minimr("evaluate", path, data).stdout.splitlines()[-8:]
    assert {len(line) for line in table} == {79}


def test_many_classes_are_counted_in_json_alone(minimr: Minimr, tmp_path: Path, data: str) -> None:
    path = tmp_path / "many.npz"
    Trained(Linear("softmax", classes=8), 2, np.arange(16.0)).save(path)
    assert minimr("evaluate", path, data).stdout.splitlines()[-1] == (
        "which of 8 classes is taken for which: see --json"
    )
    counts = json.loads(minimr("evaluate", path, data, "--json").stdout)["confusionMatrix"]
    assert (counts[0][7], counts[1][7]) == (2, 2)


def test_a_regression_of_equal_labels_is_json_still(minimr: Minimr, tmp_path: Path) -> None:
    """Their r2 is minus infinity, which JSON has no word for."""
    equal, path = tmp_path / "equal.libsvm", tmp_path / "model.json"
    equal.write_text("2 1:1\n2 1:2\n")
    Trained(Linear(), 1, np.array([1.0])).save(path)
    assert json.loads(minimr("evaluate", path, equal, "--json").stdout)["r2"] is None
    assert json.loads(minimr("predict", path, equal, "--json").stdout)["metrics"]["r2"] is None


def test_predictions_that_overflow_are_json_still(minimr: Minimr, tmp_path: Path) -> None:
    """As counts are that a Poisson model expects where a feature is too large."""
    rows, path = tmp_path / "rows.libsvm", tmp_path / "model.json"
    rows.write_text("2 1:800\n1 1:0\n")
    Trained(Linear("poisson"), 1, np.array([1.0])).save(path)
    assert minimr("predict", path, rows).stdout.split() == ["inf", "1.0"]
    found = json.loads(minimr("predict", path, rows, "--json").stdout, parse_constant=pytest.fail)
    assert found["predictions"] == [None, 1.0]
    assert found["metrics"]["meanSquaredError"] is None


def test_labels_of_another_kind(minimr: Minimr, model: str, tmp_path: Path) -> None:
    """Rows without labels of their own can be predicted, not measured."""
    path = tmp_path / "numbers.libsvm"
    path.write_text("7.5 1:1\n-2 2:1\n")
    result = minimr("predict", model, path)
    assert result.stdout.split() == ["1.0", "0.0"]
    assert "nothing is measured: the labels of the logistic loss must be 0 or 1" in result.stderr
    assert minimr("evaluate", model, path).exit_code == 2


def test_data_of_other_dimensions(minimr: Minimr, model: str, tmp_path: Path) -> None:
    wide, narrow = tmp_path / "wide.libsvm", tmp_path / "narrow.libsvm"
    wide.write_text("1 1:1 5:1\n")
    narrow.write_text("1 1:1\n")
    for command in ("predict", "evaluate"):
        result = minimr(command, model, wide)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "the rows have 5 features, but the model has 2: give rows" in result.stderr
    result = minimr("predict", model, narrow)
    assert result.stdout == "1.0\n"
    assert "those that are missing count as zeros" in result.stderr


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_table_without_labels(minimr: Minimr, model: str, tmp_path: Path, command: str) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    result = minimr(command, model, table)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the rows have 1 feature, and the model has 2: the last column" in result.stderr
    assert "any numbers in that one" in result.stderr


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("name", ["empty.csv", "empty.libsvm"])
def test_data_without_a_row(
    minimr: Minimr, model: str, tmp_path: Path, command: str, name: str
) -> None:
    """It is not said to lack features."""
    (tmp_path / name).touch()
    result = minimr(command, model, str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"minimr: {tmp_path / name} is empty: there is no row in it\n"


def test_an_npz_that_is_none(minimr: Minimr, data: str, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_text("not one")
    for command in ("predict", "evaluate"):
        result = minimr(command, path, data)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "model.npz is not a model: it is damaged, or no .npz" in result.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "has version 2 of the model format, but this minimr reads version 1"),
        ({"format": "minimr scaler"}, "is not a model: its format is none of"),
        ({"parameters": [1.0]}, "the model has 2 parameters, but the file holds 1"),
    ],
)
def test_a_model_file_that_does_not_fit(
    minimr: Minimr, model: str, data: str, change: dict[str, object], said: str
) -> None:
    path = Path(model)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    for command in ("predict", "evaluate"):
        result = minimr(command, model, data)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr


def test_evaluate_has_either_workers_of_its_own_or_a_cluster(minimr: Minimr, data: str) -> None:
    result = minimr("evaluate", "model.json", data, "--address", "c.json", "--workers", "2")
    assert result.exit_code == 2
    assert "not both" in result.stderr


@pytest.mark.parametrize("label", ["price", "1", "-2"])
def test_the_labels_of_a_table_may_be_in_any_column(
    minimr: Minimr, tmp_path: Path, label: str
) -> None:
    """price = size + 2 age."""
    table, path = tmp_path / "homes.csv", tmp_path / "model.json"
    table.write_text("size,price,age\n2,4,1\n0,4,2\n3,7,2\n4,4,0\n")
    train = (
        "train",
        "linear",
        table,
        "--label",
        label,
        "--strategy",
        "gram",
        "--schedule",
        "constant",
    )
    train += ("--step", "0.2")
    weights = json.loads(minimr(*train, "--model", path, "--json").stdout)["parameters"]
    assert weights == pytest.approx([1, 2], abs=1e-3)
    told = minimr("predict", path, table, "--label", label)
    assert [round(float(each), 2) for each in told.stdout.split()] == [4, 4, 7, 4]
    assert (
        json.loads(minimr("evaluate", path, table, f"--label={label}", "--json").stdout)["r2"]
        > 0.99
    )
    forgotten = minimr("evaluate", path, table)
    assert (forgotten.exit_code, forgotten.stdout) == (2, "")
    assert "feature 1 of the rows is 'price', where the model has 'age'" in forgotten.stderr


def test_what_has_no_such_column_of_labels(
    minimr: Minimr, model: str, data: str, tmp_path: Path
) -> None:
    for command in (("train", "linear"), ("compare",), ("predict", model)):
        refused = minimr(*command, data, "--label", "1")
        assert refused.exit_code == 2
        assert "--label is for .csv and .npy" in refused.stderr
    table = tmp_path / "homes.csv"
    table.write_text("size,price\n2,2\n")
    refused = minimr("compare", table, "--label", "cost")
    assert refused.exit_code == 2
    assert "has no column 'cost' for the labels; it has 2 columns: size, price" in refused.stderr
