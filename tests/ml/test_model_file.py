"""Model files that cannot be read or written: one clear line each."""

import json

import pytest

import minimr as mr
from ml.model_file import FORMAT, read_model, write_model

GOOD = {"format": FORMAT, "version": 1, "weights": [1.0], "intercept": 0, "loss_history": []}


def test_a_good_file(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(GOOD))
    assert read_model(path)["weights"] == [1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON text"),
        ("{", "is not JSON text"),
        ("\udcff", "is not JSON text"),
        ("[1]", "is not a model"),
        ('{"a": 1}', "is not a model"),
        (json.dumps({**GOOD, "version": 2}), "has version 2 .* reads version 1"),
        (json.dumps({**GOOD, "weights": ["1"]}), "'weights' is not a list of finite numbers"),
        (json.dumps({**GOOD, "weights": [float("nan")]}), "'weights' is not a list of finite"),
        (json.dumps({**GOOD, "weights": [True]}), "'weights' is not a list of finite"),
        (json.dumps({**GOOD, "weights": {"a": 1}}), "'weights' is not a list of finite"),
        (json.dumps({**GOOD, "loss_history": None}), "'loss_history' is not a list"),
        (json.dumps({**GOOD, "intercept": None}), "'intercept' is not a finite number"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    path = tmp_path / "model.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(mr.UsageError, match=f"model.json .*{message}"):
        read_model(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(mr.UsageError, match=r"Cannot read the model .*No such file"):
        read_model(tmp_path / "model.json")


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(mr.UsageError, match=r"Cannot write the model to .*No such file"):
        write_model(tmp_path / "nowhere" / "model.json", {})
    (tmp_path / "directory").mkdir()
    with pytest.raises(mr.UsageError, match=r"Cannot write the model to .*directory"):
        write_model(tmp_path / "directory", {})
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]
