import json
from pathlib import Path

import pytest

from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession


def test_up_prints_the_command_that_stops_it(minimr: Minimr, session: FakeSession) -> None:
    result = minimr("up", "--workers", "3", "--slots", "2")
    assert (result.exit_code, result.stdout) == (0, "minimr down\n")
    assert result.stderr == "a coordinator and 3 workers are up; stop them with:\n"
    assert session.default_address_file().exists()
    assert session.requests == [{"started": 3, "slots": 2}]


def test_up_starts_two_workers_of_one_slot_if_nobody_says_otherwise(
    minimr: Minimr, session: FakeSession
) -> None:
    minimr("up")
    minimr("up", "--workers", "1")
    assert session.requests == [{"started": 2, "slots": 1}, {"started": 1, "slots": 1}]


def test_up_and_down_elsewhere(minimr: Minimr, tmp_path: Path) -> None:
    address = tmp_path / "my cluster.json"
    up = minimr("up", "--address", address)
    assert up.stdout == f"minimr down --address '{address}'\n"
    assert address.exists()
    down = minimr("down", "--address", address)
    assert (down.exit_code, down.stdout, down.stderr) == (0, "", "the cluster is down\n")
    assert not address.exists()


def test_up_as_json(minimr: Minimr, session: FakeSession) -> None:
    assert json.loads(minimr("up", "--json").stdout) == {
        "host": "127.0.0.1",
        "port": 4000,
        "pid": 77,
        "address_file": str(session.default_address_file()),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["down"],
        ["status"],
        ["worker"],
        ["cancel", "job-1"],
        ["logs", "job-1"],
        ["submit", "JOB_FILE", "TEXT", "-o", "out"],
    ],
)
def test_without_a_coordinator_the_exit_code_is_3(
    minimr: Minimr, job_file: str, text: str, arguments: list[str]
) -> None:
    names = {"JOB_FILE": job_file, "TEXT": text}
    result = minimr(*(names.get(argument, argument) for argument in arguments))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "minimr up" in result.stderr


def test_the_coordinator_prints_the_line_that_starts_a_worker(
    minimr: Minimr, session: FakeSession, tmp_path: Path
) -> None:
    address = tmp_path / "cluster.json"
    result = minimr("coordinator", "--port", "4321", "--address", address)
    assert result.stdout == f"minimr worker --address {address}\n"
    assert result.stderr.splitlines()[:2] == [
        "the coordinator is ready; start workers in other shells with:",
        "Ctrl-C stops it",
    ]
    assert result.exit_code == 130  # the fake is interrupted as soon as it is ready

    pasted = result.stdout.split()[1:]
    joined = minimr(*pasted, "--slots", "4")
    assert (joined.exit_code, joined.stdout) == (0, "")
    assert joined.stderr == "this is worker-1, with 4 slots; Ctrl-C stops it\n"
    assert session.requests == [{"port": 4321, "workers": 0}, {"worker": str(address), "slots": 4}]


def test_the_coordinator_names_the_default_file_in_full(
    minimr: Minimr, session: FakeSession
) -> None:
    line = minimr("coordinator").stdout
    assert line == f"minimr worker --address {session.default_address_file()}\n"
    assert session.requests == [{"port": 0, "workers": 0}]


def test_status_is_a_table_of_workers_and_one_of_jobs(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    minimr("submit", job_file, text, "-o", "out")
    assert minimr("status").stdout.splitlines() == [
        "coordinator at 127.0.0.1:4000",
        "",
        "WORKER     SLOTS  STATE  ADDRESS         RUNNING",
        "worker-1   1      alive  127.0.0.1:5000  job-1/map-3/0",
        "worker-10  1      alive  127.0.0.1:5000  -",
        "",
        "JOB    NAME       STATE    MAPS  REDUCES  TIME",
        "job-1  wordcount  running  3/12  0/2      12.3 s",
    ]


def test_status_says_which_log_broke(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    minimr("submit", job_file, text, "-o", "out")
    assert minimr("status").stderr == ""
    session.log_error = "the event log out.log cannot be written: No space left on device"
    assert minimr("status").stderr == f"job-1: {session.log_error}\n"


def test_status_shows_no_time_where_none_is_known(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    minimr("submit", job_file, text, "-o", "out")
    session.seconds = None
    assert minimr("status").stdout.splitlines()[-1].split()[-2:] == ["0/2", "-"]


def test_status_says_how_many_jobs_it_leaves_out(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    minimr("submit", job_file, text, "-o", "out")
    session.older_jobs = 4000
    told = "4,000 older jobs not shown: a reply has no room for more\n"
    assert minimr("status").stderr == told


def test_status_as_json(minimr: Minimr) -> None:
    minimr("up")
    state = json.loads(minimr("status", "--json").stdout)
    assert [worker["name"] for worker in state["workers"]] == ["worker-1", "worker-10"]
    assert state["jobs"] == []


def test_a_submitted_job_can_be_cancelled_by_the_printed_id(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    submitted = minimr(
        "submit", job_file, text, "-o", "out", "--reducers", "3", "--", "--ignore-case"
    )
    assert (submitted.exit_code, submitted.stdout, submitted.stderr) == (0, "job-1\n", "")
    request = session.requests[-1]
    assert (request["inputs"], request["output"], request["reducers"]) == ([text], "out", 3)
    assert request["options"] == {"ignore_case": True}

    cancelled = minimr("cancel", submitted.stdout.strip())
    said = (cancelled.exit_code, cancelled.stdout, cancelled.stderr)
    assert said == (0, "", "job-1 is cancelled\n")
    assert session.submitted == {"job-1": "cancelled"}


def test_a_submitted_job_needs_an_output(minimr: Minimr, job_file: str, text: str) -> None:
    minimr("up")
    result = minimr("submit", job_file, text)
    assert result.exit_code == 2
    assert result.stderr == ("minimr: a submitted job needs a place for its result: give -o OUT\n")


def test_an_unknown_job_cannot_be_cancelled(minimr: Minimr) -> None:
    minimr("up")
    result = minimr("cancel", "job-7")
    assert result.exit_code == 2
    assert "job-7" in result.stderr


def test_logs_tell_one_sentence_an_event(minimr: Minimr, job_file: str, text: str) -> None:
    minimr("up")
    minimr("submit", job_file, text, "-o", "out")
    assert minimr("logs", "job-1").stdout.splitlines() == [
        "    0.000  wordcount begins: 2 maps and 1 reduce",
        "    0.100  map-0 goes to worker-1",
    ]
    events = [json.loads(line) for line in minimr("logs", "job-1", "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["job_submitted", "attempt_started"]


def test_logs_reads_the_file_of_an_event_log(minimr: Minimr, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(
        '{"event": "log", "version": 1, "minimr": "0.1.0", "wall": ""}\n'
        '{"t": 2.5, "event": "note", "text": "it \\u00e9\\udcff"}\n'
    )
    result = minimr("logs", log)
    assert result.stdout_bytes == "    2.500  it é".encode() + b"\xff\n"
    log.write_text("something else\n")
    refused = minimr("logs", log)
    assert refused.exit_code == 1
    assert "not an event log" in refused.stderr


@pytest.mark.parametrize(
    ("job", "code", "said"),
    [
        ("nowhere.log", 2, "there is no event log nowhere.log; check the path"),
        (".", 2, "there is no event log .; check the path"),
        ("job-1", 3, "start one with `minimr up`"),
        ("job-1.2", 3, "start one with `minimr up`"),
    ],
)
def test_a_log_that_is_not_there_is_no_cluster_that_is_not_up(
    minimr: Minimr, job: str, code: int, said: str
) -> None:
    result = minimr("logs", job)
    assert (result.exit_code, said in result.stderr) == (code, True)


def test_the_coordinator_keeps_its_journal_where_it_is_told(
    minimr: Minimr, session: FakeSession, tmp_path: Path
) -> None:
    minimr("coordinator", "--journal", tmp_path / "j", "--address", tmp_path / "cluster.json")
    assert session.requests == [{"port": 0, "workers": 0, "journal": str(tmp_path / "j")}]


def test_a_worker_can_be_told_how_long_a_task_may_be_silent(
    minimr: Minimr, session: FakeSession, tmp_path: Path
) -> None:
    address = tmp_path / "cluster.json"
    minimr("coordinator", "--address", address)
    minimr("worker", "--address", address, "--progress-timeout", "2.5")
    assert session.requests[-1]["progress_timeout_s"] == 2.5
    refused = minimr("worker", "--address", address, "--progress-timeout", "0")
    assert refused.exit_code == 2


def test_up_passes_the_progress_timeout_on(minimr: Minimr, session: FakeSession) -> None:
    minimr("up", "--progress-timeout", "30")
    assert session.requests == [{"started": 2, "slots": 1, "progress_timeout_s": 30}]


def test_a_worker_may_serve_at_one_port_and_name_another(
    minimr: Minimr, session: FakeSession, tmp_path: Path
) -> None:
    address = tmp_path / "cluster.json"
    minimr("coordinator", "--address", address)
    given = ["--shuffle-port", "7001", "--advertise", "127.0.0.1:7002"]
    minimr("worker", "--address", address, *given)
    told = {"shuffle_port": 7001, "advertise": ("127.0.0.1", 7002)}
    assert session.requests[-1] == {"worker": str(address), "slots": 1, **told}


@pytest.mark.parametrize("text", ["7002", "localhost:", ":7002", "host:0", "host:65536", "host:x"])
def test_what_is_no_host_and_port_is_refused(minimr: Minimr, text: str) -> None:
    result = minimr("worker", "--advertise", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{text!r} is no HOST:PORT" in result.stderr


def test_late_tasks_of_a_submitted_job_can_do_without_backups(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    minimr("up")
    asked = []
    for more in ([], ["--no-backups"]):
        minimr("submit", job_file, text, "-o", "out", *more)
        asked.append(session.requests[-1]["backups"])
    assert asked == [True, False]
