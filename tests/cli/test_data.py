from pathlib import Path

import pytest

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
