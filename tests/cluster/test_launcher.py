"""The workers of one machine: forked by one process, replaced when they die, and never left."""

import os
import queue
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import minimr as mr
from minimr.cluster import coordinator, launcher, local, standing
from minimr.cluster.fork_server import BORN, DIED, REPORT
from minimr.errors import UsageError
from tests.cluster.processes import PATIENCE_S, wait_for

pytestmark = pytest.mark.slow


def test_without_a_coordinator_no_worker_stays(tmp_path, monkeypatch):
    launched = []

    class Workers(local.LocalWorkers):
        def __init__(self, *options):
            super().__init__(*options)
            launched.append(self._server)

    def refuse():
        raise UsageError("no port is free")

    monkeypatch.setattr(launcher, "LEAVE_TIMEOUT_S", PATIENCE_S)  # It loads its code first.
    monkeypatch.setattr(local, "LocalWorkers", Workers)
    monkeypatch.setattr(coordinator, "Coordinator", refuse)
    monkeypatch.setattr(local.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match="no port is free"):
        local.LocalCluster(workers=2)
    assert [process.poll() for process in launched] == [0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("workers", "slots", "said"),
    [
        (0, 1, "at least one worker, not 0"),
        (1.5, 1, "workers is a whole number, not 1.5"),
        (1_001, 1, "1,001 workers are too many for one machine: minimr starts up to 1,000 slots"),
        (2, 501, "1,002 slots are too many for one machine"),
    ],
)
def test_so_many_workers_are_not_started(tmp_path, workers, slots, said):
    with pytest.raises(UsageError, match=said):
        standing.start_detached(tmp_path / "cluster.json", workers, slots)
    assert list(tmp_path.iterdir()) == []
    launcher.check_count(1000)
    launcher.check_count(10, 100)


def test_a_worker_with_too_many_slots_is_not_started(tmp_path):
    with pytest.raises(UsageError, match="2,000 slots are too many for one machine"):
        standing.serve_worker(tmp_path / "cluster.json", slots=2_000)


def test_a_run_with_too_many_workers_is_refused_before_it_begins(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    with pytest.raises(UsageError, match="100,000 workers are too many for one machine"):
        mr.run(Lines, text, workers=100_000)


class Lines(mr.Job):
    def map(self, offset, line):
        yield line, 1

    reduce = mr.Sum()


@pytest.mark.parametrize("whom", ["a worker", "the process that forks them"])
def test_who_is_killed_is_replaced(tmp_path, whom):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    with mr.Cluster(workers=2) as cluster:
        workers = cluster._local._workers
        before = set(workers.pids)
        os.kill(workers._server.pid if whom != "a worker" else min(before), signal.SIGKILL)
        with workers._changed:
            gone = before if whom != "a worker" else {min(before)}
            assert workers._changed.wait_for(
                lambda: gone.isdisjoint(workers._pids.values()), PATIENCE_S
            )
        assert len(set(workers.pids) - before) == len(gone)
        assert list(cluster.run(Lines, [str(text)])) == [("one line", 1)]


def test_whoever_waits_for_workers_that_will_not_come_goes_on_without(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "REPLACEMENTS_MAX", 0)
    text = tmp_path / "text.txt"
    text.write_text("one line\n" * 4)
    with mr.Cluster(workers=2) as cluster:
        for _ in range(2):  # Before it is known, and afterwards.
            victim = max(cluster.worker_pids)
            if len(cluster.worker_pids) == 2:
                os.kill(victim, signal.SIGKILL)
            with cluster.load(text, partitions=4) as data:
                assert data.round(Lines) == [("one line", 4)]
        assert len(cluster.worker_pids) == 1


def test_when_none_stays_alive_somebody_hears_why(tmp_path, capfd):
    told = queue.Queue()
    workers = launcher.LocalWorkers(tmp_path / "none.json", tmp_path, count=2)
    workers.join(lambda left, why: told.put((left, why)))
    why = (
        "no worker stays alive: 8 were replaced, and the last one left with exit status 3; see its "
        "messages above"
    )
    assert [told.get(timeout=PATIENCE_S) for _ in range(2)] == [(1, why), (0, why)]
    workers.close()
    assert capfd.readouterr().err.count("none.json") == 10


class Server:
    """A fork server that only says what it is told to."""

    pid = 0

    def __init__(self):
        self.sock, self.other = socket.socketpair()

    def begin(self, _arguments):
        pass

    def wait(self, _timeout_s=None):
        self.other.close()


def test_that_they_are_fewer_is_told_once_though_another_is_born_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "REPLACEMENTS_MAX", 1)
    monkeypatch.setattr(launcher, "waiting", [server := Server()])
    told = queue.Queue()
    workers = launcher.LocalWorkers(tmp_path / "none.json", tmp_path, count=2)
    for what, serial in ((BORN, 1), (BORN, 2), (DIED, 1), (DIED, 2), (BORN, 3), (DIED, 3)):
        server.other.sendall(REPORT.pack(what, serial, 1))
    workers.join(lambda left, _why: told.put(left))
    assert [told.get(timeout=PATIENCE_S) for _ in range(2)] == [1, 0]
    workers.close()


@pytest.fixture
def workers(tmp_path):
    """Two that find no coordinator, whose fork server is killed at the end at the latest."""
    each = launcher.LocalWorkers(tmp_path / "none.json", tmp_path, count=2)
    yield each
    if each._server.poll() is None:
        each._server.kill()
        each._server.wait()
    if each._watcher is not None:
        each._watcher.join(PATIENCE_S)
    each._forks.sock.close()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as each:
        yield each


def test_a_terminal_reaches_neither_their_signals_nor_their_words(workers):
    pid = workers._server.pid
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/fd/1").readlink() == Path(os.devnull)


def test_a_fork_server_that_is_dead_at_once_is_replaced(workers, capfd):
    workers._server.kill()
    wait_for(pidfd := os.pidfd_open(workers._server.pid))
    os.close(pidfd)
    told = queue.Queue()
    workers.join(lambda left, why: left or told.put(why))
    assert "8 were replaced" in told.get(timeout=PATIENCE_S)
    workers.close()
    assert capfd.readouterr().err.count("none.json") == 8


def test_who_is_not_born_yet_is_not_killed(pool, workers, monkeypatch):
    """Its process id is not known, and 0 would be ourselves."""

    def kill(pid, number, really=os.kill):
        assert pid > 0
        really(pid, number)

    monkeypatch.setattr(launcher, "LEAVE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(os, "kill", kill)
    workers._server.send_signal(signal.SIGSTOP)
    workers.join()
    pool.submit(workers.close).result(PATIENCE_S)
    assert workers._server.returncode == -signal.SIGKILL


def test_who_waits_for_a_birth_waits_no_longer_when_all_are_dismissed(pool, workers, monkeypatch):
    waiting = threading.Event()

    def wait_for_birth(predicate, really=workers._changed.wait_for):
        waiting.set()
        return really(predicate)

    monkeypatch.setattr(workers._changed, "wait_for", wait_for_birth)
    workers._server.send_signal(signal.SIGSTOP)
    workers.join()
    asked = pool.submit(lambda: workers.pids)
    assert waiting.wait(PATIENCE_S)
    workers.dismiss()
    try:
        assert asked.result(PATIENCE_S) == []
    finally:
        with workers._changed:
            workers._pids.clear()
            workers._changed.notify_all()
        workers._server.kill()


def test_who_does_not_leave_in_time_is_killed(monkeypatch):
    monkeypatch.setattr(launcher, "LEAVE_TIMEOUT_S", 0.1)
    cluster = mr.Cluster(workers=2)
    base = cluster._local.base
    stopped, other = map(os.pidfd_open, cluster.worker_pids)
    signal.pidfd_send_signal(stopped, signal.SIGSTOP)
    cluster.close()
    for pidfd in (stopped, other):
        wait_for(pidfd)
        os.close(pidfd)
    assert not base.exists()
