"""Real jobs on real processes, with what breaks broken: the serial run's bytes, in bounded time.

One worker is spoiled, another stands beside it and is left alone. Whether the first comes back or
its work is done elsewhere is not the question here; every wait has an end.

Every kind of fault strikes in every run; `make soak` strikes in more places, too.
"""

import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import minimr as mr
from minimr.cluster import messages as m
from minimr.cluster.address import read_address, write_address
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.fault import Fault
from minimr.cluster.fault_proxy import FaultProxy
from minimr.cluster.launcher import environment
from minimr.errors import JobCancelled, JobFailed
from minimr.scheduler import policy
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.running import EVENT_S, JOB_S, Running, digests

pytestmark = pytest.mark.slow

LEASE_S = 3.0


class Worker:
    """`minimr worker` as a user starts it; `through` are words to put before the command."""

    def __init__(self, address_file, *through, **variables):
        command = [*through, sys.executable, "-P", "-m", "cli.main", "worker"]
        self.process = subprocess.Popen(
            [*command, "--address", str(address_file)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**environment(), **variables},
        )
        assert select.select([self.process.stderr], [], [], EVENT_S)[0], "it does not join"
        said = self.process.stderr.readline().decode()
        assert said.startswith("this is worker-"), said
        self.name = said.removeprefix("this is ").partition(",")[0]

    def signal(self, number):
        os.kill(self.process.pid, number)

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(EVENT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()


@pytest.fixture
def address(tmp_path, monkeypatch):
    """The connection file of a coordinator that does not wait long for the silent."""
    monkeypatch.setattr(policy, "LEASE_S", LEASE_S)
    coordinator = Coordinator()
    path = tmp_path / "cluster.json"
    write_address(path, coordinator.address(os.getpid()))
    coordinator.start()
    yield path
    coordinator.stop()


@pytest.fixture
def cluster(address):
    with mr.Cluster(address=address) as each:
        yield each


@pytest.fixture
def beside(address):
    """A worker to which nothing happens."""
    each = Worker(address)
    yield each
    each.close()


@pytest.fixture
def proxy(address):
    there = read_address(address)
    with FaultProxy((there.host, there.port), seed=3) as each:
        yield each


@pytest.fixture
def alone(address, proxy):
    """A worker whose connection to the coordinator goes through the proxy."""
    copy = address.with_name("proxied.json")
    write_address(copy, replace(read_address(address), port=proxy.address[1]))
    folder = address.with_name("alone")
    folder.mkdir()
    each = Worker(copy, TMPDIR=str(folder))
    each.outputs = lambda: list(folder.glob("minimr-worker-*/jobs/*/*.out"))
    yield each
    proxy.heal()
    each.close()


@pytest.fixture
def worker(beside, alone):
    """The same, with a sound worker beside it."""
    return alone


# Between a worker and the coordinator

AT_MAP = [
    Fault("delay", delay_s=0.1, jitter_s=0.1),
    Fault("cut"),
    Fault("half-open", direction="up"),
    Fault("half-open", direction="down"),
    Fault("half-open", duration_s=2 * LEASE_S),
    Fault("flip", direction="up"),
    # In the length of a frame, so that its reader waits for bytes that nobody will send.
    Fault("flip", direction="up", after_bytes=10),
    Fault("flip", direction="down", after_bytes=10),
    Fault("truncate", direction="up", after_bytes=9),
    Fault("truncate", direction="down", after_bytes=40),
    Fault("trickle", bytes_per_s=2000),
]
AT_REDUCE = [Fault("cut"), Fault("half-open", direction="up")]
AT_MORE_PLACES = [
    ("map", Fault("cut", direction="up", after_bytes=20)),
    ("map", Fault("half-open")),
    ("map", Fault("flip", direction="up", after_bytes=30)),
    ("map", Fault("flip", direction="down")),
    ("map", Fault("flip", direction="down", after_bytes=50)),
    ("reduce", Fault("flip", direction="up", after_bytes=30)),
    ("reduce", Fault("truncate", direction="up", after_bytes=100)),
]


def name_of(value):
    if isinstance(value, str):
        return value
    return f"{value.kind}-{value.direction}-{value.after_bytes}-{value.duration_s or 'on'}"


CASES = [
    *(("map", fault) for fault in AT_MAP),
    *(("reduce", fault) for fault in AT_REDUCE),
    *(pytest.param(at, fault, marks=pytest.mark.soak) for at, fault in AT_MORE_PLACES),
]


@pytest.mark.parametrize(("at", "fault"), CASES, ids=name_of)
def test_a_broken_connection_to_the_coordinator(
    at, fault, cluster, worker, proxy, books, expected, tmp_path
):
    gate = Gate(tmp_path / "gate")
    job = Running(cluster, GatedCount(gate=gate.path, at=at), books, tmp_path / "out")
    job.wait_for(event="attempt_started", worker=worker.name, stage=at)
    proxy.break_with(fault)
    gate.open()
    job.finish()
    assert digests(tmp_path / "out") == expected
    assert fault.kind in [event.what for event in proxy.events]
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut", count=1),
        Fault("half-open", direction="up", count=1),
        Fault("half-open", direction="down", count=1),
        Fault("flip", direction="down", after_bytes=10, count=1),
    ],
    ids=name_of,
)
def test_the_only_worker_notices_and_connects_again(
    fault, cluster, alone, proxy, books, expected, tmp_path
):
    """Nobody else could do its work, and orders that get lost are answered by silence."""
    gate = Gate(tmp_path / "gate")
    job = Running(cluster, GatedCount(gate=gate.path), books, tmp_path / "out")
    job.wait_for(event="attempt_started", worker=alone.name)
    proxy.break_with(fault)
    gate.open()
    job.finish()
    assert digests(tmp_path / "out") == expected
    assert [event.what for event in proxy.events].count("opened") > 1


def test_a_worker_that_was_given_up_keeps_no_files_of_its_former_life(
    cluster, alone, proxy, books, tmp_path
):
    """Its job ended while it was away, so nobody will ever tell it to forget that one."""
    gate = Gate(tmp_path / "gate")
    job = Running(cluster, GatedCount(gate=gate.path, at="reduce"), books, tmp_path / "out")
    job.wait_for(event="attempt_started", stage="reduce")
    assert alone.outputs()
    proxy.break_with(Fault("cut"))
    job.wait_for(event="worker_lost", worker=alone.name)
    (running,) = (each["job"] for each in cluster.status()["jobs"])
    cluster.cancel(running)
    with pytest.raises(JobCancelled):
        job.finish()
    proxy.heal()
    client = cluster._client
    client.ask(m.AwaitWorkers(client.next_request(), 1))
    gate.open()
    Running(cluster, GatedCount(), books, tmp_path / "again").finish()
    assert not [path for path in alone.outputs() if f"/{running}/" in str(path)]


# A worker that stops


@pytest.mark.parametrize("at", ["map", "reduce"])
def test_a_worker_that_is_stopped_for_longer_than_its_lease(
    at, cluster, worker, books, expected, tmp_path
):
    gate = Gate(tmp_path / "gate")
    job = Running(cluster, GatedCount(gate=gate.path, at=at), books, tmp_path / "out")
    job.wait_for(event="attempt_started", worker=worker.name, stage=at)
    worker.signal(signal.SIGSTOP)
    job.wait_for(event="worker_lost", worker=worker.name)
    gate.open()
    job.finish()
    assert digests(tmp_path / "out") == expected
    worker.signal(signal.SIGCONT)
    Running(cluster, GatedCount(), books, tmp_path / "again").finish()
    assert digests(tmp_path / "again") == expected
    assert digests(tmp_path / "out") == expected
    assert not list(tmp_path.glob(".out*"))
    names = [each["name"] for each in cluster.status()["workers"]]
    assert worker.name not in names, "a name that was declared lost came back"


def test_a_worker_that_is_stopped_for_a_moment_stays(cluster, worker, books, expected, tmp_path):
    gate = Gate(tmp_path / "gate")
    job = Running(cluster, GatedCount(gate=gate.path), books, tmp_path / "out")
    job.wait_for(event="attempt_started", worker=worker.name)
    worker.signal(signal.SIGSTOP)
    worker.signal(signal.SIGCONT)
    gate.open()
    job.finish()
    assert digests(tmp_path / "out") == expected
    assert worker.name in [each["name"] for each in cluster.status()["workers"]]


# A disk that is full

OWN_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Ur", "--mount"]
SMALL_DISK = 'mount -t tmpfs -o size=200k tmpfs "$0" && exec "$@"'


@pytest.fixture
def small_disk(tmp_path):
    """Words that start a command with a directory of 200 KiB, and that directory."""
    folder = tmp_path / "small"
    folder.mkdir()
    through = [*OWN_MOUNTS, "sh", "-c", SMALL_DISK, str(folder)]
    try:
        subprocess.run([*through, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO full disk was tried: this machine lets us mount none ({error})")
    return through, folder


@pytest.fixture
def cramped(address, small_disk):
    through, folder = small_disk
    each = Worker(address, *through, TMPDIR=str(folder))
    each.folder = Path(f"/proc/{each.process.pid}/root{folder}")
    yield each
    each.close()


def test_a_full_disk_fails_the_attempt_and_not_the_job(
    cluster, beside, cramped, books, expected, tmp_path
):
    job = Running(cluster, GatedCount(), books, tmp_path / "out")
    failed = job.wait_for(event="attempt_failed", worker=cramped.name)
    job.finish()
    assert str(tmp_path / "small") in failed["error"]
    assert "No space left on device" in failed["error"]
    assert failed["reason"] == "disk_full"
    excluded = job.named("worker_excluded")
    assert (cramped.name, "its disk is full") in [(e["worker"], e["cause"]) for e in excluded]
    assert digests(tmp_path / "out") == expected


def test_a_cluster_of_full_disks_says_so(cluster, cramped, books, tmp_path):
    job = Running(cluster, GatedCount(), books, tmp_path / "out")
    with pytest.raises(JobFailed, match="No space left on device"):
        job.finish()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    left = [path.name for path in cramped.folder.rglob("*")]
    assert "scratch" in left, "this is not where the worker writes"
    assert not [name for name in left if name.endswith(".partial")]


# Workers that cannot reach each other

APART = """
import sys
from tests.cluster.test_chaos import Path, run_apart
run_apart(Path(sys.argv[1]), Path(sys.argv[2]))
"""
OWN_NETWORK = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "-Ur", "--net"]
LOOPBACK = "ip link set lo up && ip rule add pref 10 table local && ip rule del pref 0"


def run_apart(books, output):
    """In a network of its own: a job, while nobody can reach the shuffle port of one worker."""
    gate = Gate(output.with_name("gate"))
    with mr.Cluster(2) as cluster:
        client = cluster._client
        client.ask(m.AwaitWorkers(client.next_request(), 2))  # Else one may get all the work.
        job = Running(cluster, GatedCount(gate=gate.path), books, output)
        held = job.wait_for(event="attempt_started", task="map-1")["worker"]
        done = job.wait_for(event="attempt_done")
        assert done["worker"] != held
        (port,) = (
            each["address"].rpartition(":")[2]
            for each in cluster.status()["workers"]
            if each["name"] == done["worker"]
        )
        rule = f"pref 5 ipproto tcp dport {port} unreachable"
        subprocess.run(["ip", "rule", "add", *rule.split()], check=True)
        gate.open()
        try:
            job.finish()
        except JobFailed as error:
            print(error)


def test_workers_that_cannot_reach_each_other(books, expected, tmp_path):
    """The job ends: with the right bytes, or with a failure that says what was out of reach."""
    ready = [*OWN_NETWORK, "sh", "-c", f"{LOOPBACK} && ip rule add pref 5 ipproto tcp unreachable"]
    try:
        subprocess.run(ready, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO partition was tried: this machine gives us no network ({error})")
    output = tmp_path / "out"
    command = [*OWN_NETWORK, "sh", "-c", f'{LOOPBACK} && exec "$@"', "sh"]
    command += [sys.executable, "-c", APART, str(books), str(output)]
    ended = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=2 * JOB_S, env=environment()
    )
    if output.exists():
        assert digests(output) == expected
    else:
        assert "map outputs at 127.0.0.1" in ended.stdout
