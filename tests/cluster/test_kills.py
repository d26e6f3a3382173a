"""Workers die by SIGKILL, and the bytes are the same as the sequential run's."""

import os
import signal

import pytest

import minimr as mr
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.running import Running, digests

pytestmark = pytest.mark.slow


def kill(cluster, worker):
    pid = next(each["pid"] for each in cluster.status()["workers"] if each["name"] == worker)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_kill_during_map(workers, books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(workers) as cluster:
        job = Running(cluster, GatedCount(gate=gate.path, at="map"), books, tmp_path / "out")
        started = job.wait_for(event="attempt_started", task="map-1")
        kill(cluster, started["worker"])
        job.wait_for(event="worker_lost", worker=started["worker"])
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
    started = [each for each in job.named("attempt_started") if each["task"] == "map-1"]
    assert len([each for each in started if "backup" not in each]) == 2


def test_a_kill_during_reduce(books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(2) as cluster:
        job = Running(cluster, GatedCount(gate=gate.path, at="reduce"), books, tmp_path / "out")
        started = job.wait_for(event="attempt_started", stage="reduce")
        kill(cluster, started["worker"])
        job.wait_for(event="output_lost")
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
    assert job.named("output_lost"), "its map outputs died with it"


def test_a_kill_between_map_and_reduce(books, expected, tmp_path):
    """The last map is held at the gate; a worker that has finished others dies; then it goes on."""
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(2) as cluster:
        job = Running(cluster, GatedCount(gate=gate.path, at="map"), books, tmp_path / "out")
        held = job.wait_for(event="attempt_started", task="map-1")["worker"]
        (victim,) = {"worker-1", "worker-2"} - {held}
        job.wait_for(event="attempt_done", worker=victim)
        kill(cluster, victim)
        job.wait_for(event="output_lost", worker=victim)
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected


def test_every_worker_dies_one_after_the_other(books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(2) as cluster:
        job = Running(cluster, GatedCount(gate=gate.path, at="map"), books, tmp_path / "out")
        for attempt in range(3):
            started = job.wait_for(event="attempt_started", task="map-1", attempt=attempt)
            kill(cluster, started["worker"])
        job.wait_for(event="attempt_started", task="map-1", attempt=3)
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
