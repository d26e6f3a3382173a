"""Who looks with `ps` sees which process is which."""

import pytest

import minimr as mr
from tests.cluster.processes import child_of, name_of

pytestmark = pytest.mark.slow


class Lines(mr.Job):
    def map(self, offset, line):
        yield line, 1


def test_a_worker_its_nursery_and_its_slot(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    with mr.Cluster(workers=1) as cluster:
        cluster.run(Lines, [str(text)])
        (worker,) = cluster.worker_pids
        nursery = child_of(worker)
        names = [name_of(pid) for pid in (worker, nursery, child_of(nursery))]
    assert names == ["minimr-worker", "minimr-nursery", "minimr-slot"]
