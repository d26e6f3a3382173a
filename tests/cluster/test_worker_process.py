"""The process that bears a machine's workers, and the worker's own: when they leave, and how."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import minimr as mr
from minimr.cluster import messages as m
from minimr.cluster import worker_process
from minimr.cluster.address import write_address
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.fork_server import Born, Died, Forks
from minimr.cluster.launcher import environment
from minimr.errors import MinimrError, NoCoordinator
from tests.cluster.processes import PATIENCE_S, child_of, wait_for

pytestmark = pytest.mark.slow


class Machine:
    """The process, with us as the launcher, and what its workers say on stderr."""

    def __init__(self, address, base):
        command = [sys.executable, "-P", "-m", "minimr.cluster.worker_process"]
        command += ["--address", str(address), "--base", str(base)]
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=theirs.fileno(), stderr=subprocess.PIPE, env=environment()
            )
        self.forks, self.workers = Forks(ours), []

    def bear(self, count):
        """Workers, as descriptors of their processes, and their ids."""
        pids = []
        for serial in range(count):
            self.forks.spawn(serial)
            report = self.report()
            assert isinstance(report, Born)
            pids.append(report.pid)
            self.workers.append(os.pidfd_open(report.pid))
        return pids

    def report(self):
        wait_for(self.forks.sock)
        return self.forks.read_report()

    def let_go(self):
        self.forks.sock.close()

    def end(self):
        """Its exit status, and what was said; all have closed their stderr."""
        said = self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode, said.decode()

    def clean_up(self):
        self.let_go()
        for pidfd in self.workers:
            if not reaped(pidfd):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def reaped(pidfd):
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def address(tmp_path):
    return tmp_path / "cluster.json"


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


@pytest.fixture
def machine(address, base):
    each = Machine(address, base)
    yield each
    each.clean_up()


@pytest.fixture
def cluster(address):
    coordinator = Coordinator()
    write_address(address, coordinator.address(os.getpid()))
    coordinator.start()
    with mr.Cluster(address=address) as each:
        yield each
    coordinator.stop()


def await_workers(cluster, count):
    cluster._client.ask(m.AwaitWorkers(cluster._client.next_request(), count))


def test_when_its_launcher_is_gone_it_leaves_with_the_directory(machine, base):
    machine.let_go()
    assert machine.end() == (0, "")
    assert not base.exists()


def test_it_leaves_when_all_its_workers_have_left(machine, cluster, base):
    slow, _ = machine.bear(2)
    await_workers(cluster, 2)
    assert len(list(base.glob("minimr-worker-*"))) == 2
    os.kill(slow, signal.SIGSTOP)
    machine.let_go()
    wait_for(machine.workers[1])
    give_up_at = time.monotonic() + PATIENCE_S
    while not reaped(machine.workers[1]):
        assert time.monotonic() < give_up_at, "nobody looks after the dead"
    assert machine.process.poll() is None
    assert base.exists()
    os.kill(slow, signal.SIGCONT)
    assert machine.end() == (0, "")
    assert reaped(machine.workers[0])
    assert not base.exists()


def test_its_launcher_hears_that_it_was_killed_though_a_worker_stays(machine, cluster):
    (worker,) = machine.bear(1)
    await_workers(cluster, 1)
    os.kill(worker, signal.SIGSTOP)
    machine.process.kill()
    assert machine.report() is None
    os.kill(worker, signal.SIGCONT)
    wait_for(machine.workers[0])


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_leaves_in_peace_when_told_and_ctrl_c_tells_it_nothing(machine, cluster, order):
    (worker,) = machine.bear(1)
    await_workers(cluster, 1)
    os.kill(worker, signal.SIGINT)
    os.kill(worker, order)
    assert machine.report() == Died(0, "left with exit status 0")


def test_what_fails_when_the_launcher_is_gone_is_no_news(machine, address):
    """Here it is the connection file, which the worker begins to read before and ends after."""
    os.mkfifo(address)
    machine.bear(1)
    machine.process.kill()
    machine.process.wait()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(address.write_text, "no connection file").result(PATIENCE_S)
    assert machine.end() == (-signal.SIGKILL, "")


def test_a_coordinator_may_be_gone_before_the_launcher_lets_go(monkeypatch):
    """As when a command ends while its workers are being born."""
    lifeline, held = os.pipe()
    threading.Timer(0.01, os.close, [held]).start()
    monkeypatch.setattr(worker_process, "LET_GO_S", PATIENCE_S)
    assert worker_process._is_over(lifeline, NoCoordinator("no coordinator answers"))
    os.close(lifeline)


def test_other_errors_are_told_at_once(monkeypatch):
    lifeline, held = os.pipe()
    monkeypatch.setattr(worker_process, "LET_GO_S", PATIENCE_S)
    assert not worker_process._is_over(lifeline, MinimrError("no room"))
    os.close(held)
    assert worker_process._is_over(lifeline, MinimrError("no room"))
    os.close(lifeline)


def test_a_worker_that_is_interrupted_as_it_begins_leaves_no_directory(
    cluster, address, base, monkeypatch
):
    def interrupted(*_):
        assert list(base.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(worker_process, "Worker", interrupted)
    monkeypatch.setattr(worker_process, "name_process", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        worker_process.serve(address, base=base)
    assert list(base.iterdir()) == []


def test_workers_whose_slots_have_no_room_to_begin_are_not_waited_for(tmp_path):
    """No file may be as long as the one that a slot begins with; a full disk is like that. (Python
    would keep the beginnings of compiled modules.)"""
    (tmp_path / "text.txt").write_text("to be\n")
    script = (
        "import resource, sys, minimr as mr\n"
        "from minimr.jobs.wordcount import WordCount\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "try:\n"
        "    mr.run(WordCount, [sys.argv[1]], workers=1)\n"
        "except mr.MinimrError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "text.txt")],
        env={**environment(), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "no worker stays alive" in ran.stdout
    assert "3 slots in a row ended before they began, and this worker with them" in ran.stderr
    assert "whether there is room in" in ran.stderr


def test_a_worker_whose_directory_is_gone_leaves_and_says_so(machine, cluster, address, base):
    """Those who tidy up below /tmp do not ask."""
    (worker,) = machine.bear(1)
    cluster.load(address, partitions=1).close()
    shutil.rmtree(base)
    os.kill(child_of(child_of(worker)), signal.SIGKILL)
    assert machine.report() == Died(0, "left with exit status 3")
    machine.let_go()
    said = machine.end()[1]
    assert said.startswith(f"worker: no slot can begin in {base}/minimr-worker-")
    assert said.endswith("No such file or directory; this worker ends\n")


def test_what_a_worker_did_not_expect_is_told(machine, cluster, base):
    base.rmdir()
    machine.bear(1)
    assert machine.report() == Died(0, "left with exit status 70")
    machine.let_go()
    status, said = machine.end()
    assert status == 0
    assert f"No such file or directory: '{base}/minimr-worker-" in said
