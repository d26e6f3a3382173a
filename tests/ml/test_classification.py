"""Estimators of two classes: MLlib's numbers, arguments and models."""

import inspect
import itertools

import numpy as np
import pytest

import minimr as mr
from ml import (
    ArgumentError,
    ClassificationModel,
    LassoWithSGD,
    LogisticRegressionWithSGD,
    RidgeRegressionWithSGD,
    SVMWithSGD,
)
from tests.ml import mllib_replica
from tests.ml.fakes import labeled_data

TRAIN = {"logistic": LogisticRegressionWithSGD.train, "hinge": SVMWithSGD.train}


def two_classes(rows=40, seed=11):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, 3))
    y = (X @ [2.0, -1.0, 0.5] + generator.normal(size=rows) > 0.3).astype(float)
    return X, y


def in_parts(X, y, cut=13):
    return labeled_data((X[:cut], y[:cut]), (X[cut:], y[cut:]))


CASES = list(itertools.product(TRAIN, [None, "l1", "l2"], [False, True], [0.0, 0.05]))


@pytest.mark.parametrize(("loss", "kind", "intercept", "tol"), CASES)
def test_the_descent_is_mllibs(loss, kind, intercept, tol):
    X, y = two_classes()
    arguments = {
        "iterations": 25,
        "step": 0.7,
        "regParam": 0.1 if kind else 0.0,
        "regType": kind,
        "intercept": intercept,
        "convergenceTol": tol,
        "initialWeights": [0.5, -0.25, 2.0],
    }
    rows = list(zip(y.tolist(), X.tolist(), strict=True))
    weights, bias, history = mllib_replica.train(rows, **arguments, loss=loss)
    model = TRAIN[loss](in_parts(X, y), **arguments)
    np.testing.assert_allclose(model.weights, weights, rtol=1e-12)
    np.testing.assert_allclose(model.intercept, bias, rtol=1e-12)
    np.testing.assert_allclose(model.loss_history, history, rtol=1e-12)


@pytest.mark.parametrize(
    ("train", "others"),
    [
        (LogisticRegressionWithSGD.train, {"regType": "l2", "loss": "logistic"}),
        (SVMWithSGD.train, {"regType": "l2", "loss": "hinge"}),
        (LassoWithSGD.train, {"regType": "l1"}),
        (RidgeRegressionWithSGD.train, {"regType": "l2"}),
    ],
)
def test_the_defaults_are_those_of_mllib(train, others):
    X, y = two_classes()
    rows = list(zip(y.tolist(), X.tolist(), strict=True))
    weights, _, history = mllib_replica.train(rows, regParam=0.01, **others)
    model = train(in_parts(X, y))
    np.testing.assert_allclose(model.weights, weights, rtol=1e-12)
    assert len(model.loss_history) == len(history)


PYSPARK = {
    LogisticRegressionWithSGD: "iterations step miniBatchFraction initialWeights regParam regType"
    " intercept validateData convergenceTol",
    SVMWithSGD: "iterations step regParam miniBatchFraction initialWeights regType intercept"
    " validateData convergenceTol",
    LassoWithSGD: "iterations step regParam miniBatchFraction initialWeights intercept"
    " validateData convergenceTol",
    RidgeRegressionWithSGD: "iterations step regParam miniBatchFraction initialWeights intercept"
    " validateData convergenceTol",
}


@pytest.mark.parametrize("estimator", PYSPARK)
def test_the_arguments_come_in_pysparks_order(estimator):
    names = list(inspect.signature(estimator.train).parameters)
    assert names == ["data", *PYSPARK[estimator].split(), "seed", "callback"]


@pytest.mark.parametrize("estimator", PYSPARK)
def test_the_defaults_are_pysparks(estimator):
    parameters = inspect.signature(estimator.train).parameters
    defaults = {name: each.default for name, each in parameters.items()}
    expected = {
        "iterations": 100,
        "step": 1.0,
        "miniBatchFraction": 1.0,
        "initialWeights": None,
        "regParam": 0.01,
        "intercept": False,
        "validateData": True,
        "convergenceTol": 0.001,
    }
    assert expected.items() <= defaults.items()
    assert defaults.get("regType", "l2") == "l2"  # Lasso and ridge have their own by name.


@pytest.mark.parametrize("loss", TRAIN)
def test_it_learns_to_tell_the_classes_apart(loss):
    X, y = two_classes(rows=200)
    data = in_parts(X, y)
    model = TRAIN[loss](data, intercept=True, iterations=200)
    assert (model.predict(X) == y).mean() > 0.8
    assert model.predict(data).tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(model.scores(data), model.scores(X), rtol=1e-12)


@pytest.mark.parametrize("loss", TRAIN)
@pytest.mark.parametrize("label", [-1.0, 2.0, 0.5])
def test_other_labels_are_refused(loss, label):
    data = labeled_data(([[1.0], [2.0]], [0.0, 1.0]), ([[1.0]], [label]))
    with pytest.raises(ArgumentError, match="must be 0 or 1, but 1 of 3 rows have others"):
        TRAIN[loss](data)


@pytest.mark.parametrize("loss", TRAIN)
def test_one_class_alone_is_warned_of(loss):
    words = "every label is 1: with one class .* may predict the other one all the same; train on"
    for intercept in (False, True):
        with pytest.warns(UserWarning, match=words) as caught:
            model = TRAIN[loss](labeled_data(([[1.0], [2.0]], [1.0, 1.0])), intercept=intercept)
        assert caught[0].filename == __file__
        assert model.predict([[3.0], [-30.0]]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("loss", TRAIN)
def test_a_penalty_without_its_type_warns(loss):
    X, y = two_classes()
    with pytest.warns(UserWarning, match="regParam=0.01 has no effect.*regType is None") as caught:
        TRAIN[loss](in_parts(X, y), regType=None)
    assert caught[0].filename == __file__


def test_the_callback_cannot_stop_what_mllib_would_not():
    X, y = two_classes()
    model = TRAIN["hinge"](in_parts(X, y), 5, convergenceTol=0.0, callback=lambda *step: True)
    assert len(model.loss_history) == 6


LOGISTIC = ClassificationModel("logistic", np.array([2.0, -1.0]), 0.5, [1.0], 0.5)
SVM = ClassificationModel("hinge", np.array([2.0, -1.0]), 0.5, [1.0], 0.0)


def test_scores_and_thresholds():
    row = [0.25, 1.5]  # 2 * 0.25 - 1.5 + 0.5 = -0.5
    assert SVM.scores(row) == -0.5
    assert LOGISTIC.scores(row) == pytest.approx(1 / (1 + np.exp(0.5)), rel=1e-15)
    assert [model.predict(row) for model in (LOGISTIC, SVM)] == [0.0, 0.0]
    assert LOGISTIC.predict([row, [1.0, 0.0]]).tolist() == [0.0, 1.0]
    assert LOGISTIC.predict([row]).dtype == np.float64
    for model in (LOGISTIC, SVM):
        assert np.isnan(model.predict([np.nan, 1.0]))
        assert model.predict([[1.0, 0.0], [1.0, np.nan]]).tolist()[0] == 1.0
        assert np.isnan(model.predict([[1.0, 0.0], [1.0, np.nan]])[1])
    changed = ClassificationModel("hinge", SVM.weights, SVM.intercept, [], 0.0)
    changed.setThreshold(-0.6)
    assert changed.predict(row) == 1.0
    changed.clearThreshold()
    assert changed.predict(row) == -0.5
    with pytest.raises(ArgumentError, match="threshold must be a number"):
        changed.setThreshold(float("nan"))


@pytest.mark.parametrize("model", [LOGISTIC, SVM])
@pytest.mark.parametrize("threshold", [0.25, None])
def test_a_saved_model_comes_back_with_the_same_bits(tmp_path, model, threshold):
    model = ClassificationModel(model.loss, model.weights, 0.1 + 0.2, [1.0], threshold)
    model.save(tmp_path / "model.json")
    loaded = ClassificationModel.load(tmp_path / "model.json")
    assert (loaded.weights.tolist(), loaded.intercept) == ([2.0, -1.0], 0.1 + 0.2)
    assert (loaded.loss, loaded.threshold, loaded.loss_history) == (model.loss, threshold, [1.0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"hinge"', '"cubic"', "'loss' is none of logistic, hinge"),
        ('"hinge"', '["hinge"]', "'loss' is none of logistic, hinge"),
        ('"threshold": 0.0', '"threshold": "x"', "'threshold' is neither a finite number nor null"),
        ('"threshold": 0.0', '"threshold": NaN', "'threshold' is neither a finite number nor null"),
        ('"threshold"', '"treshold"', "'threshold' is neither a finite number nor null"),
        ("classification", "clustering", "its format is not"),
    ],
)
def test_a_damaged_file(tmp_path, old, new, message):
    path = tmp_path / "model.json"
    SVM.save(path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(mr.UsageError, match=message):
        ClassificationModel.load(path)
