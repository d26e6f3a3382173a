"""The workers of one machine: forked by one process, replaced when they die, and never left."""

import os
import queue
import select
import signal
import socket
import subprocess
import sys

import pytest

import minimr as mr
from minimr.cluster import coordinator, launcher, local
from minimr.cluster.launcher import environment
from minimr.errors import UsageError

pytestmark = pytest.mark.slow


def test_when_its_launcher_is_gone_the_fork_server_leaves_with_the_directory(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    command = [sys.executable, "-P", "-m", "minimr.cluster.worker_process"]
    command += ["--address", str(base / "none.json"), "--base", str(base)]
    ours, theirs = socket.socketpair()
    with (
        theirs,
        subprocess.Popen(
            command, stdin=theirs.fileno(), stderr=subprocess.PIPE, env=environment()
        ) as server,
    ):
        ours.close()
        theirs.close()
        assert server.communicate(timeout=60)[1] == b""
    assert (server.returncode, base.exists()) == (0, False)


def test_without_a_coordinator_no_worker_stays(tmp_path, monkeypatch):
    launched = []

    class Workers(local.LocalWorkers):
        def __init__(self, *options):
            super().__init__(*options)
            launched.append(self._server)

    def refuse():
        raise UsageError("no port is free")

    monkeypatch.setattr(local, "LocalWorkers", Workers)
    monkeypatch.setattr(coordinator, "Coordinator", refuse)
    monkeypatch.setattr(local.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match="no port is free"):
        local.LocalCluster(workers=2)
    assert [process.poll() for process in launched] == [0]
    assert list(tmp_path.iterdir()) == []


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
            assert workers._changed.wait_for(lambda: gone.isdisjoint(workers._pids.values()), 60)
        assert len(set(workers.pids) - before) == len(gone)
        assert list(cluster.run(Lines, [str(text)])) == [("one line", 1)]


def test_when_none_stays_alive_somebody_hears_why(tmp_path, capfd):
    told = queue.Queue()
    workers = launcher.LocalWorkers(tmp_path / "none.json", tmp_path, count=2)
    workers.join(told.put)
    assert told.get(timeout=60) == (
        "no worker stays alive: 8 were replaced, and the last one left with exit status 3; see its "
        "messages above"
    )
    workers.close()
    assert capfd.readouterr().err.count("none.json") == 10


def test_who_does_not_leave_in_time_is_killed(monkeypatch):
    monkeypatch.setattr(launcher, "LEAVE_TIMEOUT_S", 0.1)
    cluster = mr.Cluster(workers=2)
    base = cluster._local._base
    stopped, other = map(os.pidfd_open, cluster.worker_pids)
    signal.pidfd_send_signal(stopped, signal.SIGSTOP)
    cluster.close()
    for pidfd in (stopped, other):
        assert select.select([pidfd], [], [], 60)[0]
        os.close(pidfd)
    assert not base.exists()
