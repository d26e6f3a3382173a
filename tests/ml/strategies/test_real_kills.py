"""A worker dies by SIGKILL in the middle of every strategy, and the result is the same."""

import os
import signal

import pytest

import minimr as mr
from minimr.cluster.member_memory import SHARED_BYTES_MIN
from minimr.observe.checks import check
from minimr.observe.log import read_log
from ml import DIABETES, Linear, MultilayerPerceptron, load_libsvm, train

pytestmark = pytest.mark.slow
WORKERS, STEPS = 3, 20


class Killer:
    """Follows the events: with the next `after` steps the first worker dies, or as many at once."""

    def __init__(self, victims):
        self.after, self.victims, self.cluster = 0, victims, None

    def __call__(self, event):
        if self.after and event["event"] in ("member_note", "round_done"):
            self.after -= 1
            if self.after == 0:
                for victim in self.cluster.worker_pids[: self.victims]:
                    os.kill(victim, signal.SIGKILL)


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    yield from killer_in_a_cluster(tmp_path_factory)


@pytest.fixture(scope="module")
def another_killer(tmp_path_factory):
    """In a cluster of its own, for only so many workers are replaced in one."""
    yield from killer_in_a_cluster(tmp_path_factory)


@pytest.fixture(scope="module")
def killer_of_two(tmp_path_factory):
    """In a third one."""
    yield from killer_in_a_cluster(tmp_path_factory, victims=2)


def killer_in_a_cluster(tmp_path_factory, victims=1):
    killer, log = Killer(victims), tmp_path_factory.mktemp("kills") / "a.log"
    with mr.Cluster(WORKERS, log=log, on_event=killer) as killer.cluster:
        yield killer
    assert check(read_log(log)) == []


@pytest.fixture
def data(killer):
    """Loading waits until all workers are there, among them the heir of the one killed before."""
    return load_libsvm(DIABETES, partitions=6, cluster=killer.cluster)


@pytest.mark.parametrize(
    "strategy", ["sync", "ssp:0", "async", "allreduce", "local:2", "model_parallel", "pipeline"]
)
def test_a_killed_worker_changes_nothing(data, killer, strategy):
    model = MultilayerPerceptron((4,)) if strategy == "pipeline" else Linear()
    assert_a_kill_changes_nothing(model, data, strategy, killer)


@pytest.mark.parametrize("strategy", ["ssp:0", "allreduce", "local:2"])
def test_nor_where_members_share_memory(another_killer, tmp_path, strategy):
    """With so many columns that a third of the gradient passes through it."""
    columns = 3 * SHARED_BYTES_MIN // 8 + 3
    path = tmp_path / "wide.libsvm"
    path.write_text("".join(f"{row} {row + 1}:0.5 {columns}:1\n" for row in range(12)))
    data = load_libsvm(path, partitions=6, cluster=another_killer.cluster)
    assert_a_kill_changes_nothing(Linear(), data, strategy, another_killer)


@pytest.mark.parametrize("strategy", ["ssp:0", "async", "allreduce"])
def test_two_at_once_change_nothing(killer_of_two, strategy):
    """Of three members two are neighbours always: one of them has the other's only replica."""
    data = load_libsvm(DIABETES, partitions=6, cluster=killer_of_two.cluster)
    assert_a_kill_changes_nothing(Linear(), data, strategy, killer_of_two)


def assert_a_kill_changes_nothing(model, data, strategy, killer):
    settings = {"step": 0.1, "iterations": STEPS}
    calm = train(model, data, strategy, **settings)
    killer.after = 7
    rough = train(model, data, strategy, **settings)
    assert killer.after == 0
    assert rough.updates == calm.updates
    if strategy == "async":
        return  # Nobody promises the order of its updates.
    assert rough.parameters.tobytes() == calm.parameters.tobytes()
    assert rough.loss_history == calm.loss_history


def test_a_worker_killed_before_its_only_round_changes_nothing(killer):
    """What `average` asks of a worker is one round: the killer strikes at the word that the rows
    were looked over, when that round is next."""
    calm, rough = (load_libsvm(DIABETES, partitions=6, cluster=killer.cluster) for _ in range(2))
    settings = {"step": 0.1, "iterations": STEPS}
    expected = train(Linear(), calm, "average", **settings)
    killer.after = 1
    found = train(Linear(), rough, "average", **settings)
    assert killer.after == 0
    assert found.parameters.tobytes() == expected.parameters.tobytes()
