"""The log that the coordinator writes beside a submitted job's output."""

import json
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import minimr as mr
from minimr.cluster import job_log
from minimr.cluster.address import write_address
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.job_log import JobLog
from minimr.cluster.messages import Ended
from minimr.observe.log import EventLog, read_log
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.shells import shells_in

LIMIT_S = 20


def event(t, name="attempt_done"):
    return {"t": t, "event": name, "job": "job-1"}


class Written:
    """A log that is written from start to end; `closed` and `errors` are what it called back."""

    def __init__(self, path, lines, resume=False):
        self.errors = []
        done = threading.Event()
        log = JobLog(path, self.errors.append, resume)
        for line in lines:
            log.add(line)
        log.close(done.set)
        self.closed = done.wait(LIMIT_S)
        log.join(LIMIT_S)


def test_what_is_added_is_in_the_file_when_it_says_closed(tmp_path):
    path = tmp_path / "out.log"
    written = Written(path, [event(7.0 + number / 4) for number in range(1000)])
    assert (written.closed, written.errors) == (True, [])
    assert list(read_log(path)) == [event(number / 4) for number in range(1000)]


def test_a_log_of_nothing_is_a_log(tmp_path):
    assert Written(tmp_path / "out.log", []).closed
    assert list(read_log(tmp_path / "out.log")) == []


def test_a_former_log_is_replaced(tmp_path):
    for t in (1.0, 2.0):
        Written(tmp_path / "out.log", [event(t), event(t + 1)])
    assert list(read_log(tmp_path / "out.log")) == [event(0.0), event(1.0)]


@pytest.mark.parametrize(
    ("path", "why"), [("missing/out.log", "No such file"), ("/dev/full", "No space left")]
)
def test_a_log_that_cannot_be_written_is_said_once_and_still_closes(tmp_path, path, why):
    written = Written(tmp_path / path, [event(1.0)] * 100)
    assert written.closed
    (text,) = written.errors
    assert text.startswith(f"the event log {tmp_path / path} cannot be written: {why}")


def test_a_line_that_is_no_json_ends_the_log_and_not_the_thread(tmp_path):
    written = Written(tmp_path / "out.log", [event(1.0) | {"blob": b"bytes"}, event(2.0)])
    assert written.closed
    assert len(written.errors) == 1


def test_without_a_thread_there_is_no_log_and_nobody_waits_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    written = Written(tmp_path / "out.log", [event(1.0)])
    assert written.closed
    (text,) = written.errors
    assert text == (
        f"the event log {tmp_path / 'out.log'} cannot be written: can't start new thread"
    )


def no_more_threads(_thread):
    """What Python does when the system refuses one."""
    raise RuntimeError("can't start new thread")


def test_another_coordinator_goes_on_where_the_killed_one_was(tmp_path):
    path = tmp_path / "out.log"
    Written(path, [event(100.0), event(103.0)])
    with path.open("ab") as file:
        file.write(b'{"t":3.5,"event":"atte')
    Written(path, [event(0.25, "coordinator_started"), event(1.25)], resume=True)
    events = list(read_log(path))
    assert [each["t"] for each in events] == [0.0, 3.0, 3.0, 4.0]
    assert [each["event"] for each in events][2] == "coordinator_started"
    assert all(first["t"] <= second["t"] for first, second in pairwise(events))


def test_the_time_in_which_there_was_no_coordinator_counts(tmp_path):
    path = tmp_path / "out.log"
    Written(path, [event(100.0), event(103.0)])
    first, *rest = path.read_text().splitlines()
    began = datetime.now(UTC) - timedelta(minutes=1)
    head = json.loads(first) | {"wall": began.isoformat(timespec="seconds")}
    path.write_text("\n".join([json.dumps(head), *rest, ""]))
    Written(path, [event(0.25, "coordinator_started"), event(1.25)], resume=True)
    before, after, last = (each["t"] for each in list(read_log(path))[1:])
    assert before == 3.0
    assert 60 <= after < 120
    assert last == after + 1


@pytest.mark.parametrize("left", [b"", b'{"event":"log","vers'], ids=["nothing", "half a line"])
def test_a_log_killed_before_its_first_line_was_whole_starts_anew(tmp_path, left):
    path = tmp_path / "out.log"
    path.write_bytes(left)
    written = Written(path, [event(5.0, "coordinator_started")], resume=True)
    assert (written.closed, written.errors) == (True, [])
    assert list(read_log(path)) == [event(0.0, "coordinator_started")]


def test_a_log_that_is_not_there_any_more_begins_again(tmp_path):
    path = tmp_path / "out.log"
    Written(path, [event(5.0, "coordinator_started")], resume=True)
    assert list(read_log(path)) == [event(0.0, "coordinator_started")]


def test_another_file_in_the_place_of_the_log_is_not_touched(tmp_path):
    path = tmp_path / "out.log"
    path.write_text("mine\n")
    written = Written(path, [event(5.0)], resume=True)
    assert written.closed
    assert "not an event log" in written.errors[0]
    assert path.read_text() == "mine\n"


def test_closing_twice_is_fine(tmp_path):
    log = JobLog(tmp_path / "out.log", lambda _: None)
    log.close()
    log.close()
    log.join(LIMIT_S)
    assert Path(tmp_path / "out.log").exists()
    with EventLog(tmp_path / "out.log", append=True):
        pass


class Disk:
    """In the place of EventLog, takes what it is given once it is `free`."""

    def __init__(self, monkeypatch):
        self.free = free = threading.Event()

        class Slow(EventLog):
            def append(self, events):
                assert free.wait(LIMIT_S)
                super().append(events)

        monkeypatch.setattr(job_log, "EventLog", Slow)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be\n")
    return str(path)


@pytest.mark.slow
def test_a_slow_disk_holds_up_who_waits_for_the_job_and_nobody_else(monkeypatch, text, tmp_path):
    disk = Disk(monkeypatch)
    with mr.Cluster(1) as cluster:
        job = cluster.submit("wordcount", [text], tmp_path / "out")
        watched = cluster._client.watch(job)
        assert watched.job == job
        while cluster.status()["jobs"][0]["state"] != "succeeded":
            pass
        assert cluster.run("wordcount", [text]).records == 4
        # What the coordinator said before it answered has arrived.
        assert not any(isinstance(each, Ended) for each in watched._answers._came)
        disk.free.set()
        watched.wait()
        assert [each["event"] for each in read_log(tmp_path / "out.log")][-1] == "job_done"


def test_a_coordinator_that_leaves_waits_for_a_slow_disk(monkeypatch, text, tmp_path):
    disk = Disk(monkeypatch)
    coordinator = Coordinator()
    coordinator.start()
    write_address(tmp_path / "cluster.json", coordinator.address(os.getpid()))
    with mr.Cluster(address=tmp_path / "cluster.json") as cluster:
        cluster.submit("wordcount", [text], tmp_path / "out")
    slowly = threading.Timer(0.3, disk.free.set)
    slowly.start()
    coordinator.stop()
    slowly.join()
    assert [each["event"] for each in read_log(tmp_path / "out.log")][-1] == "job_cancelled"


@pytest.fixture
def shells(tmp_path):
    with shells_in(tmp_path) as each:
        yield each


@pytest.mark.slow
def test_a_job_that_outlives_its_coordinator_has_one_log(shells, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 50)
    coordinator = shells.coordinator()
    shells.worker()
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(address=shells.address) as cluster:
        job = cluster.submit(GatedCount(gate=gate.path), [str(text)], tmp_path / "out")
        os.kill(coordinator.pid, signal.SIGKILL)
        coordinator.wait()
        shells.coordinator()
        gate.open()
    with mr.Cluster(address=shells.address) as cluster:
        cluster.wait(job)
    events = list(read_log(tmp_path / "out.log"))
    told = [each["event"] for each in events]
    assert told.count("coordinator_started") == told.count("job_restored") == 1
    # The first line may have died with the coordinator: it is not synced, as decisions are.
    if "job_submitted" in told:
        assert told.index("job_submitted") < told.index("coordinator_started")
    assert told[-1] == "job_done"
    assert all(first["t"] <= second["t"] for first, second in pairwise(events))
