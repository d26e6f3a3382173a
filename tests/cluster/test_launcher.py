"""Workers that are started before there is a coordinator."""

import subprocess
import sys

import pytest

from minimr.cluster import coordinator, local
from minimr.cluster.launcher import DISMISSED, environment
from minimr.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("last_word", "removes"),
    [(b"", True), (DISMISSED, False)],
    ids=["its launcher is killed", "it is dismissed"],
)
def test_a_worker_leaves_that_never_had_a_coordinator(tmp_path, last_word, removes):
    base = tmp_path / "base"
    base.mkdir()
    command = [sys.executable, "-P", "-m", "minimr.cluster.worker_process"]
    command += ["--address", str(base / "none.json"), "--base", str(base)]
    ended = subprocess.run(
        command, input=last_word, env=environment(), capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert base.exists() is not removes


def test_without_a_coordinator_no_worker_stays(tmp_path, monkeypatch):
    launched = []

    class Workers(local.LocalWorkers):
        def __init__(self, *options):
            super().__init__(*options)
            launched.extend(self._processes)

    def refuse():
        raise UsageError("no port is free")

    monkeypatch.setattr(local, "LocalWorkers", Workers)
    monkeypatch.setattr(coordinator, "Coordinator", refuse)
    monkeypatch.setattr(local.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match="no port is free"):
        local.LocalCluster(workers=2)
    assert [process.poll() for process in launched] == [0, 0]
    assert list(tmp_path.iterdir()) == []
