"""What real processes write passes, whoever dies; the sequential run is the oracle."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

import minimr as mr
from minimr.observe.checks import Verdict, judged
from minimr.observe.checks.published import damage, expected_of
from minimr.observe.log import read_log
from tests.cluster.gated import Gate, GatedCount

pytestmark = pytest.mark.slow

REDUCERS = 3
SILENT = {8, 13}
"""Only the simulator can look into the journal and behind every process."""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Big enough that map outputs go to disk, so that they are lost with their worker."""
    folder = tmp_path_factory.mktemp("books")
    chance = random.Random(11)
    words = [f"word{number}" for number in range(2000)]
    for number in range(4):
        lines = (" ".join(chance.choices(words, k=10)) for _ in range(2000))
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def sequential(books: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sequential") / "out"
    mr.run(GatedCount, [str(books)], output, reducers=REDUCERS, runner="serial")
    return output


class Killer:
    """Kills the workers of a task's first attempts as these start; then it opens the gate."""

    def __init__(self, gate: Gate, task: str, times: int) -> None:
        self.gate, self.task, self.times = gate, task, times
        self.cluster: mr.Cluster | None = None
        self.died: list[str] = []

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "attempt_started" and event["task"] == self.task:
            if len(self.died) < self.times:
                self.kill(event["worker"])
            else:
                self.gate.open()

    def kill(self, worker: str) -> None:
        assert self.cluster is not None
        workers = self.cluster.status()["workers"]
        self.died.append(worker)
        os.kill(next(each["pid"] for each in workers if each["name"] == worker), signal.SIGKILL)


def verdict_of(output: Path, sequential: Path) -> Verdict:
    oracle = {"job-1": expected_of(sequential)}
    return judged(read_log(output.with_suffix(".log")), oracle)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_undisturbed_run(workers: int, books: Path, sequential: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    mr.run(GatedCount, [str(books)], output, reducers=REDUCERS, workers=workers)
    verdict = verdict_of(output, sequential)
    assert verdict.violations == ()
    assert set(verdict.unjudged) == SILENT
    assert list(damage(output, expected_of(sequential))) == []


@pytest.mark.parametrize(
    ("at", "task", "workers", "times"),
    [("map", "map-1", 2, 1), ("map", "map-1", 3, 3), ("reduce-0", "reduce-0", 3, 2)],
)
def test_workers_that_are_killed(
    at: str, task: str, workers: int, times: int, books: Path, sequential: Path, tmp_path: Path
) -> None:
    """The task alone is held: behind another that waits at the gate a lost map would wait, too."""
    gate, output = Gate(tmp_path / "gate"), tmp_path / "out"
    killer = Killer(gate, task, times)
    with mr.Cluster(workers, on_event=killer) as cluster:
        killer.cluster = cluster
        job = GatedCount(gate=gate.path, at=at)
        cluster.run(job, [str(books)], output, reducers=REDUCERS)
    verdict = verdict_of(output, sequential)
    assert verdict.violations == ()
    assert set(verdict.unjudged) == SILENT
    told = list(read_log(output.with_suffix(".log")))
    lost = [event["worker"] for event in told if event["event"] == "worker_lost"]
    assert lost == killer.died
    assert len(lost) == times


def test_the_sequential_runner_s_own_log(sequential: Path) -> None:
    """It tells less than a coordinator's, and is judged in less."""
    verdict = judged(read_log(sequential.with_suffix(".log")))
    assert verdict.violations == ()
    assert {2, 3, 9, 11, 12} <= set(verdict.held)
