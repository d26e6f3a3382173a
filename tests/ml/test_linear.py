"""train: its arguments and their limits; the model: prediction, saving, loading."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import minimr as mr
from ml import (
    DIABETES,
    ArgumentError,
    LinearRegressionModel,
    LinearRegressionWithSGD,
    evaluate,
    load_arrays,
    load_libsvm,
)
from tests.ml import mllib_replica
from tests.ml.conftest import SAMPLE
from tests.ml.fakes import FakeCluster, labeled_data

train = LinearRegressionWithSGD.train


@pytest.fixture
def small():
    generator = np.random.default_rng(5)
    X = generator.normal(size=(60, 3))
    labels = X @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * generator.normal(size=60)
    return labeled_data((X[:25], labels[:25]), (X[25:], labels[25:]))


NUMBER_FAULTS = [
    ({"step": -1.0}, "step must be a number > 0, but is -1.0"),
    ({"step": 0}, "step must be a number > 0, but is 0"),
    ({"step": float("nan")}, "step must be a number > 0"),
    ({"step": float("inf")}, "step must be a number > 0"),
    ({"step": "0.1"}, "step must be a number > 0, but is '0.1'"),
    ({"step": True}, "step must be a number > 0, but is True"),
    ({"miniBatchFraction": 0.0}, r"miniBatchFraction must be a number in \(0, 1\], but is 0.0"),
    ({"miniBatchFraction": 1.5}, r"miniBatchFraction must be a number in \(0, 1\]"),
    ({"convergenceTol": 2.0}, r"convergenceTol must be a number in \[0, 1\], but is 2.0"),
    ({"convergenceTol": -0.1}, r"convergenceTol must be a number in \[0, 1\]"),
    ({"regParam": -0.3}, "regParam must be a number >= 0, but is -0.3"),
    ({"intercept": "no"}, "intercept must be True or False, but is 'no'"),
    ({"validateData": "no"}, "validateData must be True or False, but is 'no'"),
    ({"regType": "l3"}, "regType must be one of None, 'l1', 'l2', but is 'l3'"),
    ({"regType": ["l1"]}, "regType must be one of None, 'l1', 'l2'"),
    ({"regType": np.array(["l1", "l2"])}, "regType must be one of None, 'l1', 'l2'"),
    ({"iterations": -1}, "iterations must be a whole number >= 0, but is -1"),
    ({"iterations": 1.5}, "iterations must be a whole number >= 0, but is 1.5"),
    ({"iterations": True}, "iterations must be a whole number >= 0, but is True"),
    ({"seed": -1}, "seed must be a whole number >= 0, but is -1"),
    ({"initialWeights": [1.0, 2.0]}, r"each of the 3 features, but its shape is \(2,\)"),
    ({"initialWeights": [[1.0, 2.0, 3.0]]}, r"its shape is \(1, 3\)"),
    ({"initialWeights": [1.0, 2.0, float("nan")]}, "initialWeights must hold finite numbers"),
    ({"initialWeights": "abc"}, "initialWeights must be a list or array of numbers"),
    ({"initialWeights": np.full(3, 1j)}, "initialWeights must be a list or array of numbers"),
    ({"initialWeights": [1, 2, 10**400]}, "initialWeights must be a list or array of numbers"),
]


@pytest.mark.parametrize(("arguments", "message"), NUMBER_FAULTS)
def test_an_argument_outside_its_range_is_named(small, arguments, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        train(small, **arguments)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, mr.UsageError)


def test_faulty_arguments_cost_no_round(small):
    with pytest.raises(ArgumentError):
        train(small, step=-1.0)
    assert small.dataset.rounds == 0


def test_empty_data(cluster, tmp_path):
    path = tmp_path / "empty.libsvm"
    path.write_text("# no rows\n")
    with pytest.raises(ArgumentError, match="data is empty"):
        train(load_libsvm(path, cluster=cluster))


def test_data_of_another_kind():
    with pytest.raises(ArgumentError, match=r"data must be LabeledData.* but is list"):
        train([(1.0, [2.0])])


def test_rows_with_nan_are_refused_before_training():
    data = labeled_data(([[1.0], [float("inf")]], [1.0, 1.0]))
    with pytest.raises(ArgumentError, match="1 of 2 rows of data hold NaN or infinity"):
        train(data)
    assert data.dataset.rounds == 1


def test_a_penalty_without_its_type_warns_and_changes_nothing(small):
    with pytest.warns(UserWarning, match="regParam=0.3 has no effect.*regType is None") as caught:
        model = train(small, step=0.1, regParam=0.3)
    assert caught[0].filename == __file__
    assert model.weights.tobytes() == train(small, step=0.1).weights.tobytes()


def test_the_signature_is_that_of_mllib():
    defaults = {name: p.default for name, p in inspect.signature(train).parameters.items()}
    assert list(defaults)[1:] == [*MLLIB_DEFAULTS, "seed", "callback", "solver"]
    assert MLLIB_DEFAULTS.items() <= defaults.items()


MLLIB_DEFAULTS = {
    "iterations": 100,
    "step": 1.0,
    "miniBatchFraction": 1.0,
    "initialWeights": None,
    "regParam": 0.0,
    "regType": None,
    "intercept": False,
    "validateData": True,
    "convergenceTol": 0.001,
}


def test_the_defaults_are_those_of_mllib(small):
    X, labels = small.to_arrays()
    rows = list(zip(labels.tolist(), X.tolist(), strict=True))
    weights, _, history = mllib_replica.train(rows)  # its defaults are Spark's
    model = train(small)
    np.testing.assert_allclose(model.weights, weights, rtol=1e-12)
    assert len(model.loss_history) == len(history)


def test_one_round_for_each_entry_of_the_history(small):
    small.count()
    before = small.dataset.rounds
    model = train(small, iterations=20, step=0.1, convergenceTol=0.0)
    assert len(model.loss_history) == 21
    assert small.dataset.rounds - before == 21


def test_it_learns_what_made_the_data(small):
    model = train(small, iterations=500, step=0.5, intercept=True, convergenceTol=1e-9)
    np.testing.assert_allclose(model.weights, [1.0, -2.0, 0.5], atol=0.05)
    assert model.intercept == pytest.approx(3.0, abs=0.05)
    assert evaluate(model, small).r2 > 0.99


def test_a_model_is_measured_on_labeled_data_alone(small):
    """The name of a file had no attribute 'features'."""
    model = train(small, iterations=1, step=0.5)
    with pytest.raises(ArgumentError, match=r"data must be LabeledData, .* but is str"):
        evaluate(model, "rows.csv")


def test_the_callback_sees_the_history_live(small):
    seen = []
    model = train(small, 5, 0.1, intercept=True, callback=lambda *step: seen.append(step))
    assert [i for i, _, _ in seen] == list(range(1, len(seen) + 1))
    assert [loss for _, loss, _ in seen] == model.loss_history
    assert seen[0][2].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert seen[-1][2].tolist() == [*model.weights.tolist(), model.intercept]


def test_mini_batches_are_repeatable_and_follow_the_seed(cluster):
    data = load_libsvm(DIABETES, partitions=3, cluster=cluster)
    settings = {"iterations": 10, "step": 0.1, "miniBatchFraction": 0.2, "convergenceTol": 0.0}
    first = train(data, **settings)
    assert train(data, **settings).weights.tobytes() == first.weights.tobytes()
    assert train(data, **settings, seed=7).weights.tobytes() != first.weights.tobytes()


def test_a_rare_batch_may_be_empty():
    data = labeled_data(([[1.0]], [1.0]))
    model = train(data, iterations=30, step=0.1, miniBatchFraction=0.3, convergenceTol=0.0)
    assert 0 < len(model.loss_history) < 31


@pytest.mark.parametrize("fraction", [1.0, 0.5])
@pytest.mark.parametrize("intercept", [False, True])
def test_workers_change_no_byte(every_cluster, fraction, intercept):
    settings = {
        "iterations": 20,
        "step": 0.1,
        "miniBatchFraction": fraction,
        "intercept": intercept,
        "convergenceTol": 0.0,
    }
    models = []
    for place in (every_cluster, FakeCluster()):
        training, _ = load_libsvm(SAMPLE, cluster=place).random_split([0.6, 0.4], seed=17)
        models.append(train(training, **settings))
    assert models[0].weights.tobytes() == models[1].weights.tobytes()
    assert models[0].intercept == models[1].intercept
    assert models[0].loss_history == models[1].loss_history


MODEL = LinearRegressionModel(np.array([2.0, -1.0]), 0.5, [3.0, 0.1 + 0.2])


def test_predictions_for_a_row_and_for_rows():
    prediction = MODEL.predict([3.0, 1.0])
    assert (type(prediction), prediction) == (float, 5.5)
    assert MODEL.predict(np.array([[3.0, 1.0], [0.0, 0.0]])).tolist() == [5.5, 0.5]
    assert MODEL.predict(np.zeros((0, 2))).tolist() == []


def test_predictions_for_resident_data_keep_the_order_of_its_rows(cluster):
    data = load_libsvm(SAMPLE, partitions=5, cluster=cluster)
    model = LinearRegressionModel(np.arange(10.0), 1.0)
    X, _ = data.to_arrays()
    np.testing.assert_allclose(model.predict(data), model.predict(X), rtol=1e-13)


def test_resident_data_may_be_narrower_than_the_model():
    assert MODEL.predict(labeled_data(([[3.0]], [0.0]))).tolist() == [6.5]


@pytest.mark.parametrize("x", [[1.0], [[1.0]], [[1.0, 2.0, 3.0]], labeled_data(([[1.0] * 3], [1]))])
def test_a_wrong_width_is_refused(x):
    with pytest.raises(ArgumentError, match=r"the rows have \d features?, but the model has 2"):
        MODEL.predict(x)


@pytest.mark.parametrize(
    "x",
    [3.0, "ab", np.zeros((1, 1, 2)), [[1.0], [1.0, 2.0]], [1j, 2], np.array([1j, 2]), [10**400, 1]],
)
def test_what_is_no_row_is_refused(x):
    with pytest.raises(ArgumentError, match="predict takes one row"):
        MODEL.predict(x)


class Sparse:
    """As far as scipy's sparse matrices are told by."""

    def toarray(self):
        raise AssertionError


def test_sparse_rows_are_refused_with_what_to_pass():
    with pytest.raises(ArgumentError, match=r"pass x\.toarray\(\)"):
        MODEL.predict(Sparse())
    with pytest.raises(ArgumentError, match=r"pass X\.toarray\(\)"):
        load_arrays(Sparse(), [1.0])


def test_a_saved_model_comes_back_with_the_same_bits(tmp_path, small):
    model = train(small, step=0.1, intercept=True)
    model.save(tmp_path / "model.json")
    loaded = LinearRegressionModel.load(tmp_path / "model.json")
    assert loaded.weights.tobytes() == model.weights.tobytes()
    assert loaded.intercept == model.intercept
    assert loaded.loss_history == model.loss_history
    assert [path.name for path in Path(tmp_path).iterdir()] == ["model.json"]


def test_the_file_is_readable_json(tmp_path):
    MODEL.save(tmp_path / "model.json")
    assert json.loads((tmp_path / "model.json").read_text()) == {
        "format": "minimr linear regression model",
        "version": 1,
        "weights": [2.0, -1.0],
        "intercept": 0.5,
        "loss_history": [3.0, 0.30000000000000004],
    }


def test_saving_replaces_an_older_model(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("old")
    MODEL.save(path)
    assert LinearRegressionModel.load(path).intercept == 0.5


@pytest.mark.parametrize("weights", [[float("nan")], [float("inf")]])
def test_a_model_without_meaning_is_not_saved(tmp_path, weights):
    with pytest.raises(mr.UsageError, match="NaN or infinity"):
        LinearRegressionModel(np.array(weights), 0.0).save(tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []
