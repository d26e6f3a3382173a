import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.main import COMMANDS, INTERRUPTED, main, report, take_traceback_flag
from minimr import __version__
from minimr.errors import JobCancelled, JobFailed, MinimrError, NoCoordinator, UsageError
from tests.cli.conftest import Minimr
from tests.cli.fake_session import FakeSession

ROOT = Path(__file__).parent.parent.parent
READS = ("run", "jobs", "status", "logs", "predict", "train linear")


def every_command() -> dict[str, click.Command]:
    """All commands, by the words that call them."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
    return found


@pytest.mark.parametrize("name", every_command())
def test_every_command_says_what_it_does(name: str) -> None:
    command = every_command()[name]
    assert command.help
    assert command.get_short_help_str(64).endswith(".")
    assert not command.get_short_help_str(64).endswith("..."), "its first sentence is too long"
    described = [option for option in command.params if isinstance(option, click.Option)]
    silent = [option.name for option in described if not option.help]
    assert silent == []


@pytest.mark.parametrize("name", every_command())
def test_help_of_every_command(minimr: Minimr, name: str) -> None:
    for flag in ("-h", "--help"):
        result = minimr(*name.split(), flag)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(f"Usage: minimr {name} ")
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_every_command_is_documented() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "tutorials").rglob("*.md"))]
    if not pages[0].exists():
        pytest.skip("there is no README.md yet: NO command was looked up in it")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages if page.exists())
    assert [name for name in COMMANDS if not re.search(rf"\bminimr {name}\b", text)] == []


def test_the_help_lists_every_command_once(minimr: Minimr) -> None:
    lines = [line.split() for line in minimr("--help").stdout.splitlines()]
    first_words = [words[0] for words in lines if words]
    assert [first_words.count(name) for name in COMMANDS] == [1] * len(COMMANDS)


@pytest.mark.parametrize("name", READS)
def test_commands_that_read_offer_json(name: str) -> None:
    assert "as_json" in {option.name for option in every_command()[name].params}


def test_without_a_command_the_help_is_shown(minimr: Minimr) -> None:
    assert minimr().stdout == minimr("--help").stdout
    assert minimr("--traceback").stdout == minimr("--help").stdout
    assert minimr("train").stderr == "minimr: Missing command.\nTry: minimr train --help\n"
    assert minimr("train").exit_code == 2


def test_the_help_tells_what_an_exit_status_means(minimr: Minimr) -> None:
    told = " ".join(minimr("--help").stdout.split())
    for status in (0, UsageError.exit_code, NoCoordinator.exit_code, JobCancelled.exit_code):
        assert re.search(rf"exit status is .*\b{status} (when|if|after)", told), status


def test_the_version(minimr: Minimr) -> None:
    assert minimr("--version").stdout == f"minimr {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["train", "linear", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Which is what keeps it under 150 ms: numpy alone takes as long as all of the rest."""
    script = (
        "import sys\n"
        "from cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    heavy = {'numpy', 'rich', 'msgpack', 'ssl', 'minimr.session', 'ml.linear'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert finished.stderr == "[]\n"


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (MinimrError("the disk is full"), 1, "minimr: the disk is full\n"),
        (JobFailed("map-0 failed\nValueError: no"), 1, "minimr: map-0 failed\nValueError: no\n"),
        (UsageError("no such file: x"), 2, "minimr: no such file: x\n"),
        (NoCoordinator("nobody answers"), 3, "minimr: nobody answers\n"),
        (JobCancelled("job-1 was cancelled"), 130, "minimr: job-1 was cancelled\n"),
        (KeyboardInterrupt(), INTERRUPTED, "\nminimr: interrupted\n"),
        (
            FileNotFoundError(2, "No such file or directory", "x"),
            1,
            "minimr: x: No such file or directory\n",
        ),
        (
            BrokenPipeError(32, "Broken pipe"),
            1,
            "minimr: a connection broke: [Errno 32] Broken pipe\n",
        ),
    ],
)
def test_errors_are_a_line_or_two_and_an_exit_code(
    minimr: Minimr,
    session: FakeSession,
    job_file: str,
    text: str,
    error: BaseException,
    exit_code: int,
    said: str,
) -> None:
    def fail() -> None:
        raise error

    session.before_running = fail
    result = minimr("run", job_file, text)
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", said)
    assert INTERRUPTED == 130


def test_ctrl_c_while_a_class_is_made_is_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    """Python 3.11 wraps it in a RuntimeError, which looked like a fault of ours."""
    wrapped = RuntimeError("Error calling __set_name__ on 'Field' instance 'tasks' in 'JobView'")
    wrapped.__cause__ = KeyboardInterrupt()
    assert report(wrapped) == INTERRUPTED
    assert capsys.readouterr().err == "minimr: interrupted\n"


def test_a_fault_of_ours_is_not_hidden(
    minimr: Minimr, session: FakeSession, job_file: str, text: str
) -> None:
    def fail() -> None:
        raise KeyError("inside")

    session.before_running = fail
    assert isinstance(minimr("run", job_file, text).exception, KeyError)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(["--frobnicate"], "minimr"), (["frobnicate"], "minimr"), (["up", "-x"], "minimr up")],
)
def test_usage_errors_say_where_to_look(minimr: Minimr, arguments: list[str], where: str) -> None:
    result = minimr(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    problem, advice = result.stderr.splitlines()
    assert problem.startswith("minimr: No such ")
    assert advice == f"Try: {where} --help"


def test_a_traceback_is_shown_only_on_request(
    minimr: Minimr, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = minimr("run", "nosuchjob.py", text)
    assert "Traceback" not in plain.stderr
    for arguments in (
        ["--traceback", "run", "nosuchjob.py", text],
        ["run", "nosuchjob.py", text, "--traceback"],
    ):
        result = minimr(*arguments)
        assert "Traceback (most recent call last)" in result.stderr
        assert result.stderr.endswith(plain.stderr)
        assert result.exit_code == 2
    monkeypatch.setenv("MINIMR_TRACEBACK", "1")
    assert "Traceback" in minimr("run", "nosuchjob.py", text).stderr


@pytest.mark.parametrize(
    ("arguments", "rest", "found"),
    [
        ([], [], False),
        (["a", "--traceback", "b"], ["a", "b"], True),
        (["a", "--", "--traceback"], ["a", "--", "--traceback"], False),
        (["--traceback", "--", "--traceback"], ["--", "--traceback"], True),
    ],
)
def test_the_traceback_flag_stands_before_the_job_s_arguments(
    arguments: list[str], rest: list[str], found: bool
) -> None:
    assert take_traceback_flag(arguments) == (rest, found)


@pytest.fixture
def long_logs(tmp_path: Path) -> list[str]:
    """A command that prints a megabyte."""
    log = tmp_path / "run.log"
    event = '{"t": 1.0, "event": "note", "text": "' + "x" * 1000 + '"}\n'
    log.write_text('{"event": "log", "version": 1, "minimr": "0", "wall": ""}\n' + event * 1000)
    return [sys.executable, "-m", "cli.main", "logs", str(log)]


def test_a_full_disk_behind_stdout_is_said(long_logs: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            long_logs, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.stderr == "minimr: stdout cannot be written: No space left on device\n"
    assert ended.returncode == 1


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_full_disk_behind_the_help_is_said(flag: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "cli.main", flag],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.stderr == (
        "minimr: what was to be written cannot be: No space left on device; make room and try "
        "again\n"
    )
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("command", "status", "stderr"),
    [
        ("jobs >&-", 1, "minimr: stdout cannot be written: it is closed\n"),
        ("data terasort 1 -o records 2>&-", 0, ""),
        ("data terasort 1 -o records >&-", 0, "records: 1 record, 100 bytes\n"),
        ("run wordcount records -o counts <&- >&- 2>&-", 0, ""),
    ],
)
def test_streams_that_the_caller_has_closed(
    tmp_path: Path, command: str, status: int, stderr: str
) -> None:
    """Words to people go nowhere then, neither among the data nor into what is opened next."""
    (tmp_path / "records").write_text("a b\n")
    if "terasort" in command:
        (tmp_path / "records").unlink()
    ended = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m cli.main {command}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", stderr)
    if "terasort" in command:
        assert (tmp_path / "records").stat().st_size == 100


def test_a_reader_that_goes_away_ends_the_command_quietly(long_logs: list[str]) -> None:
    """As in `minimr logs run.log | head -1`."""
    running = subprocess.Popen(long_logs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert (running.wait(), said) == (0, b"")


def test_what_an_error_notes_is_told_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = JobFailed("map-0 failed")
    error.add_note("The event log: out.log")
    assert report(error) == 1
    assert capsys.readouterr().err == "minimr: map-0 failed\nThe event log: out.log\n"


@pytest.mark.parametrize(
    ("terminal", "kind", "no_color", "red"),
    [(1, "xterm", "", 1), (1, "xterm", "1", 0), (0, "xterm", "", 0), (1, "dumb", "", 0)],
)
def test_an_error_is_red_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: int,
    kind: str,
    no_color: str,
    red: int,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: bool(terminal))
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("NO_COLOR", no_color)
    report(UsageError("no"))
    assert (
        capsys.readouterr().err == ("\x1b[31m\x1b[1mminimr:\x1b[0m" if red else "minimr:") + " no\n"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 2 TiB"), " for this: Unable to allocate 2 TiB\n"),
        (MemoryError(), " for this\n"),
    ],
)
def test_memory_that_is_not_there(
    capsys: pytest.CaptureFixture[str], error: MemoryError, said: str
) -> None:
    assert report(error) == 1
    assert capsys.readouterr().err == f"minimr: there is not enough memory{said}"
