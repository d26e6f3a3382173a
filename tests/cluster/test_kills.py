"""Workers die by SIGKILL, and the bytes are the same as the sequential run's."""

import os
import random
import signal
import threading
from hashlib import sha256

import pytest

import minimr as mr
from tests.cluster.gated import Gate, GatedCount

pytestmark = pytest.mark.slow

WORDS = [f"word{number}" for number in range(2000)]


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """Big enough that map outputs go to disk and through the shuffle."""
    folder = tmp_path_factory.mktemp("books")
    chance = random.Random(7)
    for number in range(4):
        lines = (" ".join(chance.choices(WORDS, k=10)) for _ in range(3000))
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def expected(books, tmp_path_factory):
    output = tmp_path_factory.mktemp("serial") / "out"
    mr.run(GatedCount, [str(books)], output, reducers=3, runner="serial")
    return digests(output)


def digests(output):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in output.glob("part-*")}


class Follower:
    """Runs a job in a thread and lets the test wait for an event of its log."""

    def __init__(self, cluster, gate, at, books, output):
        self._seen, self._news = [], threading.Condition()
        cluster._on_event = self._note
        job = GatedCount(gate=gate.path, at=at)
        self._thread = threading.Thread(
            target=lambda: cluster.run(job, [str(books)], output, reducers=3)
        )
        self._thread.start()

    def _note(self, event):
        with self._news:
            self._seen.append(event)
            self._news.notify_all()

    def wait_for(self, **fields):
        def found():
            return [e for e in self._seen if fields.items() <= e.items()]

        with self._news:
            assert self._news.wait_for(found, 30), f"no {fields}"
            return found()[0]

    def finish(self):
        self._thread.join(60)
        assert not self._thread.is_alive()

    def named(self, event):
        return [each for each in self._seen if each["event"] == event]


def kill(cluster, worker):
    pid = next(each["pid"] for each in cluster.status()["workers"] if each["name"] == worker)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_kill_during_map(workers, books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(workers) as cluster:
        job = Follower(cluster, gate, "map", books, tmp_path / "out")
        started = job.wait_for(event="attempt_started", task="map-1")
        kill(cluster, started["worker"])
        job.wait_for(event="worker_lost", worker=started["worker"])
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
    again = [each for each in job.named("attempt_started") if each["task"] == "map-1"]
    assert len(again) == 2


def test_a_kill_during_reduce(books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(2) as cluster:
        job = Follower(cluster, gate, "reduce", books, tmp_path / "out")
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
        job = Follower(cluster, gate, "map", books, tmp_path / "out")
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
        job = Follower(cluster, gate, "map", books, tmp_path / "out")
        for attempt in range(3):
            started = job.wait_for(event="attempt_started", task="map-1", attempt=attempt)
            kill(cluster, started["worker"])
        job.wait_for(event="attempt_started", task="map-1", attempt=3)
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
