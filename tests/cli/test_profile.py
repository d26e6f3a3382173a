"""`minimr run --profile`: what it says, and that user code of all processes is in the profile."""

import pstats
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from cli.profile import hottest, place_of, say_profile
from tests.cli.conftest import Minimr

STATS = {
    ("/home/you/minimr/shuffle/codec.py", 88, "dumps"): (3, 5, 0.25, 0.5, {}),
    ("~", 0, "<built-in method len>"): (9, 9, 0.5, 0.5, {}),
    ("job.py", 3, "map"): (1, 1, 0.25, 2.0, {}),
}

JOB = """
import minimr as mr


class Squares(mr.Job):
    def map(self, offset, line):
        yield self.square(int(line)), 1

    def square(self, number):
        return number * number

    combine = reduce = mr.Sum()
"""


def test_the_hottest_come_first() -> None:
    assert [hot.place for hot in hottest(STATS, 3)] == [
        "<built-in method len>",
        "job.py:3 map",
        "minimr/shuffle/codec.py:88 dumps",
    ]
    (first,) = hottest(STATS, 1)
    assert first == (0.5, 0.5, 9, "<built-in method len>")


def test_a_place_is_short() -> None:
    assert place_of(("/a/b/c/d/e.py", 7, "f")) == "c/d/e.py:7 f"


def test_a_run_without_tasks_has_no_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_profile(tmp_path / "missing.pstats")
    assert capsys.readouterr().err == "no task ran, so there is no profile\n"


def test_a_profile_needs_a_place(minimr: Minimr, job_file: str, text: str) -> None:
    result = minimr("run", job_file, text, "--profile")
    assert result.exit_code == 2
    assert "give -o OUT" in result.stderr


def test_no_profile_unless_asked(minimr: Minimr, job_file: str, text: str, tmp_path: Path) -> None:
    result = minimr("run", job_file, text, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "function" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["cluster", "serial"])
def test_every_call_of_every_process_is_counted(
    runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(JOB)
    for number in range(6):
        lines = "".join(f"{each}\n" for each in range(100 * number, 100 * number + 100))
        (tmp_path / f"{number}.txt").write_text(lines)
    arguments = ["run", "squares.py", "?.txt", "-o", "out", "--runner", runner, "--profile"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    calls = {key[2]: each[1] for key, each in stats_of("out.pstats").items()}
    assert calls["square"] == 600
    assert "out.pstats: " in result.stderr
    assert "own s  total s       calls  function" in result.stderr
    expected = ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt", "5.txt"]
    expected += ["out", "out.log", "out.pstats", "squares.py"]
    left = [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"]
    assert sorted(left) == expected


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_profile_of_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(JOB)
    (tmp_path / "0.txt").write_text("7\nseven\n")
    arguments = ["run", "squares.py", "0.txt", "-o", "out", "--runner", "serial", "--profile"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "square" in {key[2] for key in stats_of("out.pstats")}


def stats_of(path: str) -> dict[tuple[str, int, str], tuple[int, int, float, float, object]]:
    return pstats.Stats(path).stats  # type: ignore[attr-defined,no-any-return]
