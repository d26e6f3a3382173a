"""`train`: equal to plain numpy in one process, whatever is combined; and what it refuses."""

import json
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest

import minimr as mr
from minimr.shuffle.codec import dumps, loads
from ml import (
    DIABETES,
    ArgumentError,
    Linear,
    MultilayerPerceptron,
    Optimizer,
    Penalty,
    Problem,
    Schedule,
    Trained,
    load_libsvm,
    train,
)
from ml.losses import LOSSES
from ml.optimizers import RULES
from ml.problem import problem_from
from ml.strategies import find_strategy
from ml.strategies.sync import sync
from tests.ml.fakes import FakeCluster, labeled_data
from tests.ml.test_losses import LABELS


def rows_of(loss, rows=40, features=3, seed=7):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, features))
    return X, generator.choice(LABELS[loss], size=rows)


def in_parts(X, y, *cuts):
    edges = [0, *cuts, len(y)]
    return labeled_data(*((X[a:b], y[a:b]) for a, b in pairwise(edges)))


def in_numpy(model, X, y, steps, step, l2):
    """Full-batch gradient descent in one process, for a linear model with intercept."""
    wide = np.column_stack([X, np.ones(len(y))])
    weights = np.zeros((model.outputs, wide.shape[1]))
    mask = np.array([1.0] * X.shape[1] + [0.0])
    for i in range(1, steps + 1):
        scores = wide @ weights.T
        _, slopes = model.objective.evaluate(scores if model.outputs > 1 else scores[:, 0], y)
        gradient = np.atleast_2d(slopes.T) @ wide / len(y) + l2 * mask * weights
        weights = weights - step / np.sqrt(i) * gradient
    return weights.ravel()


def test_by_default_it_is_a_hundred_plain_steps_of_mllibs_schedule():
    X, y = rows_of("squared")
    data = in_parts(0.3 * X, y, 7)
    found = train(Linear(intercept=True), data)
    expected = in_numpy(Linear(intercept=True), 0.3 * X, y, steps=100, step=1.0, l2=0.0)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)
    assert (found.updates, found.converged) == (100, False)


@pytest.mark.parametrize("loss", LOSSES)
def test_sync_is_plain_numpy(loss):
    X, y = rows_of(loss)
    model = Linear(loss, intercept=True, classes=3)
    trained = train(model, in_parts(X, y, 11, 11, 30), step=0.05, penalty="l2", strength=0.1)
    expected = in_numpy(model, X, y, 100, 0.05, 0.1)
    np.testing.assert_allclose(trained.parameters, expected, rtol=1e-12, atol=1e-14)
    assert trained.loss_history[-1] < trained.loss_history[0]
    assert (trained.updates, trained.converged, len(trained.loss_history)) == (100, False, 101)


@pytest.mark.parametrize("optimizer", RULES)
def test_partitions_do_not_matter_for_any_optimizer(optimizer):
    X, y = rows_of("logistic")
    arguments = {"optimizer": optimizer, "step": 0.1, "penalty": "elastic_net", "strength": 0.05}
    one = train(Linear("logistic"), in_parts(X, y), **arguments)
    more = train(Linear("logistic"), in_parts(X, y, 1, 17, 17), **arguments)
    np.testing.assert_allclose(more.parameters, one.parameters, rtol=1e-11, atol=1e-13)
    assert one.loss_history[-1] < one.loss_history[0]


def test_the_elastic_net_is_scikit_learns():
    """ElasticNet(alpha=0.1, l1_ratio=0.5, tol=1e-14) of scikit-learn 1.9 on these rows."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(50, 4))
    y = X @ [1.0, -2.0, 0.0, 0.05] + 3.0 + 0.1 * generator.normal(size=50)
    trained = train(
        Linear(intercept=True),
        in_parts(X, y, 20),
        schedule="constant",
        step=0.5,
        penalty="elastic_net",
        strength=0.1,
        iterations=300,
    )
    np.testing.assert_allclose(trained.parameters, ELASTIC_NET, rtol=1e-9, atol=1e-12)
    assert trained.parameters[2] == 0.0


def test_the_share_of_l1_reaches_the_penalty():
    X, y = rows_of("squared")
    data = in_parts(X, y)
    named = train(Linear(), data, penalty="elastic_net", strength=0.2, l1_ratio=0.9)
    given = train(Linear(), data, penalty=Penalty(l1=0.2 * 0.9, l2=0.2 * (1.0 - 0.9)))
    assert named.parameters.tobytes() == given.parameters.tobytes()


ELASTIC_NET = [0.8726870672268433, -1.7856204978211814, 0.0, 0.0, 2.975606673410761]


def test_a_network_learns_what_no_line_can():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0.0, 1.0, 1.0, 0.0])
    model = MultilayerPerceptron((8,), "logistic")
    data = in_parts(X, y, 2)
    trained = train(model, data, optimizer="adam", schedule="constant", step=0.1, iterations=150)
    assert trained.predict(X).tolist() == trained.predict(data).tolist() == y.tolist()
    assert trained.loss_history[-1] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("batch", [{"fraction": 0.5}, {"batch_rows": 7}])
def test_workers_change_no_byte(start_cluster, batch):
    arguments = {"optimizer": "adam", "step": 0.1, "iterations": 8, **batch}
    model = MultilayerPerceptron((3,), "huber")
    real, fake = (
        train(model, load_libsvm(DIABETES, 5, place), **arguments)
        for place in (start_cluster("4-workers"), FakeCluster())
    )
    assert real.parameters.tobytes() == fake.parameters.tobytes()
    assert real.loss_history == fake.loss_history


def test_a_problem_travels_as_plain_values():
    given = Problem(
        MultilayerPerceptron((3,), "huber", loss_parameter=2.0),
        5,
        Penalty(0.1, 0.2),
        Optimizer("adam", beta1=0.8),
        Schedule("inverse", 0.5),
    )
    again = problem_from(loads(dumps(given.options())))
    assert again.options() == given.options()
    assert again.model == given.model
    assert again.size == given.size == 3 * 6 + 4


def test_the_tasks_of_a_round_share_a_problem_and_other_rounds_have_their_own():
    one, two = (Problem(Linear(), 2, iterations=n).options() for n in (1, 2))
    assert problem_from(one) is problem_from(deepcopy(one))
    assert problem_from(two).iterations == 2
    assert problem_from(one).iterations == 1


def test_problems_with_a_penalty_for_each_weight_are_told_apart():
    penalties = [Penalty(l2=np.array(l2)) for l2 in ([0.0, 1.0], [0.0, 2.0], [1.0, 2.0, 3.0])]
    options = [Problem(Linear(), 2, penalty).options() for penalty in penalties]
    assert problem_from(options[0]) is problem_from(dict(options[0]))
    for penalty, each in zip(penalties, options, strict=True):
        assert problem_from(each).penalty.l2.tolist() == penalty.l2.tolist()


@pytest.mark.parametrize("l2", [np.ones(7), "0.1", -1.0, [0.1, np.nan, 0.1], np.ones((3, 1))])
def test_a_penalty_whose_strengths_are_not_the_parameters_is_refused(l2):
    data = labeled_data((np.ones((4, 3)), np.ones(4)))
    message = "the strengths l2 of a penalty must be a number >= 0, or one for each of the 3 param"
    with pytest.raises(ArgumentError, match=message):
        train(Linear(), data, penalty=Penalty(l2=l2))
    fits = train(Linear(), data, penalty=Penalty(l2=np.array([0.1, 0.0, 0.3])), iterations=1)
    assert len(set(fits.parameters)) == 1, "the first step is from zero, where a penalty is flat"


def test_a_strategy_is_a_name_or_a_function():
    X, y = rows_of("squared")
    seen = []

    def mine(problem, data, start, on_step):
        seen.append(problem.size)
        return sync(problem, data, start, on_step)

    data = in_parts(X, y, 5)
    first, second = train(Linear(), data, mine, step=0.1), train(Linear(), data, step=0.1)
    assert first.parameters.tobytes() == second.parameters.tobytes()
    assert seen == [3]
    assert find_strategy("sync") is sync


FAULTS = [
    ({"strategy": "psync"}, "strategy must be one of sync.*, but is 'psync'"),
    ({"strategy": "sync:4"}, "strategy 'sync' takes nothing behind its name, but is 'sync:4'"),
    ({"strategy": "average:half"}, "'average' takes nothing behind its name"),
    ({"strategy": "ssp:" + 16 * "9"}, "strategy takes a number of 15 digits at most"),
    ({"strategy": "local:" + 5000 * "9"}, "strategy takes a number of 15 digits at most"),
    ({"strategy": "local:half"}, "'local' takes a whole number >= 0 behind its name"),
    ({"strategy": "allreduce:half:sign"}, "'allreduce' takes a compression behind its name"),
    ({"strategy": "ssp:2:half:sign"}, "'ssp' takes a whole number >= 0 and a compression behind"),
    ({"strategy": "ssp:"}, "strategy has nothing behind a colon: write 'ssp' in place of 'ssp:'"),
    ({"strategy": "ssp:2:"}, "write 'ssp:2' in place of 'ssp:2:'"),
    ({"optimizer": "adamw"}, "optimizer must be one of"),
    ({"optimizer": None}, "optimizer must be one of"),
    ({"schedule": 3}, "schedule must be one of"),
    ({"schedule": "cosine"}, "schedule must be one of"),
    ({"step": -1}, "step must be a number > 0, but is -1"),
    ({"penalty": "l3"}, "penalty must be one of"),
    ({"penalty": "l1", "strength": -1}, "strength must be a number >= 0"),
    ({"strength": 0.3}, "strength=0.3 has no effect without a penalty"),
    ({"fraction": 0.5, "batch_rows": 7}, "fraction=0.5 has no effect beside batch_rows=7"),
    ({"fraction": 0}, r"fraction must be a number in \(0, 1\]"),
    ({"iterations": -1}, "iterations must be a whole number >= 0"),
    ({"tolerance": 2}, r"tolerance must be a number in \[0, 1\]"),
    ({"seed": "x"}, "seed must be a whole number >= 0"),
    ({"batch_rows": 1.5}, "batch_rows must be a whole number >= 0"),
    ({"start": [1.0]}, "start must hold one number for each of the 3 parameters"),
    ({"start": [1.0, 2.0, float("nan")]}, "start must hold finite numbers only"),
]


@pytest.mark.parametrize(("arguments", "message"), FAULTS)
def test_an_argument_outside_its_range_is_named(arguments, message):
    data = in_parts(*rows_of("squared"))
    with pytest.raises(ArgumentError, match=message):
        train(Linear(), data, **arguments)
    assert data.dataset.rounds <= (1 if "start" in arguments else 0)


@pytest.mark.parametrize("model", ["linear", Linear, None, 3])
def test_what_is_no_model_is_named(model):
    with pytest.raises(ArgumentError, match=r"model must be a model, as Linear.* but is "):
        train(model, in_parts(*rows_of("squared")))


@pytest.mark.parametrize(
    "model", [MultilayerPerceptron((10**20,)), Linear("softmax", classes=10**20)]
)
def test_a_model_larger_than_any_memory_is_told_as_that(model):
    """numpy says ValueError, which the command line took for a mistake of ours."""
    with pytest.raises(MemoryError, match=r"the model has [0-9,]+ parameters"):
        train(model, in_parts(*rows_of("softmax")))


BAD_LABELS = [
    ("logistic", -1.0, r"the logistic loss must be 0 or 1, but 1 of 3 rows .* -1 among.* put 0"),
    ("hinge", 2.0, "labels of the hinge loss must be 0 or 1"),
    ("squared_hinge", 0.5, "labels of the squared_hinge loss must be 0 or 1"),
    ("softmax", 3.0, "labels of the softmax loss must be the numbers of the classes, 0 to 2"),
    ("softmax", 0.5, "numbers of the classes"),
    ("softmax", -1.0, "numbers of the classes"),
    ("poisson", -1.0, "labels of the poisson loss must be counts: whole numbers from 0 on"),
    ("poisson", 0.5, "counts"),
]


@pytest.mark.parametrize(("loss", "label", "message"), BAD_LABELS)
def test_labels_outside_the_domain_of_the_loss(loss, label, message):
    data = labeled_data((np.ones((2, 1)), [0.0, 1.0]), (np.ones((1, 1)), [label]))
    for model in (Linear(loss, classes=3), MultilayerPerceptron((2,), loss, classes=3)):
        with pytest.raises(ArgumentError, match=message):
            train(model, data)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_no_numbers(value):
    data = labeled_data(([[1.0], [value]], [1.0, 1.0]))
    with pytest.raises(ArgumentError, match="1 of 2 rows of data hold NaN or infinity"):
        train(Linear(), data)


def test_no_rows_at_all():
    with pytest.raises(ArgumentError, match="data is empty"):
        train(Linear(), labeled_data((np.zeros((0, 0)), [])))
    with pytest.raises(ArgumentError, match="data must be LabeledData"):
        train(Linear(), [[1.0]])


def test_odd_shapes_are_no_error():
    """An empty partition, one row, constant columns, more features than rows, more parts too."""
    one = train(Linear(), labeled_data(([[2.0]], [4.0])), step=0.2)
    assert one.parameters == pytest.approx([2.0], rel=1e-6)
    empty = labeled_data((np.zeros((0, 0)), []), ([[2.0]], [4.0]), (np.zeros((0, 1)), []))
    np.testing.assert_allclose(train(Linear(), empty, step=0.2).parameters, one.parameters)
    constant = train(Linear(intercept=True), labeled_data(([[1.0], [1.0]], [2.0, 4.0])), step=0.5)
    assert constant.parameters == pytest.approx([1.5, 1.5])  # it shares the intercept's work
    wide = train(Linear(), labeled_data((np.eye(2, 5), [1.0, 2.0])), step=1.0)
    assert wide.parameters[2:].tolist() == [0.0, 0.0, 0.0]
    assert wide.parameters[:2] == pytest.approx([1.0, 2.0], rel=1e-3)


@pytest.fixture
def trained():
    return train(Linear("softmax", intercept=True, classes=3), in_parts(*rows_of("softmax")))


def test_a_saved_model_comes_back_with_the_same_bits(tmp_path, trained):
    trained.save(tmp_path / "model.json")
    loaded = Trained.load(tmp_path / "model.json")
    assert loaded.parameters.tobytes() == trained.parameters.tobytes()
    assert loaded.model == trained.model
    assert vars(loaded).keys() == vars(trained).keys()
    assert loaded.loss_history == trained.loss_history
    X, _ = rows_of("softmax")
    assert loaded.predict(X).tolist() == trained.predict(X).tolist()
    assert loaded.scores(X).shape == (40, 3)
    assert np.asarray(loaded.scores(X[0])).shape == (3,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": [1.0]}, "the model has 12 parameters, but the file holds 1"),
        ({"features": "x"}, "'features' is not a finite number"),
        ({"model": {"model": "linear", "loss": "cubic"}}, "loss must be one of"),
        ({"model": {"model": "forest"}}, "'forest'"),
        ({"model": 3}, "is damaged"),
        ({"model": {"model": "linear", "intercept": "yes"}}, "is damaged"),
        ({"model": {"model": "linear", "loss": "huber", "loss_parameter": 10**400}}, "number > 0"),
        ({"features": 3.5}, "features must be a whole number >= 0"),
        ({"model": {"model": "linear"}, "features": -1, "parameters": []}, "features must be"),
        ({"version": 2}, "has version 2"),
    ],
)
def test_a_damaged_file(tmp_path, trained, change, message):
    path = tmp_path / "model.json"
    trained.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(mr.UsageError, match=message):
        Trained.load(path)


@pytest.mark.parametrize(
    "model", [Linear("poisson"), MultilayerPerceptron((2,), activation="relu")]
)
def test_a_file_that_lost_a_word_about_its_model_is_damaged(tmp_path, model):
    """By default it would be a model of another loss, or of another activation."""
    path = tmp_path / "model.json"
    Trained(model, 3, np.ones(model.size(3))).save(path)
    fields = json.loads(path.read_text())
    for name in model.options():
        rest = {word: value for word, value in fields["model"].items() if word != name}
        path.write_text(json.dumps(fields | {"model": rest}))
        with pytest.raises(mr.UsageError, match=f"is damaged: .*{name}"):
            Trained.load(path)


@pytest.mark.parametrize("loss", ["squared", "poisson", "logistic", "hinge", "softmax"])
def test_a_row_with_nan_is_of_no_class_and_has_no_number(loss):
    model = Linear(loss)
    trained = Trained(model, 2, np.linspace(-0.5, 0.5, model.size(2)))
    whole = trained.predict([[1.0, 2.0], [3.0, -1.0]]).tolist()
    found = trained.predict([[1.0, 2.0], [np.nan, 2.0], [3.0, -1.0]])
    assert np.isnan(found[1])
    assert found[[0, 2]].tolist() == whole
    assert np.isnan(trained.predict([1.0, np.nan]))


def test_rows_of_another_width(trained):
    with pytest.raises(ArgumentError, match="the rows have 2 features, but the model has 3"):
        trained.predict([[1.0, 2.0]])
    with pytest.raises(ArgumentError, match="the rows have 4 features, but the model has 3"):
        trained.predict(labeled_data((np.ones((1, 4)), [0.0])))
