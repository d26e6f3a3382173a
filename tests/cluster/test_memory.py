"""A job that wants more memory than a slot may have: it fails at its record, the worker lives."""

import subprocess
import sys

import pytest

import minimr as mr
from minimr.cluster.address import write_address
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.launcher import environment
from minimr.errors import JobFailed

pytestmark = pytest.mark.slow
MANY = 1_000


class Greedy(mr.Job):
    mib: int = 0

    def map(self, offset, line):
        yield line, len(bytearray(self.mib << 20))


@pytest.fixture
def address(tmp_path):
    """A cluster whose one worker believes that it shares this machine with a thousand slots."""
    coordinator = Coordinator()
    path = tmp_path / "cluster.json"
    write_address(path, coordinator.address(1))
    coordinator.start()
    (tmp_path / "base").mkdir()
    serve = f"serve(Path({str(path)!r}), slots_here={MANY}, base=Path({str(tmp_path / 'base')!r}))"
    imports = "from pathlib import Path; from minimr.cluster.worker_process import serve"
    command = [sys.executable, "-P", "-c", f"{imports}; {serve}"]
    with subprocess.Popen(command, env=environment()):
        yield path
        coordinator.stop()


def test_out_of_memory_is_the_records_fault_and_the_worker_survives(address, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    with mr.Cluster(address=address) as cluster:
        with pytest.raises(JobFailed, match="MemoryError"):
            cluster.run(Greedy, [str(text)], tmp_path / "out", options={"mib": 2_000})
        assert list(cluster.run(Greedy, [str(text)], options={"mib": 1})) == [("one line", 1 << 20)]
        assert [each["name"] for each in cluster.status()["workers"]] == ["worker-1"]
