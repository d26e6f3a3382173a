import json
from pathlib import Path

import pytest

import minimr as mr
from minimr.jobs.sort import Sort
from minimr.jobs.terasort import TeraSort
from tests.cli.conftest import Minimr

LINES = "b 10\na 9\nc 100\n"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines"
    path.write_text(LINES)
    return path


def sort(lines: Path, output: Path, **options: object) -> Path:
    mr.run(Sort, [lines], output, runner="serial", reducers=2, options=options)
    return output


def swap_lines(part: Path) -> None:
    part.write_text("".join(f"{line}\n" for line in reversed(part.read_text().splitlines())))


def test_a_sorted_output_is_valid(minimr: Minimr, lines: Path, tmp_path: Path) -> None:
    output = sort(lines, tmp_path / "out")
    result = minimr("validate", output, "--input", lines)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"{output}: sorted; 3 records in 2 parts, 0 with the key of the one"
    )


def test_it_is_judged_by_the_options_that_sort_was_given(
    minimr: Minimr, lines: Path, tmp_path: Path
) -> None:
    output = sort(lines, tmp_path / "out", key=2, numeric=True, reverse=True)
    options = ["--key", "2", "--numeric", "--reverse"]
    assert minimr("validate", output, "--", *options).exit_code == 0
    assert minimr("validate", output).exit_code == 1


def test_the_first_record_out_of_place_is_named(
    minimr: Minimr, lines: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    mr.run(Sort, [lines], output, runner="serial", reducers=1)
    swap_lines(output / "part-00000")
    result = minimr("validate", output, "--input", lines)
    assert result.exit_code == 1
    first, second, third = result.stdout.splitlines()
    assert first == f"{output}/part-00000, record 1 (byte 6): b'b 10' comes after b'c 100'"
    assert second == f"{output}: 2 records out of place"
    assert third.startswith(f"{output}: not valid; 3 records in 1 part")


def test_records_that_are_not_the_input_s_are_found(
    minimr: Minimr, lines: Path, tmp_path: Path
) -> None:
    output = sort(lines, tmp_path / "out")
    lines.write_text(LINES + "d\n")
    result = minimr("validate", output, "--input", lines)
    assert result.exit_code == 1
    assert "the records are not those of the input, which has 4 records" in result.stdout


def test_json(minimr: Minimr, tmp_path: Path) -> None:
    minimr("data", "terasort", "100", "-o", tmp_path / "records")
    mr.run(TeraSort, [tmp_path / "records"], tmp_path / "out", runner="serial")
    result = minimr("validate", tmp_path / "out", "--input", tmp_path / "records", "--json")
    verdict = json.loads(result.stdout)
    assert verdict["input"] == {"records": 100, "checksum": verdict["checksum"]}
    assert {name: verdict[name] for name in ("valid", "parts", "records", "misplaced")} == {
        "valid": True,
        "parts": 2,
        "records": 100,
        "misplaced": 0,
    }
    assert verdict["first_misplaced"] is None


def test_what_is_no_output_is_a_wrong_request(minimr: Minimr, tmp_path: Path) -> None:
    result = minimr("validate", tmp_path)
    assert result.exit_code == 2
    assert "no complete output" in result.stderr
    assert minimr("validate", tmp_path / "gone").exit_code == 2
    sort_options = minimr("validate", tmp_path, "--", "--frobnicate")
    assert "Options of sort: [--key INT]" in sort_options.stderr
