"""`minimr bench`: finds the source tree, passes everything on, and says where to get it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import bench
from tests.cli.conftest import Minimr

ROOT = Path(__file__).parent.parent.parent


def test_the_tree_that_minimr_runs_from_comes_first(tmp_path: Path) -> None:
    for name in ("installed", "clone", "tests_only"):
        (tmp_path / name).mkdir()
    for name in ("clone", "tests_only"):
        folder = tmp_path / name / "tests" / "bench"
        folder.mkdir(parents=True)
        (folder / "__main__.py").write_text("")
    (tmp_path / "clone" / "minimr").mkdir()
    places = [tmp_path / name for name in ("installed", "tests_only", "clone")]
    assert bench.find_bench(places) == tmp_path / "clone"
    assert bench.find_bench(places[:2]) is None
    assert bench.find_bench([ROOT, *places]) == ROOT


def test_elsewhere_it_says_how_to_get_it(
    minimr: Minimr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    result = minimr("bench", "cold")
    assert result.exit_code == 2
    assert result.stderr == (
        "minimr: the benchmark is not part of the installed package; clone minimr's repository "
        "and run 'minimr bench' there, or 'make bench'\n"
    )


def test_arguments_and_the_exit_code_are_passed_on(
    minimr: Minimr, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        asked.append((command, env["PYTHONPATH"]))
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    result = minimr("bench", "cold", "--runs", "3", "--only", "pool")
    expected = [sys.executable, "-P", "-m", "tests.bench", "cold", "--runs", "3", "--only", "pool"]
    assert asked == [(expected, str(ROOT))]
    assert result.exit_code == 1


@pytest.mark.slow
def test_it_runs_where_no_clone_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "bench", "--list"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith("wordcount ")
