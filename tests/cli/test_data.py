import json
import os
import time
from pathlib import Path

import pytest

from minimr.formats import input_format
from minimr.formats.splits import Split
from tests.cli.conftest import Minimr


def test_terasort_writes_records(minimr: Minimr, tmp_path: Path) -> None:
    result = minimr("data", "terasort", "7", "-o", tmp_path / "a")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{tmp_path / 'a'}: 7 records, 700 bytes\n"
    assert (tmp_path / "a").stat().st_size == 700


def test_the_seed_and_ascii_change_the_keys(minimr: Minimr, tmp_path: Path) -> None:
    for name, more in (("a", []), ("b", ["--seed", "1"]), ("c", ["--ascii"]), ("d", [])):
        minimr("data", "terasort", "5", "-o", tmp_path / name, *more)
    made = {name: (tmp_path / name).read_bytes() for name in "abcd"}
    assert made["a"] == made["d"]
    assert len(set(made.values())) == 3
    assert made["c"].isascii()


def test_a_file_that_is_there_is_left_alone(minimr: Minimr, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    result = minimr("data", "terasort", "5", "-o", tmp_path / "a")
    assert result.exit_code == 2
    assert "already exists" in result.stderr
    assert (tmp_path / "a").read_text() == "precious"


@pytest.mark.parametrize("number", ["-1", "x"])
def test_the_number_of_records_is_a_number(minimr: Minimr, tmp_path: Path, number: str) -> None:
    assert minimr("data", "terasort", "-o", tmp_path / "a", "--", number).exit_code == 2


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose first and second half have been parsed, and copied."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "data.libsvm"
    path.write_bytes(b"1 1:0.5 2:7\n" * 60_000)
    os.utime(path, (time.time() - 100.0,) * 2)
    for offset in (0, 360_000):
        input_format("libsvm").read_blocks(Split(str(path), offset, 360_000, 0))
    return path


def test_cache_shows_the_copies_and_clears_them(minimr: Minimr, parsed: Path) -> None:
    place = parsed.parent / "cache" / "minimr" / "parsed"
    total = sum(path.stat().st_size for path in place.iterdir()) / 1e6
    shown = f"{place}: 2 copies, {total:.1f} MB"
    assert minimr("data", "cache").stdout == f"{shown}\n"
    assert len(list(place.iterdir())) == 2
    assert minimr("data", "cache", "--clear").stdout == f"{shown}, removed\n"
    assert list(place.iterdir()) == []
    assert minimr("data", "cache", "--clear").stdout == f"{place}: 0 copies, 0 bytes\n"


def test_cache_as_json_names_the_files(minimr: Minimr, parsed: Path) -> None:
    shown = json.loads(minimr("data", "cache", "--json", "--clear").stdout)
    assert [copy["file"] for copy in shown["copies"]] == [os.path.realpath(parsed)] * 2
    assert [copy["range"] for copy in shown["copies"]] == [[0, 360_000], [360_000, 360_000]]
    assert shown["bytes"] == sum(copy["bytes"] for copy in shown["copies"]) > 0
    assert shown["removed"] is True
    assert json.loads(minimr("data", "cache", "--json").stdout)["copies"] == []


def test_cache_says_why_a_place_is_not_used(minimr: Minimr, parsed: Path) -> None:
    place = parsed.parent / "cache" / "minimr" / "parsed"
    place.chmod(0o777)
    result = minimr("data", "cache", "--clear")
    assert result.exit_code == 2
    assert f"chmod 700 {place}" in result.stderr
    assert len(list(place.iterdir())) == 2


def test_no_cache_is_no_error(
    minimr: Minimr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    assert minimr("data", "cache").stdout.endswith(": 0 copies, 0 bytes\n")
    assert not (tmp_path / "nowhere").exists()
