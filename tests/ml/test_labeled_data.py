"""Resident rows: their summary, their order, and random splits."""

import random

import numpy as np
import pytest

import minimr as mr
from ml import DIABETES, DIABETES_RAW, ArgumentError, load_libsvm
from ml.labeled_data import SplitJob, split_borders, uniform_draws
from tests.ml.fakes import FakeCluster, labeled_data


def test_the_bundled_data(cluster):
    X, labels = load_libsvm(DIABETES, cluster=cluster).to_arrays()
    raw, raw_labels = load_libsvm(DIABETES_RAW, cluster=cluster).to_arrays()
    assert X.shape == raw.shape == (442, 10)
    assert raw[0].tolist() == [59.0, 2.0, 32.1, 101.0, 157.0, 93.2, 38.0, 4.0, 4.8598, 87.0]
    assert labels.tolist() == raw_labels.tolist()
    assert labels[:3].tolist() == [151.0, 75.0, 141.0]
    np.testing.assert_allclose(X, (raw - raw.mean(axis=0)) / raw.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_rows_stay_in_the_order_of_the_file(cluster, tmp_path, partitions):
    path = tmp_path / "data.libsvm"
    path.write_text("".join(f"{i} {i % 3 + 1}:{i}\n" for i in range(1, 31)))
    data = load_libsvm(path, partitions=partitions, cluster=cluster)
    X, labels = data.to_arrays()
    assert labels.tolist() == list(range(1, 31))
    assert X.sum(axis=1).tolist() == list(range(1, 31))
    assert (data.count(), data.features) == (30, 3)


def test_a_fault_in_the_file_is_named(cluster, tmp_path):
    path = tmp_path / "data.libsvm"
    path.write_text("1 1:1\n" * 20 + "1 0:1\n" + "1 1:1\n" * 20)
    with pytest.raises(mr.MinimrError, match=r"data.libsvm, line 21: the index 0"):
        load_libsvm(path, partitions=3, cluster=cluster).count()


def test_numpys_whole_numbers_are_whole_numbers():
    data = load_libsvm(DIABETES, partitions=np.int64(3), cluster=FakeCluster())
    assert data.dataset.partitions == 3
    [found] = data.random_split([1.0], seed=np.int64(3))
    assert found.count() == data.count()


@pytest.mark.parametrize("partitions", [0, -1, 2.0, True, "8"])
def test_partitions_must_be_a_count(partitions):
    with pytest.raises(ArgumentError, match="partitions must be a whole number >= 1"):
        load_libsvm("nowhere", partitions=partitions)


def test_summary_of_partitions_of_unequal_width():
    data = labeled_data(
        ([[1.0], [2.0]], [3.0, -1.0]), (np.zeros((0, 0)), []), ([[1.0, 2.0]], [4.0])
    )
    summary = data.summary()
    assert (summary.rows, summary.features, summary.bad_rows) == (3, 2, 0)
    assert (summary.label_min, summary.label_mean, summary.label_max) == (-1.0, 2.0, 4.0)
    assert data.to_arrays()[0].tolist() == [[1.0, 0.0], [2.0, 0.0], [1.0, 2.0]]


@pytest.mark.parametrize("parts", [[], [[1.0, np.nan], [0.0]], [[0.0], [1.0, np.nan]]])
def test_the_range_of_labels_is_nan_of_no_rows_or_with_one(parts):
    rows = [(np.ones((len(labels), 1)), labels) for labels in parts]
    summary = labeled_data((np.zeros((0, 1)), []), *rows).summary()
    assert np.isnan([summary.label_min, summary.label_mean, summary.label_max]).all()


def test_the_summary_costs_one_round():
    data = labeled_data(([[1.0]], [1.0]))
    for _ in range(3):
        assert (data.count(), data.features) == (1, 1)
    assert data.dataset.rounds == 1


def test_summary_counts_rows_that_are_not_finite():
    nan, inf = float("nan"), float("inf")
    data = labeled_data(
        ([[1.0, nan], [inf, nan], [1.0, 2.0]], [1.0, 1.0, inf]), ([[1.0, 2.0]], [0.0])
    )
    assert data.summary().bad_rows == 3


def test_summary_of_no_rows():
    summary = labeled_data((np.zeros((0, 0)), [])).summary()
    assert (summary.rows, summary.features) == (0, 0)
    assert np.isnan(summary.label_mean)


def test_features_as_float32():
    narrow = labeled_data(([[0.1, 1.0], [1e300, 2.0]], [0.1, 1e300])).as_float32()
    (block,) = narrow.dataset.blocks
    assert block["X"].dtype == np.float32
    assert block["X"].tolist() == [[float(np.float32(0.1)), 1.0], [float("inf"), 2.0]]
    assert block["y"].tolist() == [0.1, 1e300]
    assert narrow.summary().bad_rows == 1


def test_every_row_lands_in_exactly_one_part(cluster):
    data = load_libsvm(DIABETES, partitions=3, cluster=cluster)
    weights = [0.5, 0.25, 0.25]
    parts = data.random_split(weights, seed=3)
    rows = [tuple(row) for part in parts for row in part.to_arrays()[0].tolist()]
    assert sorted(rows) == sorted(map(tuple, data.to_arrays()[0].tolist()))
    assert sum(part.count() for part in parts) == 442
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.count() - 442 * weight) < 45


def test_a_split_depends_on_its_seed(cluster):
    data = load_libsvm(DIABETES, partitions=2, cluster=cluster)

    def labels(seed):
        return data.random_split([0.6, 0.4], seed=seed)[0].to_arrays()[1].tolist()

    assert labels(17) == labels(17)
    assert labels(17) != labels(18)


def test_every_partition_has_draws_of_its_own():
    labels = np.arange(30.0)
    data = labeled_data(*((np.ones((15, 1)), half) for half in (labels[:15], labels[15:])))
    kept = data.random_split([0.5, 0.5], seed=3)[0].to_arrays()[1]
    draws = np.concatenate([uniform_draws(3, partition, 15) for partition in range(2)])
    assert kept.tolist() == labels[draws < 0.5].tolist()


def test_a_part_keeps_the_width_of_the_whole():
    X = np.zeros((40, 1))
    data = labeled_data((X, np.zeros(40)), ([[0.0, 0.0, 7.0]], [1.0]))
    parts = data.random_split([0.5, 0.5], seed=1)
    assert [part.features for part in parts] == [3, 3]
    assert [part.to_arrays()[0].shape[1] for part in parts] == [3, 3]


def test_a_row_belongs_to_the_part_whose_lower_border_it_meets():
    draws = uniform_draws(seed=9, partition_index=0, rows=50)
    low, high = sorted(draws[[3, 7]].tolist())
    job = SplitJob(seed=9, low=low, high=high)
    kept = job.map_block(mr.Block({"y": np.arange(50)}))["y"].tolist()
    assert [low in draws[kept], high in draws[kept]] == [True, False]


def test_a_part_can_be_split_again():
    rows = np.arange(100.0)
    data = labeled_data((rows[:, None], rows))
    half, _ = data.random_split([1, 1], seed=5)
    first, second = half.random_split([0.5, 0.5], seed=6)
    together = sorted([*first.to_arrays()[1].tolist(), *second.to_arrays()[1].tolist()])
    assert together == sorted(half.to_arrays()[1].tolist())


def test_without_a_seed_one_is_drawn():
    rows = np.arange(64.0)
    data = labeled_data((rows[:, None], rows))
    assert sum(part.count() for part in data.random_split([1, 1])) == 64


def test_borders_are_the_running_sums_of_normalised_weights():
    assert split_borders([0.6, 0.4]) == [0.0, 0.6, 1.0]
    assert split_borders([6, 4]) == [0.0, 0.6, 1.0]
    assert split_borders([1, 0, 1]) == [0.0, 0.5, 0.5, 1.0]
    # 1/3 + 1/3 + 1/3 in floats; not rounded up to make a tidy end
    assert split_borders([1, 1, 1]) == [0.0, 1 / 3, 1 / 3 + 1 / 3, 1 / 3 + 1 / 3 + 1 / 3]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.6, -0.4], "each weight must be a number >= 0, but is -0.4"),
        ([0.0, 0.0], "at least one number > 0"),
        ([], "at least one number > 0"),
        (["a"], "each weight must be a number"),
        ([1e308, 1e308], "weights must add up to a number"),
        ([float("nan")], "each weight must be a number"),
    ],
)
def test_weights_that_cannot_be(weights, message):
    with pytest.raises(ArgumentError, match=message):
        labeled_data(([[1.0]], [1.0])).random_split(weights, seed=1)


@pytest.mark.parametrize("seed", [1.5, "17", True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ArgumentError, match="seed must be a whole number or None"):
        labeled_data(([[1.0]], [1.0])).random_split([1, 1], seed=seed)


@pytest.mark.parametrize("rows", [0, 1, 700, 5000])
def test_draws_are_those_of_pythons_own_generator(rows):
    generator = random.Random(17 ^ 3)
    for _ in range(10):
        generator.randint(0, 1)
    assert uniform_draws(17, 3, rows).tolist() == [generator.random() for _ in range(rows)]
