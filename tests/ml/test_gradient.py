"""The sums of one round: right against finite differences, additive, and independent of layout."""

import numpy as np
import pytest

import minimr as mr
from ml.gradient import GradientRound, block_sums, sums_from
from tests.ml.fakes import labeled_data


def random_block(rows=30, features=4, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, features)), generator.normal(size=rows)


def loss_of(X, labels, weights, intercept):
    if intercept:
        X = np.column_stack([X, np.ones(len(X))])
    return sum(
        (float(row @ weights) - label) ** 2 / 2 for row, label in zip(X, labels, strict=True)
    )


@pytest.mark.parametrize("intercept", [False, True])
def test_the_gradient_is_the_slope_of_the_loss(intercept):
    X, labels = random_block()
    weights = np.linspace(-1, 1, 4 + intercept)
    sums = sums_from(block_sums(X, labels, weights, intercept))
    assert sums.rows == 30
    assert sums.loss == pytest.approx(loss_of(X, labels, weights, intercept), rel=1e-13)
    for j, step in enumerate(np.eye(len(weights)) * 1e-5):
        rise = loss_of(X, labels, weights + step, intercept) - loss_of(
            X, labels, weights - step, intercept
        )
        assert sums.gradient[j] == pytest.approx(rise / 2e-5, rel=1e-6)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("columns", [0, 2])
def test_a_narrow_partition_counts_as_having_zero_columns(columns, intercept):
    X, labels = random_block(features=columns)
    weights = np.linspace(-1, 1, 4 + intercept)
    wide = np.zeros((30, 4))
    wide[:, :columns] = X
    np.testing.assert_allclose(
        block_sums(X, labels, weights, intercept),
        block_sums(wide, labels, weights, intercept),
        rtol=1e-14,
    )


def test_an_empty_partition_adds_nothing():
    sums = block_sums(np.zeros((0, 0)), np.zeros(0), np.ones(3), intercept=True)
    assert sums.tolist() == [0.0] * 5


@pytest.mark.parametrize("label", [1.0, np.inf])
def test_what_overflows_is_left_to_the_descent_without_a_warning(label):
    sums = block_sums(np.full((2, 1), 1e300), np.full(2, label), np.full(1, 1e300), False)
    assert not np.isfinite(sums[1])


def test_a_round_gives_one_short_pair_that_adds_up_the_partitions_in_order():
    X, labels = random_block()
    data = labeled_data((X[:10], labels[:10]), (X[10:11], labels[10:11]), (X[11:], labels[11:]))
    weights = np.arange(4.0)
    state = {"weights": weights, "iteration": 1}
    [(key, found)] = data.dataset.round(GradientRound(), state=state)
    parts = [
        block_sums(X[a:b], labels[a:b], weights, False) for a, b in [(0, 10), (10, 11), (11, 30)]
    ]
    assert key == 0
    assert found.tobytes() == (parts[0] + parts[1] + parts[2]).tobytes()


class KeptRows(GradientRound):
    """Shows which rows a mini-batch keeps."""

    def map_block(self, block):
        yield 0, [self._mini_batch(block)["y"].tolist()]


def kept(data, fraction, seed=42, iteration=1):
    state = {"weights": np.zeros(1), "iteration": iteration}
    [(_, rows)] = data.dataset.round(KeptRows(fraction=fraction, seed=seed), state=state)
    return rows


def test_a_mini_batch_follows_from_seed_iteration_and_partition_alone():
    rows = np.arange(1000.0)
    data = labeled_data((rows[:, None], rows), (rows[:, None], rows))
    first, second = kept(data, 0.25)
    assert [first, second] == kept(data, 0.25)
    assert first != second
    assert first != kept(data, 0.25, seed=43)[0]
    assert first != kept(data, 0.25, iteration=2)[0]
    assert abs(len(first) - 250) < 60  # more than four standard deviations


def test_the_whole_batch_keeps_every_row():
    rows = np.arange(50.0)
    assert kept(labeled_data((rows[:, None], rows)), 1.0) == [rows.tolist()]


def test_mini_batches_keep_features_and_labels_together():
    X = np.arange(1.0, 101.0)[:, None]
    data = labeled_data((X, 2 * X[:, 0]))
    job = GradientRound(fraction=0.3)
    [(_, found)] = data.dataset.round(job, state={"weights": np.array([2.0]), "iteration": 1})
    sums = sums_from(found)
    assert (sums.loss, sums.gradient.tolist()) == (0.0, [0.0])
    assert 0 < sums.rows < 100


def test_block_is_left_as_it_is():
    X, labels = random_block()
    block = mr.Block({"X": X.copy(), "y": labels.copy()})
    job = GradientRound(intercept=True)
    job.state = {"weights": np.ones(5), "iteration": 1}
    list(job.map_block(block))
    assert block["X"].tobytes() == X.tobytes()
    assert block["y"].tobytes() == labels.tobytes()
