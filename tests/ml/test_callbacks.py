import json
from copy import deepcopy
from threading import Lock

import numpy as np
import pytest

from ml import ArgumentError, EarlyStopping, Linear, all_of, progress, train
from ml.losses import LOSSES
from tests.ml.fakes import labeled_data

MODEL = Linear(intercept=True)


def noisy_line(rows, seed, noise=1.0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, 8))
    return X, X[:, 0] + noise * generator.normal(size=rows)


TRAINING, HELD_OUT = labeled_data(noisy_line(12, 1)), labeled_data(noisy_line(40, 2))
SETTINGS = {"schedule": "constant", "step": 0.2, "iterations": 200}


def held_out_loss(parameters):
    X, y = noisy_line(40, 2)
    return ((X @ parameters[:-1] + parameters[-1] - y) ** 2).mean() / 2


def test_it_stops_when_held_out_rows_are_no_longer_predicted_better():
    seen = []
    stopping = EarlyStopping(MODEL, HELD_OUT, patience=3)
    watched = all_of(lambda _i, _loss, parameters: seen.append(parameters), stopping)
    trained = train(MODEL, TRAINING, on_step=watched, **SETTINGS)
    losses = [held_out_loss(parameters) for parameters in seen]
    assert stopping.losses == pytest.approx(losses, rel=1e-12)
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 100
    assert stopping.best_iteration == best + 1
    assert len(trained.loss_history) == len(losses)
    chosen = stopping.best(trained)
    assert np.array_equal(chosen.parameters, seen[best])
    assert chosen.loss_history == trained.loss_history


def test_a_tolerance_asks_for_more_and_every_measures_less_often():
    strict = EarlyStopping(MODEL, HELD_OUT, patience=1, tolerance=0.05)
    train(MODEL, TRAINING, on_step=strict, **SETTINGS)
    falls = -np.diff(strict.losses)
    assert (falls[:-1] > 0.05).all()
    assert falls[-1] <= 0.05
    rare = EarlyStopping(MODEL, HELD_OUT, patience=2, every=10)
    trained = train(MODEL, TRAINING, on_step=rare, **SETTINGS)
    assert len(trained.loss_history) == 10 * (len(rare.losses) - 1) + 1


def test_another_training_begins_with_nothing_of_the_one_before():
    stopping = EarlyStopping(MODEL, HELD_OUT, patience=3)
    first = stopping.best(train(MODEL, TRAINING, on_step=stopping, **SETTINGS))
    losses = stopping.losses
    second = stopping.best(train(MODEL, TRAINING, on_step=stopping, **SETTINGS))
    assert np.array_equal(second.parameters, first.parameters)
    assert (second.updates, stopping.losses) == (first.updates, losses)


def test_a_copy_watches_the_same_rows_and_is_one_of_its_own():
    held_out = labeled_data(noisy_line(40, 2))
    held_out.dataset.lock = Lock()  # as a real one has, of which there is no copy
    stopping = EarlyStopping(MODEL, held_out, patience=3)
    copied = deepcopy(stopping)
    train(MODEL, TRAINING, on_step=copied, **SETTINGS)
    assert stopping.losses == []
    train(MODEL, TRAINING, on_step=stopping, **SETTINGS)
    assert stopping.losses == copied.losses


def test_whoever_goes_back_to_a_checkpoint_begins_no_other_training():
    parameters = np.zeros(9)
    stopping = EarlyStopping(MODEL, HELD_OUT, patience=4)
    stopping(1, 0.0, parameters)
    saved = stopping.saved()
    stopping(2, 0.0, parameters)
    stopping.resume(saved)
    stopping(2, 0.0, parameters)
    assert len(stopping.losses) == 2


def test_a_loss_that_equals_the_best_is_no_better_and_the_count_is_saved():
    parameters = np.zeros(9)
    stopping = EarlyStopping(MODEL, HELD_OUT, patience=3)
    assert [stopping(step, 0.0, parameters) for step in (1, 2, 3)] == [False] * 3
    going_on = EarlyStopping(MODEL, HELD_OUT, patience=3)
    going_on.resume(json.loads(json.dumps(stopping.saved())))
    assert going_on(4, 0.0, parameters) is True
    assert (going_on.best_iteration, going_on.losses) == (1, [going_on.best_loss] * 4)


def test_any_of_several_ends_the_descent_and_all_are_told():
    told = []
    watched = all_of(lambda i, *_: i == 3, lambda i, *_: told.append(i))
    assert len(train(MODEL, TRAINING, on_step=watched, step=0.1).loss_history) == 3
    assert told == [1, 2, 3]
    watched = all_of(lambda i, *_: np.int64(i) == 2, lambda *_: "no bool")
    assert len(train(MODEL, TRAINING, on_step=watched, step=0.1).loss_history) == 2


def test_progress_is_told_at_1_2_5_10_and_so_on(capsys):
    lines = []
    train(MODEL, TRAINING, on_step=progress(lines.append), step=0.1, iterations=20)
    assert [line.split(":")[0] for line in lines] == [f"iteration {i}" for i in (1, 2, 5, 10, 20)]
    train(MODEL, TRAINING, on_step=progress(), step=0.1, iterations=1)
    assert capsys.readouterr().err.splitlines() == lines[:2]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_can_be_held_out(loss):
    labels = [0.0, 1.0, 1.0]
    data = labeled_data(([[1.0], [2.0], [3.0]], labels))
    model = Linear(loss)
    stopping = EarlyStopping(model, data)
    trained = train(model, data, on_step=stopping, iterations=2, step=0.1)
    assert stopping.losses == trained.loss_history


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"patience": 0}, "patience must be a whole number >= 1"),
        ({"every": 0}, "every must be a whole number >= 1"),
        ({"tolerance": -1}, "tolerance must be a number >= 0"),
        ({"held_out": None}, "must be LabeledData"),
        ({"held_out": labeled_data((np.zeros((0, 2)), []))}, "data is empty"),
        ({"held_out": labeled_data(([[np.nan]], [1.0]))}, "NaN"),
        ({"model": Linear("hinge")}, "labels of the hinge loss"),
    ],
)
def test_what_cannot_be_watched(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        EarlyStopping(**{"model": MODEL, "held_out": HELD_OUT, **arguments})


def test_held_out_rows_are_no_wider_than_the_training_s():
    stopping = EarlyStopping(MODEL, labeled_data((np.ones((3, 9)), np.ones(3))))
    with pytest.raises(ArgumentError, match="held_out has 9 features"):
        train(MODEL, TRAINING, on_step=stopping)
    with pytest.raises(ArgumentError, match="no step was measured"):
        stopping.best(train(MODEL, TRAINING, iterations=1, step=0.1))


def test_the_best_parameters_are_those_of_the_model():
    stopping = EarlyStopping(MODEL, HELD_OUT)
    train(MODEL, TRAINING, on_step=stopping, **SETTINGS)
    with pytest.raises(ArgumentError, match="had 9 parameters, but this model has 8"):
        stopping.best(train(Linear(), TRAINING, iterations=1, step=0.1))


def test_strategies_that_cannot_tell_say_so():
    with pytest.raises(ArgumentError, match="cannot call on_step"):
        train(MODEL, TRAINING, "allreduce", on_step=EarlyStopping(MODEL, HELD_OUT))
