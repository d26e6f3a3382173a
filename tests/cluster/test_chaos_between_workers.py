"""`minimr chaos` between two workers: what one fetches from the other comes late, damaged or never.

All are processes as a user starts them, and the worker behind the proxy is started by the line that
`minimr chaos` prints. `make soak` tries two more faults.
"""

import json
import shlex
import socket
import subprocess
import sys

import pytest

import minimr as mr
from minimr.cluster import messages as m
from minimr.cluster.launcher import environment
from tests.cluster.gated import Gate, GatedCount
from tests.cluster.running import Running, digests
from tests.cluster.shells import PATIENCE_S, read_line, shells_in

pytestmark = pytest.mark.slow


@pytest.fixture
def shells(tmp_path):
    with shells_in(tmp_path) as each:
        yield each


@pytest.fixture
def chaos():
    """Starts the proxy before a free port; gives the process and the line for the worker."""
    begun = []

    def begin(*faults):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-P", "-m", "cli.main", "chaos", "--to", f"127.0.0.1:{port}"]
        command += [word for fault in faults for word in ("--fault", fault)]
        process = subprocess.Popen(
            [*command, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )
        begun.append(process)
        return process, json.loads(read_line(process.stdout))["paste"]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "fault",
    [
        "delay:30ms,jitter=30ms",
        "cut:direction=down,after=1KiB,count=1",
        "flip:direction=down,after=1KiB,count=1",
        pytest.param("truncate:direction=down,after=1KiB,count=1", marks=pytest.mark.soak),
        # For every connection, so that nothing can be fetched from there and maps run again.
        "cut",
        pytest.param("flip:direction=down,after=1KiB", marks=pytest.mark.soak),
    ],
)
def test_what_workers_fetch_from_each_other(shells, chaos, fault, books, expected, tmp_path):
    shells.coordinator()
    proxy, paste = chaos(fault)
    shells.worker(*shlex.split(paste)[2:])
    shells.worker()
    gate = Gate(tmp_path / "gate")
    with mr.Cluster(address=shells.address) as cluster:
        client = cluster._client
        client.ask(m.AwaitWorkers(client.next_request(), 2))
        advertised = {each["address"] for each in cluster.status()["workers"]}
        assert shlex.split(paste)[-1] in advertised
        job = Running(cluster, GatedCount(gate=gate.path), books, tmp_path / "out")
        # While one worker waits in a map task, the other gets the rest: each holds an output.
        job.wait_for(event="attempt_started", task="map-1")
        job.wait_for(event="attempt_done")
        gate.open()
        job.finish()
    assert digests(tmp_path / "out") == expected
    proxy.terminate()
    happened = [
        json.loads(line)["what"] for line in proxy.communicate(timeout=PATIENCE_S)[0].splitlines()
    ]
    assert fault.partition(":")[0] in happened
