"""`minimr train` for every model and strategy but MLlib's linear regression."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from cli.progress import PlainProgress
from cli.train_options import FITTED_BY
from ml import Linear, MultilayerPerceptron, Trained, load_libsvm, train
from ml.losses import LOSSES
from ml.strategies import STRATEGIES
from tests.cli.conftest import Minimr
from tests.ml.fakes import FakeCluster

CURVE = re.compile(r'<polyline points="([^"]*)"')


@pytest.fixture
def classes(tmp_path: Path) -> str:
    """Sixty rows of three classes around three points, as libsvm."""
    return _written(tmp_path / "classes.libsvm", labels=3)


@pytest.fixture
def halves(tmp_path: Path) -> str:
    """Sixty rows of two classes."""
    return _written(tmp_path / "halves.libsvm", labels=2)


def _written(path: Path, labels: int) -> str:
    generator = np.random.default_rng(3)
    y = np.arange(60) % labels
    X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])[y] + generator.normal(size=(60, 2))
    rows = zip(y.tolist(), X.tolist(), strict=True)
    path.write_text("".join(f"{label} 1:{a!r} 2:{b!r}\n" for label, (a, b) in rows))
    return str(path)


def asked(minimr: Minimr, *arguments: str) -> dict[str, Any]:
    result = minimr("train", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("command", "model", "settings"),
    [
        ("linear --strategy sync --tolerance 0.1", Linear(), {"tolerance": 0.1}),
        ("linear --strategy sync --loss huber --intercept", Linear("huber", intercept=True), {}),
        ("logistic", Linear("logistic", intercept=True), {}),
        (
            "logistic --no-intercept --reg-type elastic_net --reg-param 0.1",
            Linear("logistic"),
            {"penalty": "elastic_net", "strength": 0.1},
        ),
        ("svm", Linear("hinge", intercept=True), {}),
        (
            "svm --loss squared_hinge --optimizer adam --schedule constant --step 0.1",
            Linear("squared_hinge", intercept=True),
            {"optimizer": "adam", "schedule": "constant", "step": 0.1},
        ),
        (
            "mlp --hidden 4,3 --activation relu --loss logistic --fraction 0.5 --seed 7",
            MultilayerPerceptron((4, 3), "logistic", "relu"),
            {"fraction": 0.5, "seed": 7},
        ),
    ],
)
def test_it_is_what_train_does(
    minimr: Minimr, halves: str, command: str, model: Any, settings: dict[str, Any]
) -> None:
    found = asked(minimr, *command.split(), halves, "--iterations", "7")
    data = load_libsvm(halves, cluster=FakeCluster())  # type: ignore[arg-type]
    trained = train(model, data, iterations=7, **settings)
    assert found["parameters"] == trained.parameters.tolist()
    assert found["loss_history"] == trained.loss_history
    assert (found["strategy"], found["model"]) == ("sync", model.options())


@pytest.mark.parametrize("strategy", ["gram", "ssp:1", "async", "allreduce", "local:2", "average"])
def test_the_strategy_is_one_option(minimr: Minimr, halves: str, strategy: str) -> None:
    common = ("linear", halves, "--iterations", "3", "--step", "0.1")
    found = asked(minimr, *common, "--strategy", strategy)
    assert found["strategy"] == strategy
    assert found["loss_history"][-1] < found["loss_history"][0]
    if strategy in ("gram", "allreduce"):
        same = asked(minimr, *common, "--strategy", "sync")
        assert np.allclose(found["parameters"], same["parameters"], rtol=1e-12)


def test_softmax_counts_the_classes_itself(minimr: Minimr, classes: str) -> None:
    found = asked(minimr, "softmax", classes, "--split", "1,1")
    assert found["model"]["classes"] == 3
    assert list(found["metrics"]) == ["training", "test"]
    assert found["metrics"]["test"]["accuracy"] > 0.8
    assert asked(minimr, "softmax", classes, "--classes", "5")["model"]["classes"] == 5
    network = asked(minimr, "mlp", classes, "--loss", "softmax", "--hidden", "3")
    assert (network["model"]["classes"], len(network["parameters"])) == (3, 9 + 12)


def test_the_report_of_two_classes(minimr: Minimr, halves: str) -> None:
    lines = minimr("train", "logistic", halves).stdout.splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        *("loss", "", "strategy", "intercept", "weights", "", "", "rows", "accuracy"),
        *("weighted", "weighted", "area", "area"),
    ]
    assert lines[2].startswith("strategy   sync: 100 updates, ")
    assert max(map(len, lines)) <= 80


def test_a_network_shows_how_many_parameters_it_has(minimr: Minimr, halves: str) -> None:
    lines = minimr("train", "mlp", halves, "--step", "0.1").stdout.splitlines()
    assert lines[3] == f"parameters {3 * 16 + 17}"
    assert lines[6].split() == ["rows", "60"]


def test_the_model_file_is_what_trained_saves(minimr: Minimr, halves: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    found = asked(minimr, "svm", halves, "--model", str(path))
    saved = path.read_bytes()
    loaded = Trained.load(path)
    assert loaded.parameters.tolist() == found["parameters"]
    loaded.save(path)
    assert path.read_bytes() == saved


@pytest.mark.parametrize("command", ["linear --step 0.1", "softmax", "mlp --step 0.1"])
def test_a_model_is_saved_as_arrays_by_its_name(
    minimr: Minimr, halves: str, tmp_path: Path, command: str
) -> None:
    predicted = []
    for name in ("model.json", "model.npz"):
        assert minimr("train", *command.split(), halves, "--model", tmp_path / name).exit_code == 0
        predicted.append(minimr("predict", tmp_path / name, halves).stdout)
    assert predicted[0] == predicted[1] != ""


def test_early_stopping_keeps_the_model_that_the_held_out_rows_liked(
    minimr: Minimr, tmp_path: Path
) -> None:
    generator = np.random.default_rng(1)
    table = tmp_path / "table.csv"
    X, noise = generator.normal(size=(60, 20)), generator.normal(size=60)
    np.savetxt(table, np.column_stack([X, 3 * X[:, 0] + noise]), delimiter=",")
    common = ("linear", str(table), "--strategy", "sync", "--schedule", "constant")
    common += ("--step", "0.1", "--split", "1,1,1", "--seed", "7")
    found = asked(minimr, *common, "--patience", "4")
    losses, best = found["held_out"]["losses"], found["held_out"]["best_iteration"]
    assert len(losses) == len(found["loss_history"]) == best + 4 < 100
    assert losses[best - 1] == min(losses)
    kept = asked(minimr, *common, "--iterations", str(best - 1))
    assert found["parameters"] == kept["parameters"]
    mean_squared = found["metrics"]["held out"]["meanSquaredError"]
    assert mean_squared / 2 == pytest.approx(min(losses))
    assert list(found["metrics"]) == ["training", "held out", "test"]
    lines = minimr("train", *common, "--early-stopping", "4").stdout.splitlines()
    assert lines[2].startswith(f"held out   {losses[0]:.6g} to {min(losses):.6g} after {best - 1}")
    assert max(map(len, lines)) <= 80


def test_a_training_that_was_cut_goes_on_from_its_checkpoint(
    minimr: Minimr, halves: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.checkpoint"
    common = ("logistic", halves, "--iterations", "35", "--split", "2,1", "--patience", "40")
    whole = asked(minimr, *common)

    def interrupted(_self: object, number: int, _text: str, _curve: object) -> None:
        if number == 25:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PlainProgress, "on_step", interrupted)
        result = minimr("train", *common, "--checkpoint", path)
    assert result.exit_code == 130
    assert f"{path} holds the state; the same command goes on from it" in result.stderr
    assert json.loads(path.read_text())["descent"]["iteration"] == 21
    again = asked(minimr, *common, "--checkpoint", str(path))
    for name in ("parameters", "loss_history", "held_out", "metrics", "updates"):
        assert again[name] == whole[name]


def test_the_loss_is_drawn(minimr: Minimr, halves: str, tmp_path: Path) -> None:
    path = tmp_path / "loss.svg"
    common = ("--iterations", "6", "--plot", path)
    minimr("train", "linear", halves, "--step", "0.1", *common)
    assert [len(curve.split()) for curve in CURVE.findall(path.read_text())] == [7]
    minimr("train", "logistic", halves, "--split", "1,1", "--patience", "9", *common)
    drawn = path.read_text()
    assert [len(curve.split()) for curve in CURVE.findall(drawn)] == [7, 7]
    assert ">held out</text>" in drawn
    ElementTree.fromstring(drawn)


def test_a_drawing_counts_steps_though_the_loss_is_looked_at_now_and_then(
    minimr: Minimr, halves: str, tmp_path: Path
) -> None:
    path = tmp_path / "loss.svg"
    asked = ("--strategy", "average", "--iterations", "6", "--plot", str(path))
    assert minimr("train", "logistic", halves, *asked).exit_code == 0
    assert '<text x="324.0" y="230.0" text-anchor="end">6</text>' in path.read_text()


def test_a_drawing_on_a_full_disk_costs_no_report(
    minimr: Minimr, halves: str, tmp_path: Path
) -> None:
    path = tmp_path / "loss.svg"
    path.symlink_to("/dev/full")
    result = minimr("train", "logistic", halves, "--iterations", "2", "--plot", str(path))
    assert result.exit_code == 1
    assert result.stdout.startswith("loss ")
    assert f"{path} cannot be written: No space left on device" in result.stderr


def test_a_loss_that_rises_is_warned_of(minimr: Minimr, halves: str) -> None:
    for step, warned in (("1", True), ("0.1", False)):
        result = minimr("train", "linear", halves, "--step", step, "--iterations", "4")
        assert ("give a smaller --step" in result.stderr) is warned


def test_only_what_steps_here_tells_of_its_steps(minimr: Minimr, halves: str) -> None:
    assert "iteration 1: loss" in minimr("train", "logistic", halves).stderr
    assert minimr("train", "logistic", halves, "--strategy", "allreduce").stderr == ""


def test_a_table_of_numbers_by_its_name(minimr: Minimr, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,label\n1,0,0\n0,1,1\n1,1,1\n0,0,0\n")
    found = asked(minimr, "logistic", str(table))
    assert found["metrics"]["training"]["rows"] == 4
    assert len(found["parameters"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("linear --optimizer adam", "--optimizer needs --strategy"),
        ("linear --loss huber", "--loss needs --strategy"),
        ("linear --patience 3", "--patience needs --strategy"),
        ("linear --checkpoint FILE", "--checkpoint needs --strategy"),
        ("logistic --strategy nothing", "--strategy must be one of sync"),
        ("softmax --patience 3", "add --split 3,1"),
        ("softmax --patience 3 --split 3,1 --strategy average", "--strategy sync or gram: average"),
        ("softmax --checkpoint FILE --strategy average", "--strategy sync, not average"),
        ("softmax --model nowhere/model.npz", "there is no directory nowhere"),
        ("softmax --model=", "an empty name is that of no file"),
        ("softmax --model .", "it is a directory"),
        ("softmax --reg-param 0.3", "no effect without --reg-type"),
        ("softmax --plot loss.png", "not an SVG file"),
        ("softmax --split 1,0", "--split leaves no row for test, of 60"),
        ("softmax --fraction 1e-9", "give a larger --fraction"),
        ("softmax --fraction 1e-9 --split 1,1 --patience 2", "give a larger --fraction"),
        ("softmax --fraction 0", "--fraction must be a number in (0, 1], but is 0.0"),
        ("softmax --step nan", "--step must be a number > 0, but is nan"),
        ("softmax --tolerance 2", "--tolerance must be a number in [0, 1], but is 2.0"),
        ("softmax --reg-param -1", "--reg-param must be a number >= 0, but is -1.0"),
        ("softmax --reg-type l2 --reg-param -1", "--reg-param must be a number >= 0"),
        ("softmax --seed -1", "--seed must be a whole number >= 0, but is -1"),
        ("softmax --tolerance 0.1 --strategy ssp:2", "--strategy 'ssp' cannot stop at a tolerance"),
        ("linear --strategy gram --fraction 0.5", "leave --fraction out"),
        ("logistic --strategy ssp:x", "--strategy takes behind the name a whole number"),
        ("logistic --strategy sync:4", "--strategy 'sync' takes nothing behind its name"),
        ("linear --strategy local:0", "--strategy 'local' needs at least one step"),
        ("linear --strategy pipeline", "--strategy 'pipeline' shares out the layers"),
        ("mlp --strategy model_parallel", "--strategy 'model_parallel' shares out the columns"),
        ("logistic --optimizer nothing", "--optimizer must be one of"),
        ("logistic --schedule nothing", "--schedule must be one of"),
        ("mlp --activation nothing", "--activation must be one of"),
        ("svm --loss nothing", "'--loss': it must be hinge or squared_hinge, but is nothing"),
        ("svm --loss squared", "squared is for 'minimr train linear' or mlp, not for svm, which"),
        ("linear --loss hinge", "hinge is for 'minimr train svm' or mlp, not for linear, which"),
        ("linear --strategy sync --loss softmax", "softmax is for 'minimr train softmax' or mlp"),
        ("mlp --loss nothing", "'--loss': it must be squared, huber,"),
        ("mlp --hidden 4,x", "not a list of sizes"),
        ("mlp --hidden 0", "'0' is not a list of sizes from 1 on, as in 16,8"),
        ("softmax --classes 2", "0 to 1"),
        ("logistic", "0 or 1"),
    ],
)
def test_what_cannot_be_is_refused(minimr: Minimr, classes: str, arguments: str, said: str) -> None:
    result = minimr("train", *arguments.split(), classes)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("command", ["train linear", "train softmax", "compare"])
@pytest.mark.parametrize(("name", "text"), [("empty.libsvm", "\n"), ("empty.csv", "a,y\n")])
def test_data_without_a_row_are_named(
    minimr: Minimr, tmp_path: Path, command: str, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = minimr(*command.split(), path)
    assert result.exit_code == 2
    assert f"{path} is empty: there is no row in it" in result.stderr


def test_the_command_line_knows_every_loss() -> None:
    assert set(FITTED_BY) == set(LOSSES)


@pytest.mark.parametrize("command", ["linear", "logistic", "svm", "softmax", "mlp"])
def test_the_help_tells_of_compression(minimr: Minimr, command: str) -> None:
    said = " ".join(minimr("train", command, "--help").stdout.split())
    assert "compressed: ssp:4:half, async:top-k, allreduce:sign." in said


@pytest.mark.parametrize("command", ["linear", "logistic", "svm", "softmax", "mlp"])
def test_the_help_names_the_strategies_that_the_model_has(
    minimr: Minimr, halves: str, command: str
) -> None:
    said = " ".join(minimr("train", command, "--help").stdout.split())
    [names] = re.findall(r"--strategy NAME (.*?)\. Gradients may", said)
    named = {name.partition(":")[0] for name in re.split(", | or ", names)}
    refused = {
        name
        for name in STRATEGIES
        if minimr("train", command, halves, "--strategy", name, "--iterations", "1").exit_code == 2
    }
    assert named == set(STRATEGIES) - refused


def test_the_help_says_when_no_tolerance_is_the_default(minimr: Minimr) -> None:
    said = " ".join(minimr("train", "linear", "--help").stdout.split())
    assert "0 never. [default: 0.001; if there is a --strategy, 0]" in said
    assert "squared, huber, quantile or poisson; all but squared need --strategy." in said


@pytest.mark.parametrize("label", ["1e9", "7", "0.5", "-1"])
def test_labels_that_are_no_classes_are_refused(minimr: Minimr, tmp_path: Path, label: str) -> None:
    path = tmp_path / "odd.libsvm"
    path.write_text(f"0 1:1\n1 1:2\n{label} 1:3\n")
    result = minimr("train", "softmax", path)
    assert result.exit_code == 2
    assert "the labels of the softmax loss must be" in result.stderr
