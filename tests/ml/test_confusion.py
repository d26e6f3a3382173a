import numpy as np
import pytest

from ml import ArgumentError, ClassificationModel, Linear, MulticlassMetrics, Trained
from ml.confusion import evaluate_classes
from tests.ml.fakes import labeled_data

# Worked by hand: class 0 is called 0, 0, 1; class 1 is called 1; class 2 is called 0, 2.
PAIRS = [(0, 0), (0, 0), (1, 0), (1, 1), (0, 2), (2, 2)]


def test_the_matrix_and_what_follows_from_it():
    metrics = MulticlassMetrics(PAIRS)
    assert metrics.confusionMatrix().tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert metrics.labels.tolist() == [0, 1, 2]
    assert (metrics.rows, metrics.accuracy) == (6, 4 / 6)
    assert [metrics.precision(each) for each in (0, 1, 2)] == [2 / 3, 1 / 2, 1.0]
    assert [metrics.recall(each) for each in (0, 1, 2)] == [2 / 3, 1.0, 1 / 2]
    assert metrics.fMeasure(1) == pytest.approx(2 / 3)
    assert metrics.fMeasure(1, beta=2.0) == pytest.approx(5 * 0.5 / (4 * 0.5 + 1))
    assert metrics.weightedRecall == pytest.approx(metrics.accuracy)
    assert metrics.weightedPrecision == pytest.approx((3 * 2 / 3 + 1 / 2 + 2) / 6)
    assert "accuracy=0.666667" in repr(metrics)


def test_classes_are_any_numbers_and_one_may_never_occur():
    metrics = MulticlassMetrics(np.array([[-1.5, 7.0], [7.0, 7.0]]))
    assert metrics.labels.tolist() == [-1.5, 7.0]
    assert (metrics.precision(-1.5), metrics.recall(-1.5), metrics.fMeasure(-1.5)) == (0, 0, 0)
    with pytest.raises(ArgumentError, match="no class 3"):
        metrics.recall(3)


@pytest.mark.parametrize("pairs", [[], [(1, 2, 3)], ["a"], [(0, "x")]])
def test_what_are_no_pairs(pairs):
    with pytest.raises(ArgumentError, match="pair"):
        MulticlassMetrics(pairs)


def test_a_round_counts_what_the_predictions_say():
    generator = np.random.default_rng(1)
    X, y = generator.normal(size=(50, 2)), generator.integers(0, 3, 50).astype(float)
    data = labeled_data((X[:20], y[:20]), (np.zeros((0, 2)), []), (X[20:], y[20:]))
    model = Trained(Linear("softmax", classes=3), 2, generator.normal(size=6))
    pairs = np.column_stack([model.predict(data), y])
    assert np.array_equal(
        evaluate_classes(model, data).confusionMatrix(), MulticlassMetrics(pairs).confusionMatrix()
    )


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
@pytest.mark.parametrize("threshold", [None, -0.1, 0.0, 0.3, 0.6, 1.0])
def test_mllib_s_threshold_counts(loss, threshold):
    X = np.linspace(-2, 2, 21)[:, None] + 0.01
    y = (X[:, 0] > 0.3).astype(float)
    model = ClassificationModel(loss, np.array([1.0]), 0.0, threshold=threshold)
    scores = np.asarray(model.scores(X))
    usual = 0.5 if loss == "logistic" else 0.0
    called = scores > (usual if threshold is None else threshold)
    metrics = evaluate_classes(model, labeled_data((X, y)))
    assert metrics.accuracy == (called == y).mean()


@pytest.mark.parametrize("threshold", [0.5, 0.0])
@pytest.mark.parametrize("score", [0.1 + 0.2 - 0.3, -800.0])
def test_the_classes_are_those_that_the_model_predicts(score, threshold):
    """A chance may be rounded to the threshold itself; its score is then on one side of it."""
    model = ClassificationModel("logistic", np.array([1.0]), 0.0, threshold=threshold)
    called = int(model.predict([score]))
    counts = evaluate_classes(model, labeled_data(([[score]], [0.0]))).confusionMatrix()
    assert counts[0, called] == 1


@pytest.mark.parametrize(
    ("model", "X", "y", "said"),
    [
        (Trained(Linear(), 1, np.ones(1)), [[1.0]], [1.0], "squared loss predicts numbers"),
        (Trained(Linear("hinge"), 1, np.ones(1)), [[1.0]], [2.0], "0 or 1"),
        (Trained(Linear("hinge"), 1, np.ones(1)), [[1.0, 2.0]], [1.0], "2 features"),
        (Trained(Linear("hinge"), 1, np.ones(1)), np.zeros((0, 1)), [], "nothing to measure"),
    ],
)
def test_what_cannot_be_measured(model, X, y, said):
    with pytest.raises(ArgumentError, match=said):
        evaluate_classes(model, labeled_data((X, y)))
