import json

import numpy as np
import pytest

import minimr as mr
from ml import (
    ArgumentError,
    EarlyStopping,
    Linear,
    MultilayerPerceptron,
    all_of,
    checkpointed,
    train,
)
from ml.checkpoint import WORDS
from tests.ml.fakes import labeled_data

GENERATOR = np.random.default_rng(8)
X = GENERATOR.normal(size=(30, 3))
DATA = labeled_data((X[:10], X[:10, 0]), (X[10:], X[10:, 0]))
HELD_OUT = labeled_data((X[:4], X[:4, 1]))
MODEL = Linear(intercept=True)


class PowerCut(Exception):
    """What ends a process between two steps."""


def cut_at(last):
    def on_step(iteration, _loss, _parameters):
        if iteration == last:
            raise PowerCut

    return on_step


def disturbed(path, cuts, watched=None, model=MODEL, every=4, **settings):
    """Train through power cuts: only the file outlives them, and the callback is made anew."""
    for cut in cuts:
        with pytest.raises(PowerCut):
            train(
                model,
                DATA,
                checkpointed(path, every),
                on_step=all_of(*(watched() if watched else ()), cut_at(cut)),
                **settings,
            )
    callbacks = watched() if watched else ()
    on_step = all_of(*callbacks, cut_at(None))
    return train(model, DATA, checkpointed(path, every), on_step=on_step, **settings), callbacks


@pytest.mark.parametrize(
    "settings",
    [
        {"step": 0.3, "penalty": "l1", "strength": 0.01},
        {"optimizer": "momentum", "step": 0.1},
        {"optimizer": "adam", "schedule": "adaptive", "step": 0.5, "fraction": 0.4},
        {"batch_rows": 1, "schedule": "inverse", "step": 0.1, "tolerance": 1e-3},
        {"model": MultilayerPerceptron((3,)), "optimizer": "adagrad", "step": 0.1},
    ],
)
@pytest.mark.parametrize("cuts", [(), (1,), (4,), (5,), (6, 13, 20)])
def test_it_ends_with_the_bytes_of_an_undisturbed_training(tmp_path, settings, cuts):
    settings = {"model": MODEL, "iterations": 23, **settings}
    trained, _ = disturbed(tmp_path / "run.checkpoint", cuts, **settings)
    whole = train(data=DATA, **settings)
    assert trained.parameters.tobytes() == whole.parameters.tobytes()
    assert trained.loss_history == whole.loss_history
    assert (trained.updates, trained.converged) == (whole.updates, whole.converged)
    assert trained.sent_bytes == whole.sent_bytes
    assert len(trained.seconds) == len(whole.seconds)


@pytest.mark.parametrize("cuts", [(3,), (5, 9)])
def test_early_stopping_remembers_too(tmp_path, cuts):
    def watched():
        return (EarlyStopping(MODEL, HELD_OUT, patience=12),)

    trained, [stopping] = disturbed(tmp_path / "run.checkpoint", cuts, watched, step=0.1)
    whole = EarlyStopping(MODEL, HELD_OUT, patience=12)
    undisturbed = train(MODEL, DATA, on_step=whole, step=0.1)
    assert 9 < len(trained.loss_history) < 100
    assert trained.parameters.tobytes() == undisturbed.parameters.tobytes()
    assert stopping.losses == whole.losses
    assert np.array_equal(stopping.best(trained).parameters, whole.best(undisturbed).parameters)


@pytest.mark.parametrize("changed", [{"patience": 50}, {"tolerance": 0.1 + 1e-9}, {"every": 2}])
def test_another_rule_of_stopping_does_not_go_on_from_it(tmp_path, changed):
    """The training that has ended by the other one would be given back as if by this."""
    checkpoint = checkpointed(tmp_path / "run.checkpoint")
    rule = {"patience": 3, "tolerance": 0.1}
    train(MODEL, DATA, checkpoint, on_step=EarlyStopping(MODEL, DATA, **rule), iterations=9)
    stopping = EarlyStopping(MODEL, DATA, **rule | changed)
    with pytest.raises(mr.UsageError, match=r"with patience=3, tolerance=0\.1, every"):
        train(MODEL, DATA, checkpoint, on_step=stopping, iterations=9)


def test_a_training_that_has_ended_is_not_done_again(tmp_path):
    path = tmp_path / "run.checkpoint"
    first = train(MODEL, DATA, checkpointed(path), iterations=7, step=0.1)
    DATA.dataset.rounds = 0
    again = train(MODEL, DATA, checkpointed(path), iterations=7, step=0.1)
    assert again.loss_history == first.loss_history
    assert DATA.dataset.rounds == 1, "that which tells that it is the same data"


def test_the_file_is_written_every_few_steps(tmp_path):
    path = tmp_path / "run.checkpoint"
    saved = []

    def on_step(iteration, *_):
        found = json.loads(path.read_text())["descent"]["iteration"] if path.exists() else None
        saved.append((iteration, found))

    train(MODEL, DATA, checkpointed(path, every=2), on_step=on_step, iterations=4, step=0.1)
    assert saved == [(1, None), (2, None), (3, 3), (4, 3), (5, 5)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iterations": 8}, "the iterations"),
        ({"step": 0.2, "optimizer": "adam"}, "the optimizer, the step or its schedule"),
        ({"model": Linear()}, "the model, the parameters to begin with"),
        ({"step": 0.2}, r"the step or its schedule\. Give the same"),
        ({"start": np.ones(4)}, "the parameters to begin with"),
        ({"data": labeled_data((X, X[:, 1]))}, "the rows"),
        ({"data": labeled_data((X[:10] / 2, X[:10, 0]), (X[10:] / 2, X[10:, 0]))}, "the rows"),
        ({"on_step": EarlyStopping(MODEL, HELD_OUT)}, "the rule of stopping"),
    ],
)
def test_another_training_does_not_go_on_from_it(tmp_path, changed, said):
    path = tmp_path / "run.checkpoint"
    settings = {"model": MODEL, "data": DATA, "iterations": 7, "step": 0.1}
    train(strategy=checkpointed(path), **settings)
    with pytest.raises(mr.UsageError, match=f"another training; what differs: {said}"):
        train(strategy=checkpointed(path), **{**settings, **changed})


def test_there_are_words_for_all_that_tells_trainings_apart(tmp_path):
    path = tmp_path / "run.checkpoint"
    train(MODEL, DATA, checkpointed(path), iterations=1)
    assert set(json.loads(path.read_text())["training"]) == set(WORDS)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda fields: fields.update(version=2), "has version 2"),
        (lambda fields: fields.update(format="minimr trained model"), "its format is not"),
        (lambda fields: fields.pop("training"), "is damaged: KeyError"),
        (lambda fields: fields["training"].pop("data"), "is damaged: KeyError"),
        (lambda fields: fields["descent"].update(parameters=[1.0]), "is damaged: ValueError"),
        (lambda fields: fields["descent"].update(memory=[[1.0]]), "is damaged: ValueError"),
        (lambda fields: fields["descent"].pop("ended"), "is damaged: KeyError"),
        (lambda fields: fields["descent"].update(iteration="x"), "is damaged: ArgumentError"),
        (lambda fields: fields["descent"].update(updates=1.5), "is damaged: ArgumentError"),
        (lambda fields: fields["descent"].update(updates=10**400), "do not fit together"),
        (lambda fields: fields["descent"].update(iteration=6), "do not fit together"),
        (lambda fields: fields["descent"].update(loss_history=[1.0]), "do not fit together"),
        (lambda fields: fields["descent"].update(loss_history=[None]), "is damaged: ValueError"),
        (lambda fields: fields["descent"].update(parameters=[10**400]), "is damaged: OverflowErr"),
        (lambda fields: fields["descent"].update(parameters=[None] * 4), "is damaged: ValueError"),
        (lambda fields: fields.update(descent=None), "is damaged: TypeError"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage, said):
    path = tmp_path / "run.checkpoint"
    train(MODEL, DATA, checkpointed(path), iterations=3, step=0.1)
    fields = json.loads(path.read_text())
    damage(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(mr.UsageError, match=said):
        train(MODEL, DATA, checkpointed(path), iterations=3, step=0.1)


@pytest.mark.parametrize("parameters", ["lost", [[1.0]], [1.0, None], {"a": 1.0}])
def test_a_damaged_memory_of_early_stopping_is_refused(tmp_path, parameters):
    """It would give them back as the best model."""
    path = tmp_path / "run.checkpoint"
    settings = {"strategy": checkpointed(path), "iterations": 3, "step": 0.1}
    train(MODEL, DATA, on_step=EarlyStopping(MODEL, HELD_OUT), **settings)
    fields = json.loads(path.read_text())
    fields["callback"]["parameters"] = parameters
    path.write_text(json.dumps(fields))
    with pytest.raises(mr.UsageError, match="is damaged"):
        train(MODEL, DATA, on_step=EarlyStopping(MODEL, HELD_OUT), **settings)


def test_early_stopping_does_not_go_on_with_other_held_out_rows(tmp_path):
    settings = {"strategy": checkpointed(tmp_path / "run.checkpoint"), "iterations": 3, "step": 0.1}
    train(MODEL, DATA, on_step=EarlyStopping(MODEL, HELD_OUT), **settings)
    train(MODEL, DATA, on_step=EarlyStopping(MODEL, HELD_OUT), **settings)
    with pytest.raises(mr.UsageError, match="is of early stopping with other held-out rows"):
        train(MODEL, DATA, on_step=EarlyStopping(MODEL, DATA), **settings)


def test_every_is_at_least_one(tmp_path):
    with pytest.raises(ArgumentError, match="every"):
        checkpointed(tmp_path / "run.checkpoint", every=0)


def test_a_device_holds_no_state(tmp_path):
    path = tmp_path / "run.checkpoint"
    path.symlink_to("/dev/null")
    found = train(MODEL, DATA, checkpointed(path), iterations=3, step=0.1)
    assert found.updates == 3
    assert path.is_symlink()
