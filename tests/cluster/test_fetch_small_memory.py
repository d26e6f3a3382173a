"""A real cluster whose slots have little memory: what is fetched goes to files, and nobody sees."""

import shutil

import pytest

import minimr as mr
from minimr.runners.request import MEMORY_BYTES_MIN
from tests.cluster.gated import GatedCount
from tests.cluster.running import digests

pytestmark = pytest.mark.slow


def test_the_same_bytes_with_little_memory(books, tmp_path):
    """A quarter of it is less than what one reducer fetches."""
    for number in range(6):
        shutil.copytree(books, tmp_path / "books" / str(number))
    inputs = [str(tmp_path / "books" / str(number)) for number in range(6)]
    mr.run(GatedCount, inputs, tmp_path / "serial", reducers=1, runner="serial")
    with mr.Cluster(workers=2) as cluster:
        cluster.run(GatedCount, inputs, tmp_path / "out", reducers=1, memory_bytes=MEMORY_BYTES_MIN)
    assert digests(tmp_path / "out") == digests(tmp_path / "serial")
