"""kill -9 of a coordinator with a journal: another one goes on, and so do workers and clients."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import minimr as mr
from minimr.cluster.address import read_address, write_address
from minimr.cluster.come_back import come_back
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.launcher import environment
from minimr.cluster.listener import Listener
from minimr.observe.checks import check
from minimr.observe.log import read_log
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.running import digests
from tests.cluster.shells import PATIENCE_S, parts, read_line, shells_in

pytestmark = pytest.mark.slow


@pytest.fixture
def shells(tmp_path):
    with shells_in(tmp_path) as each:
        yield each


@pytest.mark.parametrize("at", ["map", "reduce"])
def test_a_killed_coordinator_is_resumed_and_the_client_gets_its_result(
    shells, books, expected, tmp_path, at
):
    """What its worker ran goes on, and what that holds on its disk is not made again. (With two,
    the first to come back could get what the second still runs.)"""
    coordinator = shells.coordinator()
    shells.worker("--slots", "2")
    gate, seen, results = Gate(tmp_path / "gate"), [], []
    held = ["map-1"] if at == "map" else ["reduce-0", "reduce-1"]

    def work():
        with mr.Cluster(address=shells.address, on_event=seen.append) as cluster:
            options = {"gate": str(gate.path), "at": at}
            results.append(
                cluster.run(
                    GatedCount,
                    [str(books)],
                    tmp_path / "out",
                    reducers=3,
                    options=options,
                    backups=False,
                )
            )

    client = threading.Thread(target=work)
    client.start()
    until = time.monotonic() + PATIENCE_S
    while gate.waiting() < len(held):
        assert time.monotonic() < until
        time.sleep(0.01)
    before = read_address(shells.address)
    os.kill(coordinator.pid, signal.SIGKILL)
    coordinator.wait()
    shells.coordinator()
    gate.open()
    client.join(PATIENCE_S)
    assert len(results) == 1
    assert digests(tmp_path / "out") == expected
    after = read_address(shells.address)
    assert (after.token, after.port) == (before.token, before.port)
    assert [each["epoch"] for each in seen if each["event"] == "coordinator_started"] == [1]
    adopted = {e["task"] for e in seen if e["event"] == "attempt_adopted"}
    assert adopted >= set(held)
    started = [e["task"] for e in seen if e["event"] == "attempt_started" and e["task"] in held]
    assert sorted(started) == held, "a task that ran on was started again"
    if at == "reduce":
        done = [e["task"] for e in seen if e["event"] == "attempt_done" and e["stage"] == "map"]
        assert sorted(done) == [f"map-{n}" for n in range(4)], "finished maps were done again"


def test_who_begins_to_wait_after_a_restart_gets_the_end_too(shells, books, expected, tmp_path):
    """Even if the connection with which it came back breaks before it was answered."""
    coordinator = shells.coordinator()
    shells.worker()
    gate, came_back = Gate(tmp_path / "gate"), []

    def break_the_first(*where):
        came_back.append(client := come_back(*where))
        if len(came_back) == 1:
            client.close()
        else:
            gate.open()
        return client

    with mr.Cluster(address=shells.address) as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mr.session, "come_back", break_the_first)
        job = GatedCount(gate=str(gate.path), at="map")
        name = cluster.submit(job, [str(books)], tmp_path / "out", reducers=3)
        shells.kill(coordinator)
        shells.coordinator()
        cluster.wait(name)
    assert len(came_back) == 2
    assert digests(tmp_path / "out") == expected


def test_who_comes_back_to_the_same_coordinator_hears_nothing_twice(shells, books, tmp_path):
    """Only the connection broke; the job went on, and its whole log is told again."""
    shells.coordinator()
    shells.worker()
    gate, heard = Gate(tmp_path / "gate"), []

    def break_once(event):
        heard.append(event)
        if (event["event"], event.get("task")) == ("attempt_started", "map-1"):
            cluster._client.close()

    def open_the_gate(*where):
        client = come_back(*where)
        gate.open()
        return client

    with (
        mr.Cluster(address=shells.address, on_event=break_once) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(mr.session, "come_back", open_the_gate)
        job = GatedCount(gate=str(gate.path), at="map")
        cluster.wait(cluster.submit(job, [str(books)], tmp_path / "out", reducers=3))
    assert check(heard) == []


def test_whoever_belongs_to_one_cluster_does_not_come_back_to_another(shells):
    """That took its place in the connection file, and gives its jobs and workers the same names."""
    coordinator = shells.coordinator()
    worker = shells.worker()
    with mr.Cluster(address=shells.address) as cluster:
        shells.kill(coordinator)
        (shells.folder / "journal").rename(shells.folder / "former")
        shells.coordinator()
        with pytest.raises(mr.NoCoordinator, match="is another cluster's now"):
            cluster.wait("job-1")
    assert "is another cluster's now" in read_line(worker.stderr)


def test_no_round_is_waited_for_when_its_coordinator_was_killed(shells, tmp_path):
    """The next one does not know it. Nor does a coordinator that is killed leave a directory."""
    (tmp_path / "rows.txt").write_text("to be\nor not\n")
    coordinator = shells.coordinator()
    assert list(tmp_path.glob("minimr-*")) == []
    shells.worker("--slots", "2")
    gate, failed = Gate(tmp_path / "gate"), []

    def work(cluster, data):
        try:
            data.round(GatedCount(gate=str(gate.path), at="map"))
        except mr.NoCoordinator as error:
            failed.append(str(error))

    with mr.Cluster(address=shells.address) as cluster:
        data = cluster.load(tmp_path / "rows.txt", partitions=2)
        client = threading.Thread(target=work, args=(cluster, data))
        client.start()
        until = time.monotonic() + PATIENCE_S
        while not gate.waiting():
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(coordinator.pid, signal.SIGKILL)
        client.join(PATIENCE_S)
    gate.open()
    assert check(read_log(cluster.log)) == []
    assert [each.partition(" (")[0] for each in failed] == ["the coordinator is gone"]
    assert "start it again" in failed[0]


def test_a_worker_that_starts_while_its_coordinator_is_away_waits_for_it(shells):
    shells.kill(shells.coordinator())
    worker = shells.start("worker")
    said = read_line(worker.stderr)
    assert said.startswith("no coordinator answers at ")
    assert said.endswith("; this worker tries again\n")
    shells.coordinator()
    assert read_line(worker.stderr).startswith("this is worker-1")


@pytest.mark.parametrize("breaks", ["in the handshake", "behind it"])
def test_a_worker_whose_first_conversation_breaks_tries_again(shells, breaks):
    """The port that it finds first is one that hangs up."""
    coordinator = Coordinator()
    coordinator.start()
    address = coordinator.address(os.getpid())

    def hang_up(sock, _role):
        write_address(shells.address, address)
        sock.close()

    # A port that has no entry for workers refuses this one in the handshake.
    roles = ("worker",) if breaks == "behind it" else ("client",)
    gate = Listener(address.secret, roles, hang_up)
    gate.start()
    first = replace(address, port=gate.address[1], resumes=True)
    write_address(shells.address, first)
    try:
        worker = shells.start("worker")
        if breaks == "in the handshake":
            assert "no entry for the role 'worker'" in read_line(worker.stderr)
            write_address(shells.address, address)
        assert read_line(worker.stderr).startswith("this is worker-1")
    finally:
        gate.close()
        coordinator.stop()


def test_a_second_coordinator_on_one_journal_is_refused(shells):
    shells.coordinator()
    other = subprocess.run(
        [
            *(sys.executable, "-m", "cli.main", "coordinator"),
            *("--journal", str(shells.folder / "journal")),
            *("--address", str(shells.folder / "other.json")),
        ],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE_S,
        check=False,
    )
    assert other.returncode == 2
    assert str(shells.processes[0].pid) in other.stderr
    assert len(other.stderr.strip().splitlines()) <= 2


def test_a_task_that_makes_no_progress_is_given_up_and_tried_again(shells, tmp_path):
    """Heartbeats go on; the slot is killed, not the worker."""
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 500)
    mr.run(GatedCount, [str(text)], tmp_path / "serial", runner="serial", reducers=2)
    shells.coordinator()
    shells.worker("--progress-timeout", "1.5")
    gate, failed = Gate(tmp_path / "gate"), []

    def on_event(event):
        if event["event"] == "attempt_failed":
            failed.append((event["task"], event["reason"], event["error"]))
            if len(failed) == 2:
                gate.open()

    with mr.Cluster(address=shells.address, on_event=on_event) as cluster:
        options = {"gate": str(gate.path), "at": "map"}
        cluster.run(GatedCount, [str(text)], tmp_path / "out", reducers=2, options=options)
    gone = "no progress for 1.5 s; its slot was killed"
    # The second try is careful, and tells where it is.
    place = f"in map task 1 at {text}:4750, on the record 'to be or not to be'"
    assert failed == [("map-1", "stuck", gone), ("map-1", "stuck", f"{gone} {place}")]
    assert parts(tmp_path / "out") == parts(tmp_path / "serial")


def test_a_worker_that_is_asked_to_leave_finishes_what_it_runs(shells, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 500)
    mr.run(GatedCount, [str(text)], tmp_path / "serial", runner="serial", reducers=2)
    shells.coordinator()
    first = shells.worker()
    gate, running, drains = Gate(tmp_path / "gate"), threading.Event(), threading.Event()
    lost, results = [], []

    def on_event(event):
        if event["event"] == "attempt_started":
            running.set()
        if event["event"] == "worker_draining":
            drains.set()
        if event["event"] in ("worker_lost", "output_lost"):
            lost.append(event)

    def work():
        with mr.Cluster(address=shells.address, on_event=on_event) as cluster:
            options = {"gate": str(gate.path), "at": "map"}
            results.append(
                cluster.run(GatedCount, [str(text)], tmp_path / "out", reducers=2, options=options)
            )

    client = threading.Thread(target=work)
    client.start()
    assert running.wait(PATIENCE_S)
    first.terminate()
    assert drains.wait(PATIENCE_S)
    with mr.Cluster(address=shells.address) as other:
        assert [each["state"] for each in other.status()["workers"]] == ["draining"]
    shells.worker()
    gate.open()
    client.join(PATIENCE_S)
    assert parts(tmp_path / "out") == parts(tmp_path / "serial")
    assert first.wait(PATIENCE_S) == 0
    assert [each for each in lost if each["event"] == "output_lost"] == []


@pytest.mark.parametrize("role", ["coordinator", "worker"])
def test_nohup_is_obeyed(shells, role):
    """Who closes the terminal has said beforehand that it is to go on."""
    if role == "worker":
        shells.coordinator()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does, before it becomes us
    try:
        process = getattr(shells, role)()
    finally:
        signal.signal(signal.SIGHUP, before)
    status = Path(f"/proc/{process.pid}/status").read_text()
    [ignored] = [line for line in status.splitlines() if line.startswith("SigIgn")]
    assert int(ignored.split()[1], 16) & 1 << (signal.SIGHUP - 1)
