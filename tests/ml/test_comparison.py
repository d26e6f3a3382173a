from itertools import pairwise
from time import perf_counter

import numpy as np
import pytest

import minimr as mr
from ml import Diverged, Linear, Problem, train
from ml.comparison import Compared, alone, compare, verdict
from ml.delays import Delays, slow_member
from ml.divergence import curvature_of
from ml.training import Trained
from tests.ml.fakes import labeled_data

CHANCE = np.random.default_rng(5)
X = CHANCE.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1
SETTINGS = {"step": 0.2, "schedule": "constant", "iterations": 10}


def partitioned():
    return labeled_data(*((X[a:b], Y[a:b]) for a, b in pairwise([0, 20, 30, 50])))


def test_every_strategy_is_told_with_its_distance_from_one_process():
    found, single = compare(Linear(), partitioned(), ["sync", "local:5"], **SETTINGS)
    assert [each.strategy for each in found] == ["sync", "local:5"]
    assert found[0].distance < 1e-15 < found[1].distance
    assert (
        single.parameters.tobytes()
        == train(Linear(), partitioned(), **SETTINGS).parameters.tobytes()
    )
    for each in found:
        trained = each.trained
        assert len(trained.seconds) == len(trained.loss_history)
        assert trained.seconds == sorted(trained.seconds)
        assert trained.sent_bytes > 0
        assert each.seconds >= trained.seconds[-1]


@pytest.mark.parametrize(
    "strategy", ["sync", "ssp:1", "async", "allreduce", "local:2", "average", "model_parallel"]
)
def test_when_the_losses_were_known_and_what_was_sent(strategy):
    began = perf_counter()
    trained = train(Linear(), partitioned(), strategy, **SETTINGS)
    assert len(trained.seconds) == len(trained.loss_history)
    assert trained.seconds == sorted(trained.seconds)
    assert trained.seconds[0] < trained.seconds[-1] <= perf_counter() - began
    assert trained.sent_bytes > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2.0, "1 s: distributing pays, 2.0 times as fast."),
        (0.5, "1 s: distributing costs 2.0 times as much and pays nothing."),
    ],
)
def test_the_cost_line_says_whether_it_paid(seconds, words):
    single = Trained(Linear(), 1, np.zeros(1), seconds=[0.0, 0.1, seconds])
    found = [
        Compared(name, single, wall, 0.0) for name, wall in (("sync", 3.0), ("allreduce", 1.0))
    ]
    text = verdict(found, single)
    assert text.startswith(f"COST: one process of plain numpy takes {seconds:.3g} s; allreduce")
    assert text.endswith(words)


def test_what_reads_the_rows_once_is_not_praised_for_distributing():
    single = Trained(Linear(), 1, np.zeros(1), seconds=[0.0, 3.0])
    found = [Compared(name, single, wall, 0.0) for name, wall in (("sync", 2.0), ("gram", 1.0))]
    told = "gram, the fastest here, 1 s: 3.0 times as fast, by reading the rows only once."
    assert verdict(found, single).endswith(told)


def test_stragglers_change_nothing_but_the_time():
    data, delays = partitioned(), slow_member(1, 3, 3, factor=1.5, share=0.5)
    assert delays == Delays(1, 2, 1.5, 0.5)
    slow = train(Linear(), data, "allreduce", delays=delays, **SETTINGS)
    plain = train(Linear(), data, "allreduce", **SETTINGS)
    assert slow.parameters.tobytes() == plain.parameters.tobytes()


def test_a_slow_member_is_slow_with_all_its_partitions():
    owned = [slow_member(rank, 3, 8, factor=2.0) for rank in range(3)]
    assert [(each.first, each.end) for each in owned] == [(0, 2), (2, 5), (5, 8)]


def test_a_delay_strikes_its_own_partitions_in_its_share_of_the_steps(monkeypatch):
    slept = []
    monkeypatch.setattr("ml.delays.time.sleep", slept.append)
    monkeypatch.setattr("ml.delays.time.perf_counter", lambda: 2.0)
    for partition in range(4):
        Delays(1, 3, factor=4.0).wait(1.5, 1, partition)
    assert slept == [1.5, 1.5]
    slept.clear()
    for iteration in range(1000):
        Delays(0, 1, factor=2.0, share=0.25).wait(1.0, iteration, 0)
    assert 200 < len(slept) < 300


def test_the_sums_of_a_slow_partition_take_so_many_times_as_long(monkeypatch):
    slept, times = [], iter([10.0, 10.5])
    monkeypatch.setattr("ml.delays.time.sleep", slept.append)
    monkeypatch.setattr("ml.delays.time.perf_counter", lambda: next(times))
    problem = Problem(Linear(), 3, delays=Delays(2, 3, factor=4.0))
    problem.sums(np.zeros(3), mr.Block({"X": X, "y": Y}), iteration=7, partition_index=2)
    assert slept == [1.5]


def test_alone_nobody_straggles(monkeypatch):
    slept = []
    monkeypatch.setattr("ml.delays.time.sleep", slept.append)
    data, delays = partitioned(), slow_member(1, 3, 3, factor=4.0, share=1.0)
    train(Linear(), data, "sync", delays=delays, **SETTINGS)
    assert slept
    slept.clear()
    train(Linear(), data, alone, delays=delays, **SETTINGS)
    assert slept == []


@pytest.mark.parametrize("strategy", [alone, "allreduce"])
@pytest.mark.filterwarnings("error")
def test_sums_that_overflow_are_told_and_not_warned_of(strategy):
    """The loss grows by a fifth in a step: once each of three parts is finite, and the sum not."""
    data = labeled_data((X, Y), (X, Y), (X, Y))
    data.dataset.members_max = 1
    step = 2.1 / curvature_of(data, intercept=False).largest
    with pytest.raises(Diverged):
        train(Linear(), data, strategy, step=step, schedule="constant", iterations=5_000)


def test_whoever_diverges_is_named():
    """Whose rows are few descends steeper than all together."""
    data = labeled_data((X[:2] * 4, Y[:2]), (X[2:], Y[2:]))
    settings = {"step": 0.3, "schedule": "constant", "iterations": 400}
    with pytest.raises(Diverged) as failure:
        compare(Linear(), data, ["sync", "average"], **settings)
    assert failure.value.__notes__ == ["So it went with average; leave it out to see the others."]


def test_alone_needs_no_gang_and_one_round():
    data = partitioned()
    rounds = data.dataset.rounds
    train(Linear(), data, alone, **SETTINGS)
    assert data.dataset.rounds <= rounds + 3
