import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from minimr.observe.checks import CHECKS
from minimr.observe.log import EventLog
from tests.cli.conftest import Minimr
from tests.observe.checks.runs import Run, healthy, mapped

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run's log to a file, and returns its path."""

    def log_of(run: Run, name: str = "a.log") -> str:
        with EventLog(tmp_path / name, wall="2026-11-24T05:29:00+00:00") as log:
            log.append(run.events)
        return str(tmp_path / name)

    return log_of


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What the healthy run published."""
    path = tmp_path / "out"
    path.mkdir()
    data = b"0123456789" * 10
    facts = {"records": 10, "bytes": 100, "sha256": sha256(data).hexdigest()}
    names = ["part-00000", "part-00001"]
    for name in names:
        (path / name).write_bytes(data)
    parts = [{"name": name, **facts} for name in names]
    (path / "_SUCCESS").write_text(json.dumps({"parts": parts, "counters": {"lines": 12}}))
    return path


def wrong() -> Run:
    """A map starts again for no reason."""
    run = mapped()
    run.started("map-0", "worker-2", 1)
    run.cancelled("map-0", "worker-2", 1)
    run.job_failed("it was tired")
    return run


def whole() -> Run:
    run = healthy()
    run.tell("journal_checked", ok=True, at=1)
    run.tell("world_closed", leftovers=[])
    return run


def test_a_healthy_log(minimr: Minimr, write: Write) -> None:
    log = write(healthy())
    result = minimr("check-log", log)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == ["not judged"] * 3
    assert lines[-1] == f"{log}: 12 invariants hold over 16 events; 3 not judged"


def test_a_log_and_an_output_that_tell_everything(
    minimr: Minimr, write: Write, output: Path
) -> None:
    log = write(whole())
    result = minimr("check-log", log, "--output", str(output))
    assert result.stdout == f"{log}: 15 invariants hold over 18 events\n"
    assert result.exit_code == 0


def test_a_violation(minimr: Minimr, write: Write) -> None:
    log = write(wrong())
    result = minimr("check-log", log)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == (
        f"{log}, line 9: attempt 1 of map-0 (job-1) on worker-2 starts, though attempt 0 on "
        "worker-1 was done (line 6) and its output was not lost "
        "[9: completed work re-runs only with a logged cause]"
    )
    assert result.stdout.splitlines()[-1].endswith("; 1 broken, 1 time in all; 3 not judged")


def test_several_logs_one_of_them_broken(minimr: Minimr, write: Write) -> None:
    result = minimr("check-log", write(healthy(), "a.log"), write(wrong(), "b.log"), "--json")
    assert result.exit_code == 1
    good, bad = json.loads(result.stdout)
    assert (good["violations"], good["events"]) == ([], 16)
    assert set(good["held"]) | {int(each) for each in good["not_judged"]} == set(CHECKS)
    [violation] = bad["violations"]
    assert (violation["invariant"], violation["line"]) == (9, 9)
    assert violation["name"] == CHECKS[9]


def test_an_output_that_was_changed(minimr: Minimr, write: Write, output: Path) -> None:
    (output / "part-00001").write_bytes(b"x" * 100)
    result = minimr("check-log", write(healthy()), "--output", str(output))
    assert result.exit_code == 1
    assert "part-00001 has other content than its manifest says" in result.stdout


def test_an_output_of_another_run(minimr: Minimr, write: Write, output: Path) -> None:
    manifest = json.loads((output / "_SUCCESS").read_text())
    manifest["parts"][0]["records"] = 11
    (output / "_SUCCESS").write_text(json.dumps(manifest))
    result = minimr("check-log", write(healthy()), "--output", str(output))
    assert result.exit_code == 1
    assert "commits records 10, and 11 is right" in result.stdout


def test_a_log_cut_in_half_a_line_is_no_violation(minimr: Minimr, write: Write) -> None:
    log = Path(write(healthy()))
    log.write_bytes(log.read_bytes()[:-9])
    result = minimr("check-log", str(log))
    assert result.exit_code == 0
    assert "not judged: 12" in result.stdout


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "is not an event log of minimr"),
        (lambda data: b"\x00\xff" + data, "is not an event log of minimr"),
        (lambda data: data.replace(b'"version":1', b'"version":9'), "of version 9"),
        (lambda data: data.replace(b'{"t":0.5', b'["t":0.5'), "line 7: not an event"),
        (lambda data: data.replace(b'"task":"map-1"', b'"task":7'), "is damaged"),
        (lambda data: data.replace(b'"attempt":0', b'"attempts":0'), "is damaged"),
    ],
)
def test_a_damaged_log_is_one_line_and_exit_code_2(
    damage: Callable[[bytes], bytes], says: str, minimr: Minimr, write: Write
) -> None:
    log = Path(write(healthy()))
    before = log.read_bytes()
    log.write_bytes(damage(before))
    assert log.read_bytes() != before
    result = minimr("check-log", str(log))
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("minimr: ")
    assert str(log) in line
    assert says in line


def test_a_damaged_manifest(minimr: Minimr, write: Write, output: Path) -> None:
    (output / "_SUCCESS").write_text("{")
    result = minimr("check-log", write(healthy()), "--output", str(output))
    assert result.exit_code == 2
    assert "_SUCCESS is damaged" in result.stderr


def test_files_that_are_not_there(minimr: Minimr, write: Write, tmp_path: Path) -> None:
    log = write(healthy())
    for arguments in (["none.log"], [str(tmp_path)], [log, "--output", "none"], []):
        result = minimr("check-log", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
    result = minimr("check-log", log, "--output", str(tmp_path))
    assert result.exit_code == 2
    assert "is no output of minimr" in result.stderr


def test_an_output_needs_one_log_with_one_job(minimr: Minimr, write: Write, output: Path) -> None:
    log = write(healthy())
    for arguments in ([log, log], [write(wrong(), "b.log")]):
        result = minimr("check-log", *arguments, "--output", str(output))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--output" in result.stderr
