"""A standing cluster: up, several jobs at once, down, and nothing left of it."""

import os
import select
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

import minimr as mr
from minimr.cluster import standing
from minimr.cluster.address import Address, may_be_replaced, read_address, write_address
from minimr.errors import MinimrError, NoCoordinator, UsageError
from minimr.jobs.wordcount import WordCount
from minimr.observe.log import EventLog, read_log
from tests.cluster.gated import Gate, GatedCount

pytestmark = pytest.mark.slow


def processes():
    """Command lines of every process that runs minimr's own modules."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if "minimr.cluster." in line:
                found[int(folder.name)] = line
    return found


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "cluster.json"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be\n" * 50)
    return path


@pytest.mark.parametrize(
    "start", [standing.serve_coordinator, lambda path: standing.start_detached(path, 1)]
)
def test_a_connection_file_that_cannot_be_written_is_the_end(tmp_path, start):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot be written: .*; name another with --address"):
        start(tmp_path / "file" / "cluster.json")


def test_a_cluster_that_has_no_room_for_its_last_words_names_their_place(tmp_path, monkeypatch):
    """On a full disk it does not start, and cannot say why."""
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(MinimrError, match=r"see whether there is room for .*cluster\.json\.log"):
        standing.start_detached(tmp_path / "cluster.json", 1)


def test_a_connection_file_that_finds_no_place_leaves_none_of_its_content(tmp_path):
    """On a full disk, above all; here a directory stands in the way."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_address(tmp_path / "taken", Address("127.0.0.1", 1, "secret", 1))
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_three_jobs_at_once_and_nothing_left(address, text, tmp_path):
    started = standing.start_detached(address, workers=2)
    assert started["port"] == read_address(address).port
    mine = [pid for pid, line in processes().items() if str(address) in line]
    assert len(mine) >= 3
    results = {}

    def work(number):
        with mr.Cluster(address=address) as cluster:
            results[number] = dict(cluster.run(WordCount, [str(text)], tmp_path / f"out{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {n: {"to": 100, "be": 100, "or": 50, "not": 50} for n in range(3)}
    standing.stop(address)
    assert not [line for line in processes().values() if str(address) in line]
    assert not address.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def cluster(address):
    standing.start_detached(address, workers=1)
    with mr.Cluster(address=address) as each:
        yield each
    standing.stop(address)


def test_the_connection_file_is_for_its_owner_only(cluster, address):
    assert address.stat().st_mode & 0o777 == 0o600


def test_a_second_coordinator_is_refused(cluster, address):
    with pytest.raises(UsageError, match="running already"):
        standing.start_detached(address, workers=1)


def test_a_submitted_job_runs_without_its_client(cluster, text, tmp_path):
    job = cluster.submit(WordCount, [str(text)], tmp_path / "out")
    cluster.wait(job)
    assert (tmp_path / "out" / "_SUCCESS").exists()
    (summary,) = [each for each in cluster.status()["jobs"] if each["job"] == job]
    assert (summary["state"], summary["maps_done"]) == ("succeeded", 2)
    events = [event["event"] for event in cluster.logs(job)]
    assert events[0] == "job_submitted"
    assert events[-1] == "job_done"


def test_its_log_lies_beside_its_output_and_is_complete_when_it_has_ended(cluster, text, tmp_path):
    for number in range(5):
        out = tmp_path / f"out{number}"
        cluster.wait(job := cluster.submit(WordCount, [str(text)], out))
        log = list(read_log(f"{out}.log"))
        kept = cluster.logs(job)
        assert [each["event"] for each in log[:2]] == ["job_submitted", "worker_joined"]
        rest = [log[0], *log[2:]]
        assert [each["event"] for each in rest] == [each["event"] for each in kept]
        assert log[-1]["event"] == "job_done"
        assert log[0]["t"] == 0.0
        assert all(first["t"] <= second["t"] for first, second in pairwise(log))


def test_a_log_that_cannot_be_written_is_said_and_stops_nothing(cluster, address, text, tmp_path):
    (tmp_path / "out.log").mkdir()
    job = cluster.submit(WordCount, [str(text)], tmp_path / "out")
    cluster.wait(job)
    said = f"the event log {tmp_path / 'out.log'} cannot be written: Is a directory"
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert [each["text"] for each in cluster.logs(job) if each["event"] == "note"] == [said]
    (summary,) = [each for each in cluster.status()["jobs"] if each["job"] == job]
    assert (summary["state"], summary["log_error"]) == ("succeeded", said)
    assert address.with_name("cluster.json.log").read_text() == f"{job}: {said}\n"


@pytest.mark.parametrize("name", ["cluster.log", "cluster.json.log"])
def test_a_file_beside_the_connection_file_is_kept(address, name):
    beside = address.with_name(name)
    beside.write_text("of somebody else\n")
    standing.start_detached(address, workers=1)
    standing.stop(address)
    assert beside.read_text() == "of somebody else\n"


def test_an_empty_file_of_somebody_else_is_kept(address):
    address.with_name("cluster.log").touch()
    standing.start_detached(address, workers=1)
    standing.stop(address)
    assert [each.name for each in address.parent.glob("cluster*")] == ["cluster.log"]


@pytest.mark.parametrize("content", ["one line\n", '{"event":"log","version":1}\n'])
def test_the_log_of_a_submitted_job_replaces_no_input(cluster, tmp_path, content):
    text = tmp_path / "app.log"
    text.write_text(content)
    with pytest.raises(UsageError, match=r"app\.log cannot be written: .*; choose another output"):
        cluster.submit(WordCount, [text], tmp_path / "app")
    assert text.read_text() == content
    assert not list(tmp_path.glob(".app*"))


def test_a_submitted_job_does_not_write_into_the_log_of_another(cluster, text, tmp_path):
    with (
        EventLog(tmp_path / "out.log"),
        pytest.raises(UsageError, match=r"out\.log .* another run is writing it; choose another"),
    ):
        cluster.submit(WordCount, [text], tmp_path / "out")
    assert list(read_log(tmp_path / "out.log")) == []


def test_a_cluster_that_is_stopped_finishes_the_logs(address, text, tmp_path):
    standing.start_detached(address, workers=1)
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(address=address) as cluster:
        cluster.submit(GatedCount(gate=gate.path), [str(text)], tmp_path / "out")
    standing.stop(address)
    assert [each["event"] for each in read_log(tmp_path / "out.log")][-1] == "job_cancelled"
    gate.open()


def test_who_waits_when_a_cluster_is_stopped_hears_of_it(address, text, tmp_path):
    standing.start_detached(address, workers=1)
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(address=address) as cluster:
        job = cluster.submit(GatedCount(gate=gate.path), [str(text)], tmp_path / "out")
        watched = cluster._client.watch(job)
        standing.stop(address)
        with pytest.raises(mr.JobCancelled):
            watched.wait()
    gate.open()


def test_a_cancelled_job_ends_and_leaves_nothing(cluster, text, tmp_path):
    gate = Gate(tmp_path / "gate")
    job = cluster.submit(GatedCount(gate=gate.path), [str(text)], tmp_path / "out")
    cluster.cancel(job)
    with pytest.raises(mr.JobCancelled):
        cluster.wait(job)
    gate.open()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_job_that_nobody_knows(cluster):
    with pytest.raises(UsageError, match="job-99"):
        cluster.cancel("job-99")
    with pytest.raises(UsageError, match="job-99"):
        cluster.logs("job-99")


def test_a_job_ends_with_the_client_that_waits_for_it(cluster, address, text, tmp_path):
    gate = Gate(tmp_path / "gate")
    other = mr.Cluster(address=address)
    seen = threading.Event()
    other._on_event = lambda event: seen.set()
    job = GatedCount(gate=gate.path)
    failure = []

    def work():
        try:
            other.run(job, [str(text)], tmp_path / "out")
        except NoCoordinator as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert seen.wait(30)
    job_id = cluster.status()["jobs"][-1]["job"]
    other.close()
    thread.join(30)
    assert failure
    with pytest.raises(mr.JobCancelled):
        cluster.wait(job_id)
    gate.open()


def test_no_coordinator(tmp_path):
    with pytest.raises(NoCoordinator, match="minimr up"):
        mr.Cluster(address=tmp_path / "nothing.json")


def test_a_connection_file_whose_cluster_is_gone(cluster, address, tmp_path):
    copy = tmp_path / "old.json"
    copy.write_bytes(address.read_bytes().replace(b'"port": ', b'"port": 1'))
    with pytest.raises(NoCoordinator):
        mr.Cluster(address=copy)


def test_a_wrong_token(cluster, address, tmp_path):
    token = read_address(address).token
    other = tmp_path / "other.json"
    other.write_text(address.read_text().replace(token, "00" * 32))
    with pytest.raises(NoCoordinator, match="wrong token"):
        mr.Cluster(address=other)


def test_a_file_that_is_no_connection_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(NoCoordinator, match=r"no connection file: .*; give the one that"):
        mr.Cluster(address=path)
    with pytest.raises(
        NoCoordinator, match=r"cannot be read: Is a directory; name one of your own"
    ):
        mr.Cluster(address=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "the input of a job\n",
        "[1]",
        "{}",
        "1",
        pytest.param('{"token": 1}' + " " * (1 << 16), id="long"),
    ],
)
def test_what_is_no_connection_file_is_not_replaced_by_one(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert not may_be_replaced(path)  # Else a cluster starts below, and stays.
    for start in (standing.serve_coordinator, lambda path: standing.start_detached(path, 1)):
        with pytest.raises(UsageError, match="no connection file and would be lost; name another"):
            start(path)
    assert path.read_text() == content


@pytest.mark.parametrize("name", [".", "sub"])
def test_a_directory_is_no_place_for_a_connection_file(tmp_path, monkeypatch, name):
    """A traceback came of the first, and a file with a token stayed beside the second."""
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    for start in (standing.serve_coordinator, lambda path: standing.start_detached(path, 1)):
        with pytest.raises(UsageError, match="is a directory; name a file in it with --address"):
            start(Path(name))
    assert list(tmp_path.iterdir()) == [tmp_path / "sub"]


@pytest.mark.parametrize("content", ["", '{"version": 0, "token": "of an older minimr"}'])
def test_a_connection_file_that_is_of_no_use_is_replaced(tmp_path, content):
    path = tmp_path / "cluster.json"
    path.write_text(content)
    standing.start_detached(path, 1)
    standing.stop(path)
    assert not path.exists()


def test_a_client_that_is_killed_leaves_nothing_behind(tmp_path):
    """The process that started the workers dies by SIGKILL in the middle of a job."""
    (tmp_path / "tmp").mkdir()
    gate = Gate(tmp_path / "gate")
    text = tmp_path / "text.txt"
    text.write_text("one\ntwo\n")
    script = (
        "import sys, minimr as mr\n"
        "from tests.cluster.gated import GatedCount\n"
        "mr.run(GatedCount(gate=sys.argv[1]), [sys.argv[2]],\n"
        "       on_event=lambda e: print(e['event'], flush=True))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(Path.cwd())}
    client = subprocess.Popen(
        [sys.executable, "-c", script, gate.path, str(text)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with client.stdout:
        for line in client.stdout:
            if line.strip() == "attempt_started":
                break
        mine = [pid for pid, line in processes().items() if str(tmp_path) in line]
        assert mine
        client.kill()
        client.wait()
    for pid in mine:
        assert wait_for_end(pid), f"process {pid} outlived its client"
    gate.open()
    leftover = [p for p in (tmp_path / "tmp").iterdir() if not p.name.startswith("minimr-result")]
    assert leftover == []


def wait_for_end(pid):
    """Wait for a process that is not our child, by its descriptor; no polling."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20)[0])
    finally:
        os.close(descriptor)
