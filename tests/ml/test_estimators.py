"""The estimators, on arrays, resident rows and files; scikit-learn's own checks where it is."""

import pickle
import warnings
from importlib.util import find_spec

import numpy as np
import pytest

from minimr import UsageError
from ml import (
    DIABETES,
    ArgumentError,
    DescentClassifier,
    DescentRegressor,
    Diverged,
    Schedule,
    Trained,
    load_libsvm,
)
from ml import estimator_core as core
from ml.array_inputs import features_of
from ml.loading import load_file
from tests.ml.fakes import FakeCluster, FakeDataset, labeled_data

GENERATOR = np.random.default_rng(6)
X = GENERATOR.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * GENERATOR.normal(size=60)
HALVES = np.where(Y > 3.0, "many", "few")
THIRDS = np.digitize(Y, [2.0, 4.0]) * 10


class NotAvailable:
    """As far as pandas' NA: nothing is known of it, not even this."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError


def parts(y):
    return labeled_data((X[:25], y[:25]), (X[25:], y[25:]))


def test_a_regression_finds_least_squares():
    found = DescentRegressor(iterations=600).fit(X, Y)
    solution, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), Y, rcond=None)
    assert np.allclose(found.coef_, solution[:3], atol=1e-9)
    assert found.intercept_ == pytest.approx(solution[3])
    residuals = Y - found.predict(X)
    expected = 1 - residuals @ residuals / ((Y - Y.mean()) ** 2).sum()
    assert found.score(X, Y) == pytest.approx(expected)
    assert (found.n_features_in_, len(found.history_)) == (3, 601)


@pytest.mark.parametrize("loss", ["huber", "quantile", "poisson"])
def test_other_losses_of_numbers(loss):
    y = np.round(np.exp(Y / 3))
    found = DescentRegressor(loss, iterations=50, fit_intercept=False).fit(X, y)
    assert found.history_[-1] < found.history_[0]
    assert found.intercept_ == 0.0
    upper = DescentRegressor("quantile", loss_parameter=0.95, optimizer="adam").fit(X, Y)
    assert (upper.predict(X) > Y).mean() > 0.8


def test_two_classes_with_names():
    found = DescentClassifier().fit(X, HALVES)
    assert found.classes_.tolist() == ["few", "many"]
    assert found.score(X, HALVES) > 0.95
    scores, chances = found.decision_function(X), found.predict_proba(X)
    assert np.array_equal(found.classes_[(scores > 0).astype(int)], found.predict(X))
    assert np.allclose(chances[:, 1], 1 / (1 + np.exp(-scores)))
    assert np.allclose(chances.sum(axis=1), 1)
    assert (found.coef_.shape, found.intercept_.shape) == ((1, 3), (1,))


def test_several_classes_are_told_apart_by_softmax():
    found = DescentClassifier().fit(X, THIRDS)
    assert found.classes_.tolist() == [0, 10, 20]
    assert found.trained_.model.loss == "softmax"
    assert found.score(X, THIRDS) > 0.85
    scores = found.decision_function(X)
    assert np.array_equal(found.classes_[scores.argmax(axis=1)], found.predict(X))
    powers = np.exp(scores)
    assert np.allclose(found.predict_proba(X), powers / powers.sum(axis=1, keepdims=True))
    assert (found.coef_.shape, found.intercept_.shape) == ((3, 3), (3,))


def test_large_scores_have_probabilities_too():
    found = DescentClassifier().fit(X, THIRDS)
    chances = found.predict_proba(1e6 * X)
    assert np.allclose(chances.sum(axis=1), 1)


def test_two_classes_by_softmax_and_by_a_margin():
    softmax = DescentClassifier(loss="softmax").fit(X, HALVES)
    assert softmax.decision_function(X).shape == (60,)
    assert softmax.coef_.shape == (2, 3)
    assert np.array_equal(softmax.decision_function(X) > 0, softmax.predict(X) == "many")
    hinge = DescentClassifier(loss="hinge", schedule="mllib").fit(X, HALVES)
    assert hinge.score(X, HALVES) > 0.9
    assert not hasattr(hinge, "predict_proba")


def test_a_network_learns_what_no_line_can():
    square = GENERATOR.uniform(-1, 1, size=(200, 2))
    y = square[:, 0] * square[:, 1] > 0
    network = DescentClassifier(hidden=(8,), optimizer="adam", iterations=400).fit(square, y)
    assert (
        network.score(square, y) > 0.9 > 0.7 > DescentClassifier().fit(square, y).score(square, y)
    )
    assert network.predict(square).dtype == bool
    assert not hasattr(network, "coef_")


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
def test_steps_one_by_one_end_where_a_training_does(optimizer):
    settings = {"optimizer": optimizer, "schedule": "mllib", "fraction": 0.5, "penalty": "l2"}
    steps = DescentRegressor(strength=0.1, **settings)
    for _ in range(9):
        assert steps.partial_fit(X, Y) is steps
    whole = DescentRegressor(strength=0.1, iterations=9, **settings).fit(X, Y)
    assert steps.trained_.parameters.tobytes() == whole.trained_.parameters.tobytes()
    assert steps.history_ == whole.history_[:9]


@pytest.mark.parametrize("label", [0.1, -3.0])
def test_the_score_of_equal_labels_is_a_number(label):
    flat = np.full(len(X), label)
    regressor = DescentRegressor(iterations=0).fit(X, flat)
    assert regressor.score(X, flat) == 0.0
    assert regressor.score(X, np.zeros(len(X))) == 1.0


def test_steps_on_rows_that_come_one_after_the_other():
    stream = DescentClassifier(step=0.5)
    for first in range(0, 60, 10):
        rows = slice(first, first + 10)
        stream.partial_fit(X[rows], HALVES[rows], classes=["many", "few", "none"])
    assert stream.classes_.tolist() == ["few", "many", "none"]
    assert len(stream.history_) == 6
    assert stream.score(X, HALVES) > 0.8
    with pytest.raises(ArgumentError, match="those of the first call"):
        stream.partial_fit(X, HALVES, classes=["many", "few"])
    with pytest.raises(ArgumentError, match="'some', which is none of the classes 'few', 'many'"):
        stream.partial_fit(X[:1], ["some"])


@pytest.mark.parametrize(
    "other",
    [{"optimizer": "adam"}, {"optimizer": "momentum"}, {"step": 1e-3}, {"schedule": "mllib"}],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_steps_go_on_with_another_optimizer_schedule_or_step(optimizer, other):
    changed = DescentRegressor(optimizer=optimizer).partial_fit(X, Y).partial_fit(X, Y)
    begun = DescentRegressor(optimizer=optimizer, iterations=2).fit(X, Y)
    begun.set_params(warm_start=True, iterations=2, **other).fit(X, Y)
    changed.set_params(**other).partial_fit(X, Y).partial_fit(X, Y)
    assert changed.trained_.parameters.tobytes() == begun.trained_.parameters.tobytes()


def test_a_warm_start_goes_on_and_a_cold_one_does_not():
    settings = {"optimizer": "sgd", "step": 0.1, "iterations": 5}
    twice = DescentRegressor(warm_start=True, **settings).fit(X, Y).fit(X, Y)
    ten = DescentRegressor(**{**settings, "iterations": 10}).fit(X, Y)
    assert twice.trained_.parameters.tobytes() == ten.trained_.parameters.tobytes()
    again = DescentRegressor(**settings).fit(X, Y).fit(X, Y)
    assert again.history_ == ten.history_[:6]
    went_on = DescentRegressor(**settings).fit(X, Y).partial_fit(X, Y)
    assert went_on.history_ == [ten.history_[5]]
    with pytest.raises(ArgumentError, match="cannot go on from there"):
        twice.set_params(loss="huber").fit(X, Y)
    with pytest.raises(
        ArgumentError, match="X has 2 features, but DescentRegressor is expecting 3"
    ):
        twice.fit(X[:, :2], Y)


def test_a_warm_start_goes_on_with_the_same_classes_only():
    """Weights for 0 and 1 are none for 5 and 6, though they would fit."""
    warm = DescentClassifier(warm_start=True, iterations=3).fit(X, Y > 0)
    with pytest.raises(
        ArgumentError, match=r"must hold the classes of the last fit, \[False, True"
    ):
        warm.fit(X, np.where(Y > 0, 6, 5))
    assert warm.set_params(warm_start=False).fit(X, np.where(Y > 0, 6, 5)).classes_.tolist() == [
        5,
        6,
    ]


def test_resident_rows_give_what_arrays_give():
    there = DescentRegressor(iterations=20).fit(parts(Y))
    here = DescentRegressor(iterations=20).fit(X, Y)
    assert np.allclose(there.coef_, here.coef_, rtol=1e-10)
    assert np.allclose(there.predict(parts(Y)), here.predict(X), rtol=1e-10)
    assert there.score(parts(Y)) == pytest.approx(here.score(X, Y))
    classes = DescentClassifier(iterations=20).fit(parts(THIRDS.astype(float)))
    same = DescentClassifier(iterations=20).fit(X, THIRDS)
    assert np.allclose(classes.coef_, same.coef_, rtol=1e-10)
    assert np.array_equal(classes.predict(parts(Y)), same.predict(X))
    assert classes.score(parts(THIRDS.astype(float))) == same.score(X, THIRDS)
    classes.partial_fit(parts(THIRDS.astype(float)))
    assert len(classes.history_) == 1


def test_a_file_is_loaded_and_dropped_again(monkeypatch):
    loaded, closed = [], []

    def load(path, partitions):
        data = load_libsvm(path, partitions=partitions, cluster=FakeCluster())
        data.dataset.close = lambda: closed.append(path)
        loaded.append(partitions)
        return data

    monkeypatch.setattr(core, "load_file", load)
    found = DescentRegressor(partitions=3).fit(DIABETES)
    assert found.score(str(DIABETES)) > 0.4
    assert (loaded, closed) == ([3, 3], [DIABETES, str(DIABETES)])


@pytest.mark.parametrize("name", ["narrow.csv", "narrow.npy"])
def test_a_table_with_fewer_columns_is_refused_and_not_filled_with_zeros(
    monkeypatch, tmp_path, name
):
    table = np.column_stack([X[:, :2], THIRDS])
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, table)
    else:
        np.savetxt(path, table, delimiter=",")

    def load(path, partitions):
        return load_file(path, partitions, cluster=FakeCluster())

    monkeypatch.setattr(core, "load_file", load)
    regressor = DescentRegressor(iterations=2).fit(X, Y)
    classifier = DescentClassifier(iterations=2).fit(X, HALVES)
    told = "the rows have 2 features, and the model has 3: the last column of .* is taken for"
    for use in (
        regressor.predict,
        regressor.score,
        classifier.predict,
        classifier.predict_proba,
        classifier.decision_function,
        classifier.score,
    ):
        with pytest.raises(UsageError, match=told):
            use(path)
    (tmp_path / "narrow.libsvm").write_text("1 1:1 2:2\n")
    assert len(regressor.predict(tmp_path / "narrow.libsvm")) == 1


def test_rows_that_were_numbered_by_class_are_dropped_again(monkeypatch):
    closed = []
    monkeypatch.setattr(FakeDataset, "close", lambda self: closed.append(self))
    given = parts(THIRDS.astype(float))
    DescentClassifier(iterations=2).fit(given)
    [dropped] = closed
    assert dropped is not given.dataset
    assert set(dropped.blocks[0]["y"]) <= {0.0, 1.0, 2.0}


@pytest.mark.slow
def test_on_the_cluster(tmp_path):
    table = tmp_path / "table.csv"
    np.savetxt(table, np.column_stack([X, THIRDS]), delimiter=",")
    here = DescentClassifier(iterations=15).fit(X, THIRDS)
    there = DescentClassifier(iterations=15).fit(table)
    spread = DescentClassifier(iterations=15, strategy="allreduce").fit(X, THIRDS)
    for other in (there, spread):
        assert np.allclose(other.coef_, here.coef_, rtol=1e-10)
        assert other.score(table) == here.score(X, THIRDS)


def test_parameters_are_kept_as_they_are_and_set_by_name():
    schedule = Schedule("inverse", 0.2)
    found = DescentRegressor(schedule=schedule)
    assert found.get_params()["schedule"] is schedule
    assert found.set_params(iterations=3) is found
    assert len(found.fit(X, Y).history_) == 4
    assert "iterations=3" in repr(found)
    assert DescentRegressor(**found.get_params()).get_params() == found.get_params()
    with pytest.raises(ArgumentError, match="DescentRegressor has no parameter 'alpha'"):
        found.set_params(alpha=1)


def test_a_fitted_one_is_pickled_and_its_model_saved(tmp_path):
    found = DescentClassifier().fit(X, HALVES)
    assert np.array_equal(pickle.loads(pickle.dumps(found)).predict(X), found.predict(X))
    found.trained_.save(tmp_path / "model.json")
    assert np.array_equal(
        Trained.load(tmp_path / "model.json").predict(X), found.predict(X) == "many"
    )


@pytest.mark.parametrize("make", [DescentRegressor, DescentClassifier])
def test_before_fit_there_is_nothing(make):
    assert not hasattr(make(), "coef_")
    for ask in ("predict", "score"):
        with pytest.raises((ValueError, AttributeError), match="is not fitted yet: call fit first"):
            getattr(make(), ask)(X)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (X[0], "Expected 2D array, got 1D array instead. Reshape your data"),
        (np.zeros((0, 3)), r"0 sample\(s\)"),
        (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        (X + 1j, "Complex data not supported"),
        (np.full((60, 3), "2026-01-01", "M8[D]"), "dates and times are no numbers: pass how many"),
        (np.ma.masked_greater(X, 2), "what is masked is missing: fill or leave out those rows"),
        (np.full((60, 3), "NaT", "m8[s]"), "dates and times are no numbers"),
        ([[10**400, 1, 2]] * 60, "a whole number is too large for a float"),
        (np.where(X > 2, np.nan, X), "X contains NaN or infinity"),
        (np.where(X > 2, np.inf, X), "X contains NaN or infinity"),
    ],
)
def test_rows_that_cannot_be_taken(x, said):
    for make, y in ((DescentRegressor, Y), (DescentClassifier, HALVES)):
        with pytest.raises(ArgumentError, match=said):
            make().fit(x, y)
        with pytest.raises(ArgumentError, match=said):
            make(iterations=1).fit(X, y).predict(x)


def test_a_mask_with_nothing_behind_it_is_taken():
    found = DescentRegressor(iterations=9).fit(np.ma.array(X), np.ma.array(Y))
    assert np.array_equal(found.coef_, DescentRegressor(iterations=9).fit(X, Y).coef_)


def test_sparse_matrices_are_refused_and_lists_are_not():
    class Sparse:
        def toarray(self):
            return X

    with pytest.raises(ArgumentError, match="sparse matrices are not taken"):
        features_of(Sparse())
    assert DescentRegressor(iterations=2).fit(X.tolist(), Y.tolist()).n_features_in_ == 3
    assert features_of(X) is X


@pytest.mark.parametrize(
    ("make", "y", "said"),
    [
        (DescentRegressor(), None, "requires y to be passed, but the target y is None"),
        (DescentRegressor(), Y[:5], "one label for each of the 60 rows"),
        (DescentRegressor(), ["1.5", "nan"] * 30, "y contains NaN or infinity"),
        (DescentRegressor(), np.full(60, "NaT", "M8[D]"), "dates and times are no numbers"),
        (DescentRegressor(), np.ma.masked_greater(Y, 3), "what is masked is missing"),
        (DescentClassifier(), np.ma.masked_equal(THIRDS, 10), "what is masked is missing"),
        (DescentRegressor(), Y + 1j, "Complex data not supported"),
        (DescentRegressor(), [10**400] * 60, "a whole number is too large for a float"),
        (DescentRegressor(), np.where(Y > 3, np.nan, Y), "y contains NaN"),
        (DescentRegressor("poisson"), Y - 10, "labels of the poisson loss must be counts"),
        (DescentRegressor("logistic"), Y, "loss must be one of 'squared'"),
        (DescentRegressor(strategy="nothing"), Y, "strategy must be one of"),
        (DescentRegressor(hidden=(3,)), Y, "pass a step, or optimizer='adam'"),
        (DescentRegressor(fit_intercept="no"), Y, "fit_intercept must be True or False"),
        (DescentRegressor(warm_start="no"), Y, "warm_start must be True or False"),
        (DescentClassifier(warm_start="no"), HALVES, "warm_start must be True or False"),
        (DescentRegressor(iterations=-1), Y, "iterations must be a whole number"),
        (DescentRegressor(optimizer="best"), Y, "optimizer must be one of"),
        (DescentClassifier(), Y, "Unknown label type: continuous"),
        (DescentClassifier(), Y.astype(object), "Unknown label type: continuous"),
        (DescentClassifier(), np.array([1, 0.5] * 30, object), "Unknown label type: continuous"),
        (DescentClassifier(), np.ones(60), "one class only"),
        (DescentClassifier(), np.array([np.nan, 1.0, 2.0] * 20, object), "y contains NaN"),
        (DescentClassifier(), np.array(["a", np.nan] * 30, object), "y contains NaN"),
        (DescentClassifier(), np.array(["NaT", "2026-01-01"] * 30, "M8[D]"), "y contains NaN"),
        (DescentClassifier(), np.array(["a", None] * 30, object), "and None or NA is neither"),
        (DescentClassifier(), np.array(["a", NotAvailable()] * 30, object), "None or NA is nei"),
        (DescentClassifier(), np.array(["a", 1] * 30, object), "one kind, all numbers or all"),
        (DescentClassifier("hinge"), THIRDS, "Only binary classification is supported"),
        (DescentClassifier("squared"), HALVES, "loss must be one of 'logistic'"),
    ],
)
def test_what_cannot_be_fitted(make, y, said):
    with pytest.raises(ArgumentError, match=said):
        make.fit(X, y)


def test_resident_numbers_are_no_classes():
    with pytest.raises(ArgumentError, match="Unknown label type: continuous"):
        DescentClassifier().fit(labeled_data((X, Y)))


def test_rows_with_labels_of_their_own_need_no_y():
    for make in (DescentRegressor(), DescentClassifier()):
        data = parts(THIRDS.astype(float))
        with pytest.raises(ArgumentError, match="has its labels already"):
            make.fit(data, Y)
        with pytest.raises(ArgumentError, match="has its labels already"):
            make.fit(data).score(data, Y)


class Table:
    """As far as a DataFrame of pandas' is looked at."""

    def __init__(self, columns, rows=X):
        self.columns, self._rows = columns, rows

    def __array__(self, dtype=None, copy=None):
        return np.array(self._rows, dtype=dtype)


@pytest.mark.parametrize("make", [DescentRegressor, DescentClassifier])
def test_a_table_that_calls_its_columns_otherwise_is_refused(make):
    estimator, y = make(iterations=9, step=0.1), Y if make is DescentRegressor else HALVES
    estimator.fit(Table(["size", "age", "rent"]), y)
    assert estimator.feature_names_in_.tolist() == ["size", "age", "rent"]
    assert np.array_equal(estimator.predict(Table(["size", "age", "rent"])), estimator.predict(X))
    other = Table(["size", "rent", "age"], X[:, [0, 2, 1]])
    said = "feature 1 of the rows is 'rent', where the model has 'age': give the same columns in"
    for refused in (estimator.predict, lambda X: estimator.partial_fit(X, y)):
        with pytest.raises(ArgumentError, match=said):
            refused(other)
    with pytest.raises(ArgumentError, match=said):
        estimator.set_params(warm_start=True).fit(other, y)
    with pytest.raises(ArgumentError, match=r"X has 2 features, but .* is expecting 3"):
        estimator.predict(Table(["size", "age"], X[:, :2]))
    estimator.partial_fit(X, y)
    assert estimator.feature_names_in_.tolist() == ["size", "age", "rent"]
    estimator.set_params(warm_start=False).fit(other, y)
    assert estimator.feature_names_in_.tolist() == ["size", "rent", "age"]


@pytest.mark.parametrize("columns", [[], [0, 1, 2], ["a", "b", 3]])
def test_names_are_texts_and_forgotten_with_the_table_that_had_them(columns):
    estimator = DescentRegressor(iterations=9).fit(Table(["a", "b", "c"]), Y)
    assert not hasattr(estimator.fit(Table(columns), Y), "feature_names_in_")


def test_both_estimators_have_the_same_defaults_and_the_net_is_half_lasso():
    regressor, classifier = (make().get_params() for make in (DescentRegressor, DescentClassifier))
    own = {"loss", "loss_parameter"}
    assert {name: regressor[name] for name in regressor.keys() - own} == {
        name: classifier[name] for name in classifier.keys() - own
    }
    assert classifier["l1_ratio"] == 0.5


def test_a_step_too_large_is_named():
    with pytest.raises(Diverged, match="The largest safe step for this data is"):
        DescentRegressor(optimizer="sgd", step=1e9).fit(X, Y)


def test_labels_in_a_column_are_taken_with_a_warning():
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        column = DescentRegressor(iterations=2).fit(X, Y[:, None])
    assert column.history_ == DescentRegressor(iterations=2).fit(X, Y).history_


@pytest.mark.skipif(
    find_spec("sklearn") is None,
    reason="scikit-learn is not installed: its check_estimator did NOT run",
)
@pytest.mark.parametrize(
    "estimator",
    [
        DescentRegressor(iterations=60),
        DescentRegressor(hidden=(4,), optimizer="adam", iterations=60),
        DescentClassifier(iterations=60),
        DescentClassifier("hinge", iterations=60),
    ],
)
def test_scikit_learn_s_own_checks(estimator):
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {each["status"] for each in check_estimator(estimator)} <= {"passed", "skipped"}


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_in_a_pipeline_and_a_search_of_scikit_learn_s():
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), DescentClassifier(penalty="l2", iterations=30))
    strengths = [0.01, 3.0]
    search = GridSearchCV(pipeline, {"descentclassifier__strength": strengths}, cv=3)
    assert search.fit(1000 * X, HALVES).best_params_ == {"descentclassifier__strength": 0.01}
    assert search.score(1000 * X, HALVES) > 0.9


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.parametrize("loss", ["logistic", "softmax", "hinge"])
def test_as_one_of_several_that_scikit_learn_stacks(loss):
    from sklearn.ensemble import StackingClassifier

    stacked = StackingClassifier([("descent", DescentClassifier(loss, iterations=30))], cv=3)
    assert stacked.fit(X, HALVES).score(X, HALVES) > 0.9


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(ArgumentError, match=r"optimizer must be one of 'sgd', .* but is None"):
        DescentRegressor(optimizer=None).fit(X, Y)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
@pytest.mark.parametrize(
    "strategy", ["ssp:4", "async", "local:8", "average", "allreduce:top-k", "ssp:1:sign"]
)
def test_the_step_that_nobody_named_suits_the_strategy(strategy, optimizer):
    """One partition is steeper than all together, and gradients come late."""
    generator = np.random.default_rng(4)
    X = generator.normal(size=(60, 4)) * np.where(np.arange(60) < 9, 3.0, 1.0)[:, None]
    y = X @ [1.0, -2.0, 0.5, 0.0] + 1.0
    data = labeled_data((X[:9], y[:9]), (X[9:30], y[9:30]), (X[30:], y[30:]))
    found = DescentRegressor(strategy=strategy, optimizer=optimizer).fit(data)
    assert found.history_[-1] < found.history_[0] / 2
