"""Mini-batches: what they keep, and what they do not depend on."""

import numpy as np
import pytest

import minimr as mr
from ml import Linear, train
from ml.batches import Batches, offsets_of
from ml.errors import ArgumentError
from tests.ml.fakes import labeled_data


def kept(batches, iteration=1, partition=0, rows=1000):
    block = mr.Block({"X": np.zeros((rows, 0)), "y": np.arange(float(rows))})
    return batches.of(block, iteration, partition)["y"].tolist()


def test_a_mini_batch_follows_from_seed_iteration_and_partition_alone():
    first = kept(Batches(fraction=0.25))
    assert first == kept(Batches(fraction=0.25))
    assert first != kept(Batches(fraction=0.25), partition=1)
    assert first != kept(Batches(fraction=0.25, seed=43))
    assert first != kept(Batches(fraction=0.25), iteration=2)
    assert abs(len(first) - 250) < 60  # more than four standard deviations


def test_the_whole_batch_keeps_every_row():
    assert kept(Batches(), rows=50) == list(range(50))
    assert Batches().whole
    assert not Batches(fraction=0.5).whole
    assert not Batches(rows=3).whole


@pytest.mark.parametrize("wanted", [1, 7, 60])
@pytest.mark.parametrize("sizes", [[60], [20, 0, 39, 1]])
def test_so_many_rows_are_picked_from_the_whole_however_it_is_cut(wanted, sizes):
    offsets = offsets_of(sizes)
    batches = Batches(rows=wanted, offsets=offsets)
    picked = [
        offset + row
        for index, (offset, size) in enumerate(zip(offsets, sizes, strict=False))
        for row in kept(batches, 4, index, size)
    ]
    assert len(set(picked)) == len(picked) == wanted
    assert picked == sorted(picked)
    assert picked == kept(Batches(rows=wanted, offsets=(0, 60)), 4, 0, 60)


def test_single_samples_are_drawn_evenly():
    batches = Batches(rows=1, offsets=(0, 4))
    drawn = [kept(batches, i, rows=4)[0] for i in range(1, 401)]
    counts = np.bincount(np.array(drawn, dtype=int), minlength=4)
    assert counts.min() > 60  # 100 each, more than four standard deviations


def test_single_samples_give_the_same_model_from_any_partitions():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(30, 3)), generator.normal(size=30)
    cuts = [(0, 30)], [(0, 9), (9, 9), (9, 30)]
    first, second = (
        train(
            Linear(intercept=True),
            labeled_data(*((X[a:b], y[a:b]) for a, b in cut)),
            step=0.1,
            batch_rows=1,
        )
        for cut in cuts
    )
    np.testing.assert_allclose(first.parameters, second.parameters, rtol=1e-12)
    assert len(first.loss_history) == 101


@pytest.mark.parametrize("wanted", [0, 4])
def test_more_rows_than_there_are_cannot_be_drawn(wanted):
    data = labeled_data((np.ones((3, 1)), np.ones(3)))
    with pytest.raises(ArgumentError, match="batch_rows must be from 1 to the 3 rows of data"):
        train(Linear(), data, batch_rows=wanted)
