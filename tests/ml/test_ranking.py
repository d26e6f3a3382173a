"""BinaryClassificationMetrics: Spark's definitions, counted by hand and pair by pair."""

import numpy as np
import pytest

from ml import (
    ArgumentError,
    BinaryClassificationMetrics,
    ClassificationModel,
    Linear,
    Trained,
    evaluate_ranking,
)
from tests.ml.fakes import labeled_data

# The pairs of the example in Spark's documentation of this class.
PAIRS = [(0.1, 0.0), (0.1, 1.0), (0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.6, 1.0), (0.8, 1.0)]


def test_the_curves_by_hand():
    metrics = BinaryClassificationMetrics(PAIRS)
    assert metrics.thresholds().tolist() == [0.8, 0.6, 0.4, 0.1]
    rates = [(0, 0), (0, 1 / 4), (1 / 3, 3 / 4), (2 / 3, 3 / 4), (1, 1), (1, 1)]
    np.testing.assert_allclose(metrics.roc(), rates, rtol=1e-15)
    precisions = [1.0, 3 / 4, 3 / 5, 4 / 7]
    recalls = [1 / 4, 3 / 4, 3 / 4, 1.0]
    np.testing.assert_allclose(metrics.pr()[1:], np.column_stack([recalls, precisions]))
    assert metrics.pr()[0].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(metrics.precisionByThreshold()[:, 1], precisions)
    np.testing.assert_allclose(metrics.recallByThreshold()[:, 1], recalls)
    for beta in (1.0, 2.0):
        expected = [
            (1 + beta**2) * p * r / (beta**2 * p + r)
            for p, r in zip(precisions, recalls, strict=True)
        ]
        np.testing.assert_allclose(metrics.fMeasureByThreshold(beta)[:, 1], expected)


def test_the_areas_of_sparks_example():
    """0.708... and 0.833..., as its documentation prints them."""
    metrics = BinaryClassificationMetrics(PAIRS)
    assert metrics.areaUnderROC == pytest.approx(0.7083333333333333, rel=1e-14)
    assert metrics.areaUnderPR == pytest.approx(0.8339285714285714, rel=1e-14)
    assert metrics.rows == 7
    assert "areaUnderROC=0.708333" in repr(metrics)


def test_a_label_is_positive_above_a_half():
    halves = [(0.9, 0.6), (0.5, 0.5), (0.1, 0.4)]
    whole = [(0.9, 1.0), (0.5, 0.0), (0.1, 0.0)]
    found, expected = (BinaryClassificationMetrics(pairs).roc() for pairs in (halves, whole))
    assert found.tolist() == expected.tolist()


def test_the_curve_of_precision_starts_at_its_first_precision():
    metrics = BinaryClassificationMetrics([(0.9, 0.0), (0.9, 1.0), (0.1, 1.0)])
    assert metrics.pr().tolist() == [[0.0, 0.5], [0.5, 0.5], [1.0, 2 / 3]]


def scored(rows=60, seed=1):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, size=rows).astype(float)
    return np.round(generator.normal(size=rows) + labels, 1), labels  # rounded: there are ties


def test_the_area_under_roc_is_the_share_of_pairs_in_the_right_order():
    scores, labels = scored()
    above = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[labels == 1]
        for n in scores[labels == 0]
    ]
    metrics = BinaryClassificationMetrics(np.column_stack([scores, labels]))
    assert metrics.areaUnderROC == pytest.approx(sum(above) / len(above), rel=1e-12)


def test_resident_data_is_measured_in_one_round():
    X, labels = scored()
    parts = [(X[a:b, None], labels[a:b]) for a, b in [(0, 20), (20, 20), (20, 60)]]
    data = labeled_data(*parts)
    data.count()
    before = data.dataset.rounds
    model = ClassificationModel("logistic", np.array([2.0]), -1.0)
    found = evaluate_ranking(model, data)
    expected = BinaryClassificationMetrics(np.column_stack([2.0 * X - 1.0, labels]))
    assert data.dataset.rounds - before == 1
    assert found.roc().tolist() == expected.roc().tolist()
    assert found.areaUnderPR == expected.areaUnderPR


@pytest.mark.parametrize("sizes", [[901, 1, 0, 98], [333, 333, 334], [1000], [7] * 142 + [6]])
def test_equal_rows_are_ties_wherever_they_stand(sizes):
    """Products of whole partitions would differ in the last bits of those scores."""
    generator = np.random.default_rng(8)
    kinds = generator.normal(size=(9, 7))
    kinds[:, 5:] *= generator.integers(0, 2, size=(9, 1))
    of = generator.integers(0, 9, size=1000)
    labels = (generator.random(1000) < of / 9).astype(float)
    trained = Trained(Linear("logistic", True), 7, generator.normal(size=8))
    ends = np.cumsum(sizes)
    parts = []
    for first, end in zip(ends - sizes, ends, strict=True):
        X = kinds[of[first:end]]
        parts.append((X if X[:, 5:].any() else X[:, :5], labels[first:end]))
    found = evaluate_ranking(trained, labeled_data(*parts))
    scores = np.asarray(trained.scores(kinds))[of]
    assert len(found.thresholds()) == 9
    pairs = np.column_stack([scores, labels])
    assert found.areaUnderROC == BinaryClassificationMetrics(pairs).areaUnderROC


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "both classes are needed"),
        ([(0.5, 1.0)], "both classes are needed"),
        ([(0.5, 0.0), (0.6, 0.0)], "both classes are needed"),
        ([(float("nan"), 0.0), (0.6, 1.0)], "a score is NaN or infinity"),
        ([(0.4, float("nan")), (0.6, 1.0)], "a label is NaN"),
        ([(1.0, 2.0, 3.0)], r"must be \(score, label\) pairs"),
        ([1.0, 2.0], r"must be \(score, label\) pairs"),
        (["ab"], r"must be \(score, label\) pairs"),
        ([(10**400, 1.0), (0.0, 0.0)], r"must be \(score, label\) pairs"),
        (7, r"must be \(score, label\) pairs"),
    ],
)
def test_what_cannot_be_measured(pairs, message):
    with pytest.raises(ArgumentError, match=message):
        BinaryClassificationMetrics(pairs)


def test_one_score_for_each_class_ranks_nothing():
    model = Trained(Linear("softmax"), 1, np.ones(2))
    with pytest.raises(ArgumentError, match="the softmax loss has one score for each class"):
        evaluate_ranking(model, labeled_data(([[1.0], [2.0]], [0.0, 1.0])))
