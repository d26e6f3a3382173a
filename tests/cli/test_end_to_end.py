"""The commands as a user has them: processes of their own, real workers, real TCP."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

if find_spec("minimr.session") is None:
    pytest.skip("minimr.session does not exist yet: NOTHING here ran", allow_module_level=True)

LIMIT_S = 60
MINIMR = [sys.executable, "-m", "cli.main"]
ROOT = Path(__file__).parent.parent.parent
DIABETES = str(ROOT / "ml" / "data" / "diabetes.libsvm")

TEXT = "the cat and the hat\nand the bat\n" * 50

FAILING_JOB = """
import minimr as mr

class Failing(mr.Job):
    def map(self, offset, line):
        print("reading", line)
        raise ValueError("no good: " + line)
        yield
"""

SLOW_JOB = """
import time
import minimr as mr

class Slow(mr.Job):
    def map(self, offset, line):
        time.sleep(1000)
        yield line, 1
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a test's files lie; its temporary files lie in `home/temporary`."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "failing.py").write_text(FAILING_JOB)
    (tmp_path / "slow.py").write_text(SLOW_JOB)
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    """As after `pip install .`, with a home of its own."""
    place = {"HOME": str(home), "TMPDIR": str(home / "temporary"), "PYTHONPATH": str(ROOT)}
    inherited = {name: value for name, value in os.environ.items() if name != "MINIMR_ADDRESS"}
    return {**inherited, **place, **more}


def minimr(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MINIMR, *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MINIMR, *arguments],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def nothing_is_left(home: Path) -> bool:
    """Neither temporary files nor a process that was started with this home."""
    mark = f"TMPDIR={home}/temporary".encode()
    alive = [
        path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)
    ]
    return list((home / "temporary").iterdir()) == [] and alive == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended, or is not ours
        return b""


def counted(output: str) -> dict[str, int]:
    pairs = (line.split("\t") for line in output.splitlines())
    return {word: int(number) for word, number in pairs}


def test_a_word_count_to_stdout(home: Path) -> None:
    result = minimr(home, "run", "wordcount", "text.txt")
    assert result.returncode == 0
    assert counted(result.stdout) == Counter(TEXT.split())
    assert result.stderr.splitlines()[0].startswith("WordCount begins: ")
    assert len(result.stderr.splitlines()) == 4
    log = result.stderr.splitlines()[-1].removeprefix("event log: ")
    assert Path(log).parent == home / ".minimr" / "logs"
    assert "the job is done" in minimr(home, "logs", log).stdout
    assert nothing_is_left(home)


@pytest.mark.parametrize("runner", ["cluster", "serial"])
def test_a_word_count_to_files(home: Path, runner: str) -> None:
    request = ["run", "wordcount", "text.txt", "--reducers", "3", "-o", "counts"]
    result = minimr(home, *request, "--runner", runner, "--json")
    assert result.returncode == 0, result.stderr
    parts = [home / "counts" / f"part-{number:05}" for number in range(3)]
    assert counted("".join(part.read_text() for part in parts)) == Counter(TEXT.split())
    assert json.loads(result.stdout)["records"] == len(set(TEXT.split()))
    assert (home / "counts" / "_SUCCESS").exists()

    told = minimr(home, "logs", "counts.log").stdout
    assert "WordCount begins" in told
    assert "the job is done" in told

    again = minimr(home, *request)
    assert (again.returncode, again.stdout) == (2, "")
    assert "counts" in again.stderr
    assert minimr(home, *request, "--overwrite").returncode == 0
    assert nothing_is_left(home)


@pytest.mark.parametrize(
    "arguments",
    [
        ["wordcount", "missing.txt"],
        ["wordcount", "*.nothing"],
        ["wordcount", "temporary"],
        ["nosuchjob", "text.txt"],
        ["wordcount", "text.txt", "--", "--words", "chars"],
        ["wordcount", "text.txt", "--encoding", "klingon"],
        ["grep", "text.txt"],
    ],
)
def test_a_request_that_cannot_be_met_is_refused(home: Path, arguments: list[str]) -> None:
    result = minimr(home, "run", *arguments, "-o", "out")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("minimr: ")
    assert len(result.stderr.splitlines()) <= 2
    assert not (home / "out").exists()
    assert nothing_is_left(home)


def test_an_input_is_not_replaced_by_the_log_of_its_job(home: Path) -> None:
    (home / "app.log").write_text(TEXT)
    result = minimr(home, "run", "wordcount", "app.log", "-o", "app")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"minimr: the event log {home}/app.log cannot be written: that file holds something else, "
        "which would be lost; choose another file\n"
    )
    assert (home / "app.log").read_text() == TEXT
    assert not (home / "app").exists()


def test_a_job_that_fails_says_so_in_the_user_s_terms(home: Path) -> None:
    result = minimr(home, "run", "failing.py", "text.txt", "-o", "out")
    assert (result.returncode, result.stdout) == (1, "")
    assert "ValueError: no good: the cat and the hat" in result.stderr
    assert "failing.py" in result.stderr
    assert "minimr/tasks" not in result.stderr
    assert result.stderr.endswith(f"\nThe event log: {home / 'out.log'}\n")
    assert re.search(r"^\[map-\d\] reading the cat and the hat$", result.stderr, re.MULTILINE)
    assert not (home / "out").exists()
    assert nothing_is_left(home)


def test_bad_records_are_skipped_and_saved(home: Path) -> None:
    lines = ["1", "x", "3", "?"]
    (home / "numbers.txt").write_text("".join(f"{line}\n" for line in lines))
    (home / "adding.py").write_text(
        "import minimr as mr\n\n\nclass Adding(mr.Job):\n"
        "    def map(self, offset, line):\n        yield 'sum', int(line)\n\n"
        "    reduce = mr.Sum()\n"
    )
    request = ["run", "adding.py", "numbers.txt", "--reducers", "1", "--runner", "serial"]
    result = minimr(home, *request, "-o", "out", "--skip-bad-records", "2")
    assert result.returncode == 0, result.stderr
    assert (home / "out" / "part-00000").read_text() == "sum\t4\n"
    last = f"2 records were skipped, see {home}/out/_skipped.jsonl"
    assert result.stderr.splitlines()[-1] == last
    saved = (home / "out" / "_skipped.jsonl").read_text().splitlines()
    found = [(each["position"], each["record"]) for each in map(json.loads, saved)]
    assert found == [("numbers.txt:2", "'x'"), ("numbers.txt:6", "'?'")]

    too_many = minimr(home, *request, "-o", "again", "--skip-bad-records", "1")
    assert (too_many.returncode, too_many.stdout) == (1, "")
    assert "--skip-bad-records (skip_bad_records) allows 1" in too_many.stderr
    assert not (home / "again").exists()
    assert nothing_is_left(home)


POISON_JOB = """
import ctypes
import minimr as mr

class Poisoned(mr.Job):
    def map(self, offset, line):
        if line == "poison":
            ctypes.string_at(0)
        yield line, 1

    reduce = mr.Sum()
"""


def test_a_record_that_kills_its_process_is_named_and_can_be_skipped(home: Path) -> None:
    (home / "poison.py").write_text(POISON_JOB)
    (home / "lines.txt").write_text("good\ngood\npoison\ngood\n")
    request = ["run", "poison.py", "lines.txt", "--workers", "1"]
    result = minimr(home, *request)
    assert (result.returncode, result.stdout) == (1, "")
    error = result.stderr.partition("minimr: ")[2]
    assert "killed by signal 11 (Segmentation fault) in map task 0 at lines.txt:10" in error
    assert "on the record 'poison'" in error
    assert "--skip-bad-records" in error
    skipped = minimr(home, *request, "--skip-bad-records", "1")
    assert (skipped.returncode, skipped.stdout) == (0, "good\t3\n")
    assert nothing_is_left(home)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_everything(home: Path, ending: signal.Signals) -> None:
    running = start(home, "run", "slow.py", "text.txt", "-o", "out")
    assert running.stderr is not None
    assert "Slow begins" in running.stderr.readline()
    running.send_signal(ending)
    _, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130
    assert said.split("\n")[-2] == "minimr: interrupted"
    assert "Traceback" not in said
    assert not (home / "out").exists()
    assert minimr(home, "logs", "out.log").stdout.endswith("the job was cancelled\n")
    assert nothing_is_left(home)


def test_sigterm_leaves_no_temporary_result(home: Path) -> None:
    running = start(home, "run", "slow.py", "text.txt")
    assert running.stderr is not None
    assert "Slow begins" in running.stderr.readline()
    running.terminate()
    running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130
    assert nothing_is_left(home)


ENDLESS_GANG = """
import os
import signal
import sys
import minimr as mr

class Endless(mr.Job):
    def gang(self, blocks, members):
        members.save(b"something")
        members.note(saved=True)
        signal.pause()
        yield 0, 0

def on_event(event):
    if event["event"] == "member_note":
        print("saved", flush=True)

with mr.Cluster(1, on_event=on_event) as cluster:
    cluster.load("text.txt").gang(Endless)
"""


def test_a_program_that_is_killed_leaves_no_checkpoints(home: Path) -> None:
    (home / "endless.py").write_text(ENDLESS_GANG)
    running = subprocess.Popen(
        [sys.executable, "endless.py"],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "saved\n"
    running.kill()
    running.communicate(timeout=LIMIT_S)
    deadline = time.monotonic() + LIMIT_S
    while not nothing_is_left(home):
        assert time.monotonic() < deadline
        time.sleep(0.01)


STUCK_ONCE_JOB = """
import signal
from pathlib import Path
import minimr as mr

class StuckOnce(mr.Job):
    marker: str

    def map(self, offset, line):
        if not Path(self.marker).exists():
            Path(self.marker).touch()
            signal.pause()
        yield line, 1

    reduce = mr.Sum()
"""


@pytest.mark.parametrize("cluster", ["own", "standing"])
def test_a_task_that_is_stuck_is_given_up_when_the_user_says(home: Path, cluster: str) -> None:
    (home / "stuck.py").write_text(STUCK_ONCE_JOB)
    patience, own, place = ["--progress-timeout", "1"], [], []
    if cluster == "own":
        own = ["--workers", "1", *patience]
    else:
        assert minimr(home, "up", "--workers", "1", *patience).returncode == 0
        place = ["--address", str(home / ".minimr" / "cluster.json")]
    request = ["run", "stuck.py", "text.txt", "-o", "out", "--no-backups", *own, *place]
    result = minimr(home, *request, "--", "--marker", str(home / "was-here"))
    if place:
        minimr(home, "down")
    assert result.returncode == 0, result.stderr
    assert "no progress for 1 s" in minimr(home, "logs", "out.log").stdout
    assert nothing_is_left(home)


def test_a_reader_that_goes_away_is_no_error(home: Path) -> None:
    (home / "long.txt").write_text("\n".join(f"{number:060}" for number in range(20_000)))
    running = start(home, "run", "sort", "long.txt")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert running.wait(LIMIT_S) == 0
    assert [line.split()[0] for line in said.splitlines()] == ["Sort", "map", "reduce"]
    assert nothing_is_left(home)


@pytest.fixture
def standing(home: Path) -> Iterator[Path]:
    assert minimr(home, "up", "--workers", "1").returncode == 0
    yield home
    minimr(home, "down")
    assert nothing_is_left(home)


def test_a_standing_cluster(standing: Path) -> None:
    status = json.loads(minimr(standing, "status", "--json").stdout)
    assert [worker["slots"] for worker in status["workers"]] == [1]

    address = str(standing / ".minimr" / "cluster.json")
    here = minimr(standing, "run", "wordcount", "text.txt", "--address", address)
    assert counted(here.stdout) == Counter(TEXT.split())

    slow = minimr(standing, "submit", "slow.py", "text.txt", "-o", "slow").stdout.strip()
    assert f"{slow} " in minimr(standing, "status").stdout
    assert "Slow begins" in minimr(standing, "logs", slow).stdout
    assert minimr(standing, "cancel", slow).returncode == 0
    assert "the job was cancelled" in minimr(standing, "logs", slow).stdout
    assert "the job was cancelled" in minimr(standing, "logs", "slow.log").stdout
    assert minimr(standing, "cancel", "job-99").returncode == 2
    assert minimr(standing, "logs", "job-99").returncode == 2

    second = minimr(standing, "up")
    assert second.returncode == 2
    assert "minimr down" in second.stderr
    assert not (standing / "slow").exists()


def test_two_shells_are_enough(home: Path) -> None:
    address = str(home / "by hand.json")
    coordinator = start(home, "coordinator", "--address", address)
    assert coordinator.stdout is not None
    line = coordinator.stdout.readline()
    assert line == f"minimr worker --address '{address}'\n"
    worker = start(home, "worker", "--address", address)
    assert worker.stderr is not None
    assert "this is worker-1" in worker.stderr.readline()
    result = minimr(home, "run", "wordcount", "text.txt", "--address", address)
    assert counted(result.stdout) == Counter(TEXT.split())

    coordinator.send_signal(signal.SIGINT)
    assert coordinator.communicate(timeout=LIMIT_S)[1].endswith("minimr: interrupted\n")
    assert coordinator.returncode == 130
    worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0
    assert minimr(home, "status", "--address", address).returncode == 3
    assert nothing_is_left(home)


def test_without_a_cluster_the_exit_code_is_3(home: Path) -> None:
    for command in (["status"], ["down"], ["cancel", "job-1"], ["logs", "job-1"], ["worker"]):
        result = minimr(home, *command)
        assert (result.returncode, result.stdout) == (3, "")
        assert len(result.stderr.splitlines()) <= 2


def test_a_model_is_trained_saved_and_used(home: Path) -> None:
    asked = ["--step", "0.3", "--intercept", "--split", "0.6,0.4", "--model", "model.json"]
    trained = minimr(home, "train", "linear", DIABETES, *asked, "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["metrics"]["test"]["r2"] > 0.4
    told = minimr(home, "logs", "model.json.log").stdout
    rounds = len(json.loads(trained.stdout)["loss_history"])
    assert told.count("GradientRound is done, a round of 8 maps, in") == rounds
    predicted = minimr(home, "predict", "model.json", DIABETES)
    assert len([float(line) for line in predicted.stdout.splitlines()]) == 442
    assert predicted.stderr.startswith("442 rows, ")
    assert nothing_is_left(home)


def test_a_misspelt_column_of_labels_is_refused_before_it_is_looked_for_at_the_workers(
    home: Path,
) -> None:
    (home / "homes.csv").write_text("size,price\n1,2\n2,4\n")
    result = minimr(home, "train", "linear", "homes.csv", "--label", "cost", "--log", "run.log")
    assert (result.returncode, result.stdout) == (2, "")
    assert "has no column 'cost' for the labels; it has 2 columns: size, price" in result.stderr
    assert "attempt_failed" not in (home / "run.log").read_text()


def test_the_demo(home: Path) -> None:
    result = minimr(home, "demo", "text.txt")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[0] == "the"
    assert "\x1b" not in result.stdout
    assert nothing_is_left(home)


def on_a_terminal(home: Path, *arguments: str, **more: str) -> str:
    """What the command draws on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        [*MINIMR, *arguments],
        cwd=home,
        env=environment(home, **size, **more),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    try:
        while chunk := os.read(ours, 65536):
            drawn += chunk
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    os.close(ours)
    assert running.wait(LIMIT_S) == 0
    return drawn.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
CURSOR_UP = "\x1b[1A"


def test_the_live_view_on_a_terminal(home: Path) -> None:
    drawn = on_a_terminal(home, "run", "wordcount", "text.txt", "-o", "out")
    assert CURSOR_UP in drawn
    assert COLOUR.search(drawn)
    last = drawn.rstrip().splitlines()[-1]
    assert re.search(r"out: 5 records, \d+ bytes in 2 parts", last)


def test_no_color(home: Path) -> None:
    drawn = on_a_terminal(home, "run", "wordcount", "text.txt", NO_COLOR="1")
    assert CURSOR_UP in drawn
    assert not COLOUR.search(drawn)


def test_the_demo_where_there_are_no_bars(home: Path) -> None:
    """It ended in a traceback behind its first word."""
    result = subprocess.run(
        [*MINIMR, "demo"],
        env=environment(home, PYTHONIOENCODING="latin-1"),
        capture_output=True,
        encoding="latin-1",
        timeout=LIMIT_S,
    )
    assert (result.returncode, "Traceback" in result.stderr) == (0, False)
    assert "????" in result.stdout
