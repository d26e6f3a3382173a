"""What models add up: row by row, piece by piece, however wide or empty a partition is."""

import numpy as np
import pytest

from ml import ArgumentError, Linear, MultilayerPerceptron, models
from ml.models import model_from

LINEAR = [Linear(), Linear(intercept=True), Linear("softmax", intercept=True, classes=3)]
NETWORKS = [
    MultilayerPerceptron((4,)),
    MultilayerPerceptron((3, 2), "softmax", "relu", classes=3),
]
ALL = [*LINEAR, *NETWORKS]


def rows_and_parameters(model, rows=30, features=4):
    generator = np.random.default_rng(2)
    X = generator.normal(size=(rows, features))
    y = generator.integers(0, 3, size=rows).astype(float)
    return X, y, generator.normal(size=model.size(features))


@pytest.mark.parametrize("model", ALL)
def test_the_sums_are_those_of_the_rows_one_by_one(model):
    X, y, parameters = rows_and_parameters(model)
    single = [model.sums(parameters, X[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    np.testing.assert_allclose(model.sums(parameters, X, y), sum(single), rtol=1e-12)
    assert model.sums(parameters, X, y)[-1] == 30


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("piece_rows", [1, 7, 29, 30])
def test_the_size_of_the_pieces_is_only_a_matter_of_speed(monkeypatch, model, piece_rows):
    X, y, parameters = rows_and_parameters(model)
    whole = model.sums(parameters, X, y)
    monkeypatch.setattr(models, "PIECE_NUMBERS", 4 * piece_rows)
    monkeypatch.setattr(models, "LINE_BYTES", 8 * piece_rows)
    for rows in (X, np.asfortranarray(X)):
        np.testing.assert_allclose(model.sums(parameters, rows, y), whole, rtol=1e-12)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("narrow", [False, True])
def test_backwards_gives_the_same_bytes(monkeypatch, model, narrow):
    X, y, parameters = rows_and_parameters(model)
    X = np.asfortranarray(X.astype(np.float32)) if narrow else X
    monkeypatch.setattr(models, "_pieces", lambda X: [slice(at, at + 7) for at in range(0, 30, 7)])
    forwards = model.sums(parameters, X, y)
    assert model.sums(parameters, X, y, backwards=True).tobytes() == forwards.tobytes()


@pytest.mark.parametrize(
    ("backwards", "numbers", "order"),
    [(False, 1, [0, 7, 14, 21, 28]), (True, 1, [28, 21, 14, 7, 0]), (True, 2, [0, 7, 14, 21, 28])],
)
def test_backwards_reads_the_last_piece_first_if_the_sums_are_few(
    monkeypatch, backwards, numbers, order
):
    monkeypatch.setattr(models, "PIECE_NUMBERS", 7)
    asked = []

    def first_row(X, _):
        asked.append(int(X[0, 0]))
        return X[0, 0]

    rows = np.arange(30.0)[:, None]
    parts = list(models._by_pieces(first_row, rows, rows[:, 0], numbers, backwards))
    assert asked == order
    assert parts == [0, 7, 14, 21, 28]


@pytest.mark.parametrize(
    ("columns", "order", "rows"), [(0, "C", 65_536), (40, "C", 1_638), (40, "F", 4_096)]
)
def test_a_piece_is_so_many_numbers_or_so_much_of_a_column(columns, order, rows):
    X = np.zeros((70_000, columns), order=order)
    assert models._pieces(X)[:2] == [slice(0, rows), slice(rows, 2 * rows)]


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("columns", [0, 2])
def test_a_narrow_partition_counts_as_having_zero_columns(model, columns):
    X, y, parameters = rows_and_parameters(model)
    wide = np.zeros((30, 4))
    wide[:, :columns] = X[:, :columns]
    narrow = X[:, :columns]
    expected = model.sums(parameters, wide, y)
    np.testing.assert_allclose(model.sums(parameters, narrow, y), expected, rtol=1e-13)
    predictions = model.predict(parameters, narrow)
    np.testing.assert_allclose(predictions, model.predict(parameters, wide), rtol=1e-13)


@pytest.mark.parametrize("model", ALL)
def test_sums_over_features_in_float32_are_good_to_five_digits(model):
    X, y, parameters = rows_and_parameters(model, rows=20_000)
    rounded = X.astype(np.float32)
    exact = model.sums(parameters, rounded.astype(np.float64), y)
    sums = model.sums(parameters, rounded, y)
    assert sums.dtype == np.float64
    assert np.abs(sums - exact).max() < 1e-5 * np.abs(exact).max()
    assert sums.tolist() != exact.tolist() or not isinstance(model, Linear)


@pytest.mark.parametrize("model", ALL)
def test_features_that_are_whole_numbers_do_not_round_the_parameters(model):
    X, y, parameters = rows_and_parameters(model)
    whole = np.round(3 * X)
    expected = model.sums(parameters, whole, y)
    np.testing.assert_allclose(model.sums(parameters, whole.astype(int), y), expected, rtol=1e-12)


@pytest.mark.parametrize("model", ALL)
def test_an_empty_partition_adds_nothing(model):
    _, _, parameters = rows_and_parameters(model)
    assert not model.sums(parameters, np.zeros((0, 0)), np.zeros(0)).any()
    assert model.predict(parameters, np.zeros((0, 4))).shape == (0,)


@pytest.mark.parametrize("label", [1.0, np.inf])
@pytest.mark.parametrize("model", [Linear(), MultilayerPerceptron((2,), activation="relu")])
def test_what_overflows_is_left_to_the_descent_without_a_warning(model, label):
    parameters = np.full(model.size(1), 1e300)
    sums = model.sums(parameters, np.full((2, 1), 1e300), np.full(2, label))
    assert not np.isfinite(sums[-2])


@pytest.mark.parametrize("model", ALL)
def test_a_model_travels_as_plain_values(model):
    again = model_from(model.options())
    assert again == model
    assert again.options() == model.options()
    assert len(model.start(4, seed=1)) == model.size(4) == len(model.penalised(4))


@pytest.mark.parametrize(("activation", "of"), [("tanh", np.tanh), ("relu", lambda sums: [0.2, 0])])
def test_a_network_by_hand(activation, of):
    model = MultilayerPerceptron((2,), activation=activation)
    parameters = np.array([1.0, -1.0, 0.5, 2.0, 0.1, 0.2, 3.0, -2.0, 0.25])
    x = np.array([0.3, -0.4])
    inner = of([1.0 * 0.3 - 0.5 * 0.4 + 0.1, -1.0 * 0.3 - 2.0 * 0.4 + 0.2])
    expected = 3.0 * inner[0] - 2.0 * inner[1] + 0.25
    assert model.predict(parameters, x[None]) == pytest.approx([expected], rel=1e-14)


def test_the_start_of_a_network_follows_its_seed():
    model = MultilayerPerceptron((5,))
    start = model.start(3, seed=1)
    assert start.tobytes() == model.start(3, seed=1).tobytes()
    assert start.tobytes() != model.start(3, seed=2).tobytes()
    matrix, offsets = model.layers(3).split(start)[0]
    assert not offsets.any()
    assert 0.5 < np.abs(matrix).max() <= np.sqrt(6 / 8)


def test_what_is_penalised():
    assert Linear(intercept=True).penalised(2).tolist() == [1, 1, 0]
    assert Linear(intercept=True, penalise_intercept=True).penalised(2).tolist() == [1, 1, 1]
    assert Linear("softmax", True, classes=2).penalised(1).tolist() == [1, 0, 1, 0]
    assert MultilayerPerceptron((2,)).penalised(1).tolist() == [1, 1, 0, 0, 1, 1, 0]


def test_predictions_are_labels():
    X = np.array([[2.0], [-1.0]])
    assert Linear("logistic").predict(np.ones(1), X).tolist() == [1.0, 0.0]
    assert Linear("hinge").predict(np.ones(1), X).tolist() == [1.0, 0.0]
    assert Linear("logistic").predict(np.zeros(1), X).tolist() == [0.0, 0.0], "on the border: 0"
    np.testing.assert_allclose(Linear("poisson").predict(np.ones(1), X), np.exp([2.0, -1.0]))
    softmax = Linear("softmax", classes=3)
    assert softmax.predict(np.array([1.0, 0.0, -1.0]), X).tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Linear("squared", loss_parameter=3),
            "loss_parameter is for the losses huber and quantile, and the squared loss has none",
        ),
        (lambda: Linear(classes=1), "classes must be a whole number >= 2, but is 1"),
        (lambda: Linear(intercept="no"), "intercept must be True or False, but is 'no'"),
        (lambda: Linear(intercept=2), "intercept must be True or False, but is 2"),
        (lambda: Linear(penalise_intercept=None), "penalise_intercept must be True or False"),
        (lambda: Linear(intercept_start=np.inf), "intercept_start must be a number that is fin"),
        (lambda: MultilayerPerceptron(()), "hidden must hold the size of at least one layer"),
        (lambda: MultilayerPerceptron((3, 0)), r"each a whole number >= 1, .* but is \(3, 0\)"),
        (lambda: MultilayerPerceptron((2.5,)), "each a whole number >= 1"),
        (lambda: MultilayerPerceptron(3), "hidden must hold the size of .* but is 3"),
        (lambda: MultilayerPerceptron("16,8"), "hidden must hold the size of .* but is .16,8."),
        (lambda: MultilayerPerceptron(activation="step"), "activation must be one of 'tanh'"),
    ],
)
def test_what_is_no_model(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
