"""Many real jobs with three `kill -9` each, the coordinator among the victims of every fourth.

The kills follow events, not the clock: a seed says after how many lines of the event log which
process dies. MINIMR_SOAK multiplies the number of jobs.
"""

import os
import random

import pytest

import minimr as mr
from minimr.observe.checks import check
from minimr.observe.log import read_log
from tests.cluster.gated import GatedCount
from tests.cluster.shells import parts, shells_in

pytestmark = pytest.mark.slow
JOBS = 20 * int(os.environ.get("MINIMR_SOAK", "1"))
FILES, REDUCERS, WORKERS, KILLS = 6, 4, 2, 3


class Killer:
    """Follows one job and kills at the chosen lines of its log."""

    def __init__(self, shells, coordinator, workers, seed):
        chance = random.Random(seed)
        self.shells, self.coordinator, self.workers = shells, coordinator, workers
        lines = sorted(chance.sample(range(3, 3 + 2 * FILES), KILLS))
        victims = [chance.randrange(WORKERS) for _ in lines]
        if seed % 4 == 0:
            victims[chance.randrange(KILLS)] = None
        self.plan = dict(zip(lines, victims, strict=True))
        self.seen = self.killed = 0

    def __call__(self, event):
        victim = self.plan.get(self.seen, -1)
        self.seen += 1
        if victim == -1:
            return
        self.killed += 1
        if victim is None:
            self.shells.kill(self.coordinator)
            self.coordinator = self.shells.coordinator()
        else:
            self.shells.kill(self.workers[victim])
            self.workers[victim] = self.shells.worker()


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    chance = random.Random(1)
    words = ["to", "be", "or", "not", "that", "is", "the", "question"]
    for number in range(FILES):
        lines = (" ".join(chance.choices(words, k=8)) for _ in range(200))
        (folder / f"{number}.txt").write_text("\n".join(lines) + "\n")
    mr.run(GatedCount, [str(folder / "*.txt")], folder / "serial", runner="serial", reducers=4)
    return folder


def test_jobs_give_the_same_bytes_whoever_is_killed(texts, tmp_path):
    with shells_in(tmp_path) as shells:
        coordinator = shells.coordinator()
        workers = [shells.worker() for _ in range(WORKERS)]
        for seed in range(JOBS):
            killer = Killer(shells, coordinator, workers, seed)
            output = tmp_path / f"out-{seed}"
            with mr.Cluster(address=shells.address, on_event=killer) as cluster:
                cluster.run(GatedCount, [str(texts / "*.txt")], output, reducers=REDUCERS)
            coordinator = killer.coordinator
            assert killer.killed == KILLS, f"seed {seed}"
            assert parts(output) == parts(texts / "serial"), f"seed {seed}"
            assert check(read_log(f"{output}.log")) == [], f"seed {seed}"
