"""The cases and scripts as they stand: what they name exists. Nothing is measured here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bench import inputs
from tests.bench.case import OUT, Candidate
from tests.bench.cases import CASES
from tests.bench.command import main
from tests.bench.setting import PEERS, Setting


@pytest.fixture(scope="module", autouse=True)
def _a_short_text() -> Iterator[None]:
    """Without the books beside the repository, the real one takes seconds to read."""
    lines = [f"{word} and {word} again" for word in ("to", "be", "or", "not")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "natural_lines", lambda: lines)
        yield


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(scale=0.0001, cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("name", CASES)
def test_goals_name_candidates(name: str, setting: Setting) -> None:
    names = [each.name for each in CASES[name].candidates(setting)]
    assert len(set(names)) == len(names)
    for goal in CASES[name].goals:
        assert goal.of in names
        assert goal.times in ("", *names)


@pytest.mark.parametrize("name", CASES)
def test_every_candidate_calls_something_that_is_there(name: str, setting: Setting) -> None:
    for candidate in CASES[name].candidates(setting):
        assert any(OUT in argument for argument in candidate.command), candidate.name
        check_command(candidate)


def check_command(candidate: Candidate) -> None:
    script = next((Path(each) for each in candidate.command if str(PEERS) in each), None)
    if script is None:
        return
    assert script.is_file()
    if script.suffix == ".py" and script.stem not in ("on_mrjob", "with_faults"):
        case = candidate.command[candidate.command.index(str(script)) + 1]
        assert case in functions_of(script), f"{candidate.name}: {script.name} has no {case}"


def functions_of(script: Path) -> set[str]:
    tree = ast.parse(script.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_cases_can_be_listed() -> None:
    result = CliRunner().invoke(main, ["--list"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(CASES)


def test_an_unknown_case_is_refused_with_the_known_ones() -> None:
    result = CliRunner().invoke(main, ["cold", "hot"])
    assert result.exit_code == 2
    assert "no case is called hot; there are wordcount, " in result.stderr


@pytest.mark.slow
def test_a_case_from_start_to_end(tmp_path: Path) -> None:
    """A quick look at one case: table, goals and file; then the comparison with that file."""
    file = tmp_path / "figures.json"
    arguments = ["mrjob", "--scale", "0.001", "--runs", "1", "--only", "plain"]
    arguments += ["--cache", str(tmp_path / "cache"), "--json", str(file)]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.stderr
    assert "### mrjob: Word count of 20 MB" in first.stdout
    assert "inputs 0.001 times as large" in first.stdout
    assert "| plain Python, by lines |" in first.stdout
    assert "mrjob, local: not measured" in first.stdout
    second = CliRunner().invoke(main, [*arguments, "--against", str(file)])
    assert second.exit_code == 0, second.stderr
    assert "| minimr against         |" in second.stdout
    cleaned = CliRunner().invoke(main, ["--clean", "--cache", str(tmp_path / "cache")])
    assert cleaned.exit_code == 0
    assert not (tmp_path / "cache").exists()
