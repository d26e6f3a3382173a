"""Model files that cannot be read or written: one clear line each."""

import json
from pathlib import Path

import numpy as np
import pytest

import minimr as mr
from ml import (
    ClassificationModel,
    Linear,
    LinearRegressionModel,
    MultilayerPerceptron,
    Trained,
    load_model,
)
from ml.model_file import FORMAT, read_model, write_model

PARAMETERS = np.array([0.1, -0.0, 1 / 3, 5e-324, 1.7976931348623157e308, -2.0])

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


MODELS = [
    LinearRegressionModel(PARAMETERS[:2], -0.0, [2.5, 1 / 3]),
    ClassificationModel("hinge", PARAMETERS[:2], 1e-310, [0.1], threshold=0.25),
    Trained(Linear("softmax", classes=3, intercept=True), 1, PARAMETERS, [1.0], 7, True),
    Trained(MultilayerPerceptron((1,), "huber"), 3, PARAMETERS, []),
    LinearRegressionModel(PARAMETERS[:2], 0.0, [], ["a", ""]),
    ClassificationModel("hinge", PARAMETERS[:2], 0.0, [], 0.0, ["a", "\u00e4"]),
    Trained(Linear(), 2, PARAMETERS[:2], feature_names=["a", "a"]),
]


@pytest.mark.parametrize("name", ["model.json", "model.npz", "MODEL.NPZ"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model.model).__name__)
def test_every_model_comes_back_to_the_same_bytes(tmp_path, model, name):
    path = tmp_path / name
    model.save(path)
    found = load_model(path)
    assert type(found) is type(model)
    assert found.parameters.tobytes() == model.parameters.tobytes()
    assert (found.model, found.loss_history) == (model.model, model.loss_history)
    assert found.feature_names == model.feature_names
    saved = path.read_bytes()
    found.save(path)
    assert path.read_bytes() == saved
    assert (saved[:2] == b"PK") == (name != "model.json")


@pytest.mark.parametrize("names", ["ab", ["a"], ["a", "b", "c"], ["a", 1], None])
@pytest.mark.parametrize("model", MODELS[-3:], ids=lambda model: type(model).__name__)
def test_names_that_are_not_those_of_the_features(tmp_path, model, names):
    path = tmp_path / "model.json"
    model.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "feature_names": names}))
    told = "model.json is damaged: 'feature_names' are not the names of 2 features"
    with pytest.raises(mr.UsageError, match=told):
        load_model(path)


def test_arrays_are_for_numpy_to_read_without_us(tmp_path):
    MODELS[2].save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as entries:
        assert entries["parameters"].tobytes() == PARAMETERS.tobytes()
        assert json.loads(bytes(entries["fields"]))["version"] == 1


@pytest.mark.parametrize("name", ["model.json", "model.npz"])
def test_what_is_not_finite_is_not_saved(tmp_path, name):
    with pytest.raises(mr.UsageError, match="holds NaN or infinity cannot be saved"):
        LinearRegressionModel(np.array([np.inf]), 0.0).save(tmp_path / name)
    with pytest.raises(mr.UsageError, match="holds NaN or infinity cannot be saved"):
        LinearRegressionModel(np.array([1.0]), np.nan).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_damaged_arrays_are_refused_or_harmless(tmp_path):
    """Any byte may be another, and the end may be missing."""
    path = tmp_path / "model.npz"
    MODELS[2].save(path)
    whole = path.read_bytes()
    damaged = [whole[:place] for place in range(0, len(whole), 97)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        for place in range(0, len(whole), 11)
    ]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            found = Trained.load(path)
        except mr.UsageError:
            refused += 1
        else:
            assert found.parameters.tobytes() == PARAMETERS.tobytes()
    assert refused > len(damaged) / 2


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "is damaged, or no .npz"),
        ({"fields": np.zeros(3, np.uint8)}, "is damaged, or no .npz"),
        ({"fields": np.frombuffer(b"[1]", np.uint8)}, "is damaged, or no .npz"),
        ({"fields": np.frombuffer(b"{}", np.uint8)}, "its format is not named"),
        ({"weights": np.array([[1.0]])}, "'weights' is not a list of finite numbers"),
        ({"weights": np.array([np.nan])}, "'weights' is not a list of finite numbers"),
        ({"weights": np.array(["1"])}, "'weights' is not a list of finite numbers"),
        ({"weights": np.array([{}], dtype=object)}, "is damaged, or no .npz"),
    ],
)
def test_arrays_that_are_no_model(tmp_path, entries, said):
    fields = {"format": FORMAT, "version": 1, "intercept": 0, "loss_history": []}
    rest = {"fields": np.frombuffer(json.dumps(fields).encode(), np.uint8)} if entries else {}
    np.savez(tmp_path / "model.npz", **{**rest, **entries})
    with pytest.raises(mr.UsageError, match=f"model.npz .*{said}"):
        read_model(tmp_path / "model.npz")


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


@pytest.mark.parametrize("name", ["model.json", "model.npz"])
def test_a_device_is_written_to_and_not_replaced(tmp_path, name):
    """With the rights of root, /dev/null itself would become a model."""
    path = tmp_path / name
    path.symlink_to("/dev/full")
    with pytest.raises(mr.UsageError, match=r"Cannot write the model to .*No space left"):
        write_model(path, {})
    path.unlink()
    path.symlink_to("/dev/null")
    write_model(path, {})
    assert path.is_symlink()


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_ctrl_c_leaves_no_half_of_a_file(tmp_path, monkeypatch, step):
    def interrupted(*_):
        raise KeyboardInterrupt

    if step == "replace":
        monkeypatch.setattr(Path, "replace", interrupted)
    else:
        monkeypatch.setattr(Path, "write_bytes", lambda path, _: interrupted(path.touch()))
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path / "model.json", {})
    assert list(tmp_path.iterdir()) == []
