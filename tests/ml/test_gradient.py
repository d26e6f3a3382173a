"""The round of one step: it adds up what the model sums, in the order of the partitions."""

import numpy as np
import pytest

import minimr as mr
from ml.batches import Batches
from ml.gradient import GradientRound, losses_at
from ml.models import Linear
from ml.penalties import Penalty
from ml.problem import Problem, mean_of
from tests.ml.fakes import labeled_data


def random_block(rows=30, features=4, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, features)), generator.normal(size=rows)


def job_of(model, features, batches=None):
    return GradientRound(problem=Problem(model, features, batches=batches or Batches()).options())


@pytest.mark.parametrize("intercept", [False, True])
def test_a_round_gives_one_short_pair_that_adds_up_the_partitions_in_order(intercept):
    X, labels = random_block()
    cuts = [(0, 10), (10, 11), (11, 30)]
    data = labeled_data(*((X[a:b], labels[a:b]) for a, b in cuts))
    model = Linear(intercept=intercept)
    parameters = np.arange(4.0 + intercept)
    state = {"parameters": parameters, "iteration": 1}
    [(key, found)] = data.dataset.round(job_of(model, 4), state=state)
    parts = [(np.asfortranarray(X[a:b]), labels[a:b]) for a, b in cuts]
    first, second, third = (model.sums(parameters, *each) for each in parts)
    assert key == 0
    assert found.tobytes() == ((first + second) + third).tobytes()


def test_mini_batches_keep_features_and_labels_together():
    X = np.arange(1.0, 101.0)[:, None]
    data = labeled_data((X, 2 * X[:, 0]))
    state = {"parameters": np.array([2.0]), "iteration": 1}
    [(_, found)] = data.dataset.round(job_of(Linear(), 1, Batches(fraction=0.3)), state=state)
    gradient, loss, rows = mean_of(found)
    assert (loss, gradient.tolist()) == (0.0, [0.0])
    assert 0 < rows < 100


def test_losses_are_those_of_the_batch_after_the_last_step():
    X, labels = random_block()
    data, batches = labeled_data((X, labels)), Batches(fraction=0.3)
    problem = Problem(Linear(), 4, Penalty(l2=0.5), iterations=6, batches=batches)
    points = [np.zeros(4), np.arange(4.0)]
    rows = batches.of(mr.Block({"X": X, "y": labels}), 7, 0)
    expected = [
        np.mean((rows["X"] @ point - rows["y"]) ** 2) / 2 + 0.25 * point @ point for point in points
    ]
    assert losses_at(problem, data, *points) == pytest.approx(expected, rel=1e-14)


def test_block_is_left_as_it_is():
    X, labels = random_block()
    block = mr.Block({"X": X.copy(), "y": labels.copy()})
    job = job_of(Linear(intercept=True), 4)
    job.state = {"parameters": np.ones(5), "iteration": 1}
    list(job.map_block(block))
    assert block["X"].tobytes() == X.tobytes()
    assert block["y"].tobytes() == labels.tobytes()
