"""Who looks with `ps` sees which process is which."""

from pathlib import Path

import pytest

import minimr as mr

pytestmark = pytest.mark.slow


class Lines(mr.Job):
    def map(self, offset, line):
        yield line, 1


def name_of(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def child_of(pid):
    children = [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    (only,) = children
    return int(only)


def test_a_worker_its_nursery_and_its_slot(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    with mr.Cluster(workers=1) as cluster:
        cluster.run(Lines, [str(text)])
        (worker,) = cluster.worker_pids
        nursery = child_of(worker)
        names = [name_of(pid) for pid in (worker, nursery, child_of(nursery))]
    assert names == ["minimr-worker", "minimr-nursery", "minimr-slot"]
