import json
from pathlib import Path

import pytest

from minimr.tasks.spec import MEMORY_BYTES
from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession

COUNTED = "To\t1\nbe\t2\nnot\t1\nor\t1\nto\t1\n"
FOLDED = "be\t2\nnot\t1\nor\t1\nto\t2\n"


def test_without_an_output_the_result_goes_to_stdout_and_nothing_else_does(
    minimr: Minimr, job_file: str, text: str
) -> None:
    result = minimr("run", job_file, text)
    assert (result.exit_code, result.stdout) == (0, COUNTED)


@pytest.mark.parametrize("name", ["{}", "{}:WordCount"])
def test_the_job_may_name_its_class(minimr: Minimr, job_file: str, text: str, name: str) -> None:
    assert minimr("run", name.format(job_file), text).stdout == COUNTED


def test_what_follows_two_dashes_are_the_job_s_options(
    minimr: Minimr, job_file: str, text: str
) -> None:
    assert minimr("run", job_file, text, "--", "--ignore-case").stdout == FOLDED


def test_an_unknown_job_option_is_refused_with_those_there_are(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    result = minimr("run", job_file, text, "--", "--lower")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no option --lower" in result.stderr
    assert "[--ignore-case]" in result.stderr
    assert session.requests == []


def test_json_lines_on_stdout(minimr: Minimr, job_file: str, text: str) -> None:
    result = minimr("run", job_file, text, "--output-format", "jsonl")
    assert [json.loads(line) for line in result.stdout.splitlines()][:2] == [["To", 1], ["be", 2]]


def test_bytes_that_were_not_utf8_come_out_as_they_went_in(
    minimr: Minimr, job_file: str, text: str
) -> None:
    Path(text).write_bytes(b"caf\xe9\n")
    assert minimr("run", job_file, text).stdout_bytes == b"caf\xe9\t1\n"


def test_with_an_output_stdout_is_empty_and_a_summary_is_said(
    minimr: Minimr, job_file: str, text: str, tmp_path: Path
) -> None:
    out = tmp_path / "counts"
    result = minimr("run", job_file, text, "-o", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (out / "part-00000").read_text() == COUNTED
    assert f"{out}: 5 records, 26 bytes in 1 part, 1.50 s\n  lines = 2\n" in result.stderr


def test_what_was_counted_is_said_with_the_result_on_stdout(
    minimr: Minimr, job_file: str, text: str
) -> None:
    """A job that finds no number in any line has no other way to say why it prints nothing."""
    result = minimr("run", job_file, text)
    assert (result.stdout, "  lines = 2\n" in result.stderr) == (COUNTED, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wrods", "x"], "A job's own options come after `--`."),
        (["--", "--overwrite"], "no option --overwrite. It is one of minimr's: put it before `--`"),
        (["--", "--no-backups"], "option --no-backups. It is one of minimr's: put it before `--`"),
    ],
)
def test_an_option_on_the_wrong_side_is_told_to_be_there(
    minimr: Minimr, job_file: str, text: str, options: list[str], said: str
) -> None:
    result = minimr("run", job_file, text, *options)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_the_summary_as_json(minimr: Minimr, job_file: str, text: str, tmp_path: Path) -> None:
    result = minimr("run", job_file, text, "-o", tmp_path / "counts", "--json")
    assert json.loads(result.stdout) == {
        "output": str(tmp_path / "counts"),
        "seconds": 1.5,
        "records": 5,
        "bytes": 26,
        "parts": [{"name": "part-00000", "records": 5, "bytes": 26, "sha256": "0" * 64}],
        "counters": {"lines": 2},
        "skipped": 0,
    }


def test_a_log_that_was_given_no_place_is_the_last_word(
    minimr: Minimr, session: FakeSession, job_file: str, text: str, tmp_path: Path
) -> None:
    session.log = tmp_path / "WordCount.log"
    session.skipped = SKIPPED[:1]
    said = f"event log: {session.log}"
    assert minimr("run", job_file, text).stderr.splitlines()[-1] == said
    assert said not in minimr("run", job_file, text, "--log", "run.log").stderr
    assert said not in minimr("run", job_file, text, "-o", tmp_path / "out").stderr


def test_a_run_that_could_write_no_log_does_not_name_one(
    minimr: Minimr, job_file: str, text: str
) -> None:
    assert "event log" not in minimr("run", job_file, text).stderr


SKIPPED = [
    {"position": "a.txt:12", "record": "'x'", "error": "ValueError: no number"},
    {"position": "a.txt:30", "record": "'y'", "error": "killed its process"},
]


@pytest.mark.parametrize(("number", "said"), [(1, "1 record was"), (2, "2 records were")])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_skipped_records_are_the_last_word(
    minimr: Minimr,
    session: FakeSession,
    job_file: str,
    text: str,
    tmp_path: Path,
    number: int,
    said: str,
    more: list[str],
) -> None:
    session.skipped = SKIPPED[:number]
    out = tmp_path / "counts"
    result = minimr("run", job_file, text, "-o", out, *more)
    assert result.stderr.splitlines()[-1] == f"{said} skipped, see {out}/_skipped.jsonl"
    if more:
        assert json.loads(result.stdout)["skipped"] == number


def test_without_an_output_the_first_skipped_record_is_named(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    session.skipped = SKIPPED
    result = minimr("run", job_file, text)
    assert result.stdout == COUNTED
    last = "2 records were skipped, the first at a.txt:12 (ValueError: no number)"
    assert result.stderr.splitlines()[-1] == last


def test_progress_is_plain_lines_where_there_is_no_terminal(
    minimr: Minimr, job_file: str, text: str
) -> None:
    result = minimr("run", job_file, text, text)
    assert result.stderr.splitlines() == [
        "WordCount begins: 2 maps and 1 reduce",
        "map done: 2 tasks in 0.30 s",
        "  lines = 4",
    ]


def test_the_session_gets_what_the_user_asked_for(
    minimr: Minimr, session: FakeSession, job_file: str, text: str, tmp_path: Path
) -> None:
    out, log = str(tmp_path / "out"), str(tmp_path / "run.log")
    asked = ["--workers", "3", "--reducers", "4", "--log", log, "--overwrite"]
    asked += ["--encoding", "latin-1", "--errors", "strict", "--output-format", "jsonl"]
    asked += ["--skip-bad-records", "5", "--memory", "64MB", "--compress", "zlib"]
    asked += ["--no-backups", "--progress-timeout", "2.5", "--pack", "--split-hot-keys"]
    asked += ["--balance-keys"]
    minimr("run", job_file, text, "-o", out, *asked)
    [request] = session.requests
    del request["on_event"]
    assert request == {
        "inputs": [text],
        "output": out,
        "workers": 3,
        "reducers": 4,
        "runner": "cluster",
        "address": None,
        "output_format": "jsonl",
        "encoding": "latin-1",
        "errors": "strict",
        "overwrite": True,
        "skip_bad_records": 5,
        "backups": False,
        "pack": True,
        "split_hot_keys": True,
        "balance_keys": True,
        "progress_timeout_s": 2.5,
        "memory_bytes": 64_000_000,
        "compress": "zlib",
        "log": log,
        "options": {},
    }


def test_what_the_user_leaves_open_has_the_defaults_of_the_library(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("run", job_file, text)
    [request] = session.requests
    chosen = {name: request[name] for name in ("workers", "reducers", "runner", "output_format")}
    assert chosen == {
        "workers": 2,
        "reducers": None,
        "runner": "cluster",
        "output_format": None,
    }
    assert request["memory_bytes"] == MEMORY_BYTES
    assert (request["encoding"], request["errors"]) == ("utf-8", "surrogateescape")
    assert (request["overwrite"], request["log"], request["address"]) == (False, None, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json"], "minimr: --json prints a summary, and without -o"),
        (["--address", "c.json", "--workers", "2"], "--address or --workers, not both"),
        (
            ["--address", "c.json", "--runner", "serial"],
            "minimr: the serial runner uses no cluster",
        ),
        (["--workers", "0"], "--workers"),
        (["--progress-timeout", "0"], "--progress-timeout"),
        (["--progress-timeout", "nan"], "nan is no number of seconds"),
        (["--progress-timeout", "9", "--address", "c.json"], "minimr: --progress-timeout is for"),
        (["--progress-timeout", "9", "--runner", "serial"], "minimr: --progress-timeout is for"),
        (["--runner", "spark"], "--runner"),
        (["--frobnicate"], "--frobnicate"),
        (["--encoding", "klingon"], "Python knows no encoding 'klingon'"),
        (["--reducers", "0"], "--reducers"),
        (["--skip-bad-records", "-1"], "--skip-bad-records"),
        (["--memory", "lots"], "'lots' is no size; write 64MB"),
    ],
)
def test_requests_that_make_no_sense_are_refused_before_any_work(
    minimr: Minimr,
    session: FakeSession,
    job_file: str,
    text: str,
    arguments: list[str],
    said: str,
) -> None:
    result = minimr("run", job_file, text, *arguments)
    assert (result.exit_code, result.stdout, session.requests) == (2, "", [])
    assert said in result.stderr


def test_a_serial_run_and_a_run_on_a_cluster_are_each_fine(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    assert minimr("run", job_file, text, "--runner", "serial").exit_code == 0
    assert minimr("run", job_file, text, "--address", "c.json").exit_code == 0
    asked = [(request["runner"], request["address"]) for request in session.requests]
    assert asked == [("serial", None), ("cluster", Path("c.json"))]


@pytest.mark.parametrize("arguments", [[], ["wordcount"], ["wordcount", "--", "x"]])
def test_a_job_and_an_input_are_needed(minimr: Minimr, arguments: list[str]) -> None:
    result = minimr("run", *arguments)
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr
    assert "Try: minimr run --help" in result.stderr


def test_no_such_job(minimr: Minimr, text: str) -> None:
    result = minimr("run", "nosuchjob.py", text)
    assert result.exit_code == 2
    assert result.stderr.startswith("minimr: ")
    assert "nosuchjob.py" in result.stderr
