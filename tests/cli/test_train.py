import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession

TRUE_WEIGHTS, TRUE_INTERCEPT = [2.0, -1.0], 0.5


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Forty rows of an exact line, as libsvm."""
    X = np.random.default_rng(5).normal(size=(40, 2))
    labels = X @ TRUE_WEIGHTS + TRUE_INTERCEPT
    path = tmp_path / "line.libsvm"
    rows = zip(labels.tolist(), X.tolist(), strict=True)
    path.write_text("".join(f"{y!r} 1:{a!r} 2:{b!r}\n" for y, (a, b) in rows))
    return str(path)


def train(minimr: Minimr, data: str, *arguments: str) -> dict[str, Any]:
    result = minimr("train", "linear", data, "--json", *arguments)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_finds_the_line(minimr: Minimr, data: str) -> None:
    found = train(minimr, data, "--intercept", "--tolerance", "0", "--iterations", "300")
    assert np.allclose(found["weights"], TRUE_WEIGHTS, atol=1e-6)
    assert abs(found["intercept"] - TRUE_INTERCEPT) < 1e-6
    assert len(found["loss_history"]) == 301
    assert found["metrics"]["training"]["rows"] == 40
    assert found["metrics"]["training"]["r2"] > 0.999999
    assert list(found["metrics"]) == ["training"]


def test_a_split_gives_metrics_of_both_parts_and_depends_on_the_seed(
    minimr: Minimr, data: str
) -> None:
    def rows(*arguments: str) -> list[int]:
        metrics = train(minimr, data, "--split", "0.6,0.4", *arguments)["metrics"]
        return [metrics["training"]["rows"], metrics["test"]["rows"]]

    assert sum(rows()) == 40
    assert rows() == rows("--seed", "42")
    assert len({tuple(rows("--seed", str(seed))) for seed in range(6)}) > 1


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--step", "0.01"], True),
        (["--iterations", "3"], True),
        (["--intercept"], True),
        (["--no-intercept"], False),
        (["--fraction", "0.5"], True),
        (["--reg-type", "l2", "--reg-param", "0.3"], True),
        (["--reg-type", "l1", "--reg-param", "0.3"], True),
        (["--reg-type", "none", "--reg-param", "0.3"], False),
        (["--tolerance", "0.5"], True),
        (["--iterations", "100", "--step", "1.0", "--tolerance", "0.001"], False),
    ],
)
def test_every_knob_reaches_the_descent(
    minimr: Minimr, data: str, arguments: list[str], changes: bool
) -> None:
    changed = train(minimr, data, *arguments)["weights"] != train(minimr, data)["weights"]
    assert changed is changes


def test_partitions_workers_and_address_reach_the_cluster(
    minimr: Minimr, session: FakeSession, data: str
) -> None:
    minimr("train", "linear", data, "--partitions", "3", "--workers", "4")
    assert session.requests == [{"workers": 4, "address": None}, {"load": data, "partitions": 3}]
    assert minimr("train", "linear", data, "--address", "nowhere.json").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "log"),
    [
        (["--log", "mine.log"], "mine.log"),
        (["--model", "MODEL"], "MODEL.log"),
        (["--model", "MODEL", "--log", "mine.log"], "mine.log"),
        ([], None),
    ],
)
def test_the_log_lies_beside_the_model_or_where_it_was_asked_for(
    minimr: Minimr,
    session: FakeSession,
    data: str,
    tmp_path: Path,
    arguments: list[str],
    log: str | None,
) -> None:
    session.log = tmp_path / "rounds.log"
    model = str(tmp_path / "model.json")
    named = [argument.replace("MODEL", model) for argument in arguments]
    result = minimr("train", "linear", data, *named)
    assert result.exit_code == 0
    assert session.requests[0].get("log") == (log and log.replace("MODEL", model))
    last = result.stderr.splitlines()[-1]
    assert (last == f"event log: {session.log}") is (log is None)


def test_predict_has_a_log_too(
    minimr: Minimr, session: FakeSession, data: str, tmp_path: Path
) -> None:
    model = tmp_path / "model.json"
    minimr("train", "linear", data, "--model", model)
    session.log = tmp_path / "rounds.log"
    for more in ([], ["--json"]):
        result = minimr("predict", model, data, *more)
        assert result.stderr.splitlines()[-1] == f"event log: {session.log}"


def test_the_report(minimr: Minimr, data: str) -> None:
    lines = minimr("train", "linear", data, "--intercept", "--split", "1,1").stdout.splitlines()
    losses = train(minimr, data, "--intercept", "--split", "1,1")["loss_history"]
    said = f"loss       {losses[0]:.6g} to {losses[-1]:.6g}, {len(losses)} evaluations"
    assert lines[0] == said
    assert set(lines[1].strip()) <= set("▁▂▃▄▅▆▇█")
    assert lines[1].strip()[0] == "█"
    assert [line.split()[0] for line in lines[2:4]] == ["intercept", "weights"]
    assert lines[5].split() == ["training", "test"]
    assert [line[:26].strip() for line in lines[6:]] == [
        "rows",
        "root mean squared error",
        "mean squared error",
        "mean absolute error",
        "explained variance",
        "r2",
    ]
    assert max(map(len, lines)) <= 80


def test_a_wide_model_shows_its_first_weights(minimr: Minimr, tmp_path: Path) -> None:
    wide = tmp_path / "wide.libsvm"
    wide.write_text("1.0 1:1.0 8:1.0\n2.0 1:0.5\n")
    lines = minimr("train", "linear", wide, "--step", "0.1").stdout.splitlines()
    [weights] = [line for line in lines if line.startswith("weights")]
    assert weights.endswith(" and 3 more")
    assert len(weights.split()) == 1 + 5 + 3


def test_progress_is_told_at_1_2_5_10_and_so_on(minimr: Minimr, data: str) -> None:
    result = minimr("train", "linear", data, "--tolerance", "0")
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        f"iteration {number}" for number in (1, 2, 5, 10, 20, 50, 100)
    ]


def test_a_penalty_of_no_kind_is_warned_of_by_the_options_names(minimr: Minimr, data: str) -> None:
    result = minimr("train", "linear", data, "--reg-param", "0.3")
    [warning] = [line for line in result.stderr.splitlines() if "warning" in line]
    assert warning.startswith("minimr: warning: --reg-param 0.3 has no effect without --reg-type")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--model DATA", "--model DATA is the file of DATA"),
        ("--log DATA", "--log DATA is the file of DATA"),
        ("--model x.json --log x.json", "--log x.json is the file of --model"),
        ("--strategy sync --model x --checkpoint ./x", "--checkpoint ./x is the file of --model"),
    ],
)
def test_no_file_is_written_over_another(
    minimr: Minimr,
    data: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = Path(data).read_text()
    result = minimr("train", "linear", data, *options.replace("DATA", data).split())
    assert result.exit_code == 2
    told = said.replace("DATA", data, 1) if said.count("DATA") == 2 else said
    assert result.stderr == f"minimr: {told}, too: name another one\n"
    assert Path(data).read_text() == before


@pytest.mark.parametrize("strategy", [[], ["--strategy", "gram"]])
def test_a_penalty_of_no_strength_is_warned_of(
    minimr: Minimr, data: str, strategy: list[str]
) -> None:
    asked = ["train", "linear", data, *strategy, "--reg-type", "l1"]
    assert (
        "minimr: warning: --reg-type l1 has no effect without --reg-param: add --reg-param 0.1, or "
        "another strength\n"
    ) in minimr(*asked).stderr
    assert "warning" not in minimr(*asked, "--reg-param", "0").stderr


def test_a_saved_model_predicts(minimr: Minimr, data: str, tmp_path: Path) -> None:
    model = str(tmp_path / "model.json")
    minimr("train", "linear", data, "--intercept", "--iterations", "300", "--model", model)
    result = minimr("predict", model, data)
    labels = [float(line.split()[0]) for line in Path(data).read_text().splitlines()]
    assert np.allclose([float(line) for line in result.stdout.splitlines()], labels, atol=0.05)
    assert result.stderr.startswith("40 rows, root mean squared error 0.")

    as_json = json.loads(minimr("predict", model, data, "--json").stdout)
    assert [repr(each) for each in as_json["predictions"]] == result.stdout.splitlines()
    assert as_json["metrics"]["rows"] == 40


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["--split", "0.6"], 2, "0.6,0.4"),
        (["--split", "a,b"], 2, "0.6,0.4"),
        (["--split", "1,2,3,4"], 2, "0.6,0.4"),
        (["--split", "-1,2"], 2, "weight"),
        (["--split", "0,0"], 2, "'0,0' is not two or three weights"),
        (["--step", "0"], 2, "--step must be a number > 0, but is 0.0"),
        (["--fraction", "0"], 2, "--fraction must be a number in (0, 1], but is 0.0"),
        (["--tolerance", "2"], 2, "--tolerance must be a number in [0, 1], but is 2.0"),
        (["--reg-param", "-1"], 2, "--reg-param must be a number >= 0, but is -1.0"),
        (["--seed", "-1"], 2, "--seed must be a whole number >= 0, but is -1"),
        (["--reg-type", "elastic_net"], 2, "elastic_net needs --strategy, as in --strategy sync"),
        (["--step", "1e9", "--tolerance", "0"], 1, "diverged"),
        (["--reg-type", "l3"], 2, "--reg-type"),
        (["--address", "c.json", "--workers", "2"], 2, "not both"),
    ],
)
def test_what_cannot_be_is_refused(
    minimr: Minimr, data: str, arguments: list[str], exit_code: int, said: str
) -> None:
    result = minimr("train", "linear", data, *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert said in result.stderr


def test_predict_has_either_workers_of_its_own_or_a_cluster(minimr: Minimr, data: str) -> None:
    result = minimr("predict", "model.json", data, "--address", "c.json", "--workers", "2")
    assert result.exit_code == 2
    assert "not both" in result.stderr


def test_a_file_that_is_no_model(minimr: Minimr, data: str) -> None:
    result = minimr("predict", data, data)
    assert result.exit_code == 2
    assert "not a model" in result.stderr
