"""Every strategy against its oracle, the plain descent, and against the loss of its members."""

import re
from functools import partial
from itertools import count, pairwise

import numpy as np
import pytest

from ml import (
    ArgumentError,
    Diverged,
    Linear,
    MultilayerPerceptron,
    Optimizer,
    Penalty,
    Problem,
    Schedule,
    train,
)
from ml.batches import Batches
from ml.compression import LATE_UPDATES
from ml.descent import Descent
from ml.divergence import curvature_of
from ml.problem import mean_of
from ml.strategies import Strain, find_strategy, strain
from ml.strategies.average import solve
from ml.strategies.gang import Checkpoints
from ml.strategies.parameter_server import Steps
from tests.ml.fakes import labeled_data

CHANCE = np.random.default_rng(7)
ROWS, FEATURES, STEPS = 60, 5, 24
X = CHANCE.normal(size=(ROWS, FEATURES))
Y = X @ CHANCE.normal(size=FEATURES) + 0.3 + 0.1 * CHANCE.normal(size=ROWS)
CUTS = [0, 9, 30, 30, 41, 60]  # Partitions of different sizes, one of them empty.

LINEAR = Linear(intercept=True)
NETWORK = MultilayerPerceptron((4, 3))
SOFTMAX = Linear("softmax", intercept=True, classes=3)
MODELS = [LINEAR, NETWORK, SOFTMAX]
EXACT = ["sync", "ssp:0"]
ROUNDED = ["allreduce", "local:1"]
EVERY = [*EXACT, *ROUNDED, "ssp:2", "async", "local:5", "average", "model_parallel", "pipeline"]
TOLERANCE = 1e-12
FALLING = Schedule("adaptive", 0.1, patience=3, tolerance=0.5)
"""Its step falls five times in a descent of STEPS."""


def labels_for(model):
    return np.digitize(Y, [-1.0, 1.0]).astype(float) if model is SOFTMAX else Y


def partitioned(model=LINEAR):
    labels = labels_for(model)
    return labeled_data(*((X[a:b], labels[a:b]) for a, b in pairwise(CUTS)))


def alike():
    """So many rows that each member's would do. A busy machine may stop one of them until all
    others are done; what it does then, alone, must not lead away from where they all went."""
    chance = np.random.default_rng(8)
    rows = chance.normal(size=(6_000, FEATURES))
    labels = rows @ np.arange(FEATURES) / FEATURES + 0.3 + 0.1 * chance.normal(size=len(rows))
    return labeled_data(*zip(np.split(rows, 6), np.split(labels, 6), strict=True))


def trained(strategy, model=LINEAR, data=None, **settings):
    plain = {"schedule": "constant", "step": 0.1, "iterations": STEPS}
    return train(
        model,
        data or partitioned(model),
        strategy,
        **{**plain, "penalty": "l2", "strength": 0.1, **settings},
    )


def by_hand(model, rows=slice(None), **settings):
    """The descent over some of the rows in one piece, in one process."""
    problem = Problem(
        model,
        FEATURES,
        penalty=Penalty(l2=0.1),
        schedule=Schedule("constant", 0.1),
        iterations=STEPS,
        **settings,
    )
    descent, labels = Descent(problem, model.start(FEATURES, 42)), labels_for(model)
    while not descent.ended:
        descent.take(model.sums(descent.parameters, X[rows], labels[rows]))
    return descent.trace()


def model_for(strategy):
    return NETWORK if strategy == "pipeline" else LINEAR


@pytest.mark.parametrize("model", MODELS, ids=["linear", "network", "softmax"])
@pytest.mark.parametrize("strategy", [*EXACT, *ROUNDED, "model_parallel", "pipeline"])
def test_synchronous_strategies_equal_the_descent_in_one_process(strategy, model):
    if {"model_parallel": NETWORK, "pipeline": LINEAR}.get(strategy) is model:
        return
    if strategy == "pipeline" and model is SOFTMAX:
        return
    found, expected = trained(strategy, model), by_hand(model)
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=TOLERANCE)
    assert found.updates == STEPS


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("schedule", [FALLING, "mllib"], ids=["falling", "mllib"])
def test_staleness_zero_equals_sync_to_the_byte(size, schedule):
    data = partitioned()
    data.dataset.members_max = size
    settings = {"optimizer": "adam", "schedule": schedule, "penalty": "elastic_net"}
    found, expected = trained("ssp:0", data=data, **settings), trained("sync", **settings)
    assert found.parameters.tobytes() == expected.parameters.tobytes()
    assert found.loss_history == expected.loss_history


@pytest.mark.parametrize("narrow", [np.float16, np.float32])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_numpy_s_narrow_numbers_are_the_same_on_both_sides_of_the_wire(narrow, optimizer):
    step = {"schedule": Schedule("inverse", narrow(0.1), power=narrow(0.3))}
    step["optimizer"] = Optimizer(optimizer, beta1=narrow(0.8), beta2=narrow(0.99))
    found, expected = trained("ssp:0", **step), trained("sync", **step)
    assert found.parameters.tobytes() == expected.parameters.tobytes()
    assert step["schedule"] == Schedule("inverse", float(narrow(0.1)), float(narrow(0.3)))


@pytest.mark.parametrize("strategy", ["ssp:0", "allreduce", "model_parallel", "pipeline"])
@pytest.mark.parametrize("batch", [{"fraction": 0.4}, {"batch_rows": 7}, {"batch_rows": 1}])
def test_mini_batches_are_those_of_sync(strategy, batch):
    model = model_for(strategy)
    found, expected = trained(strategy, model, **batch), trained("sync", model, **batch)
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=TOLERANCE)


@pytest.mark.parametrize("strategy", EVERY)
def test_a_last_mini_batch_without_rows_has_no_loss(strategy):
    model, data = model_for(strategy), labeled_data((X[:2], Y[:2]), (X[2:4], Y[2:4]))
    settings = {"data": data, "penalty": None, "strength": 0.0, "fraction": 0.05}
    seeds = (seed for seed in count() if not rows_of_last_batch(seed, data, 0.05))
    settings["seed"] = next(seeds)
    found, expected = trained(strategy, model, **settings), trained("sync", model, **settings)
    assert 0.0 not in found.loss_history
    assert len(found.seconds) == len(found.loss_history)
    if strategy in EXACT:
        assert found.loss_history == expected.loss_history


def rows_of_last_batch(seed, data, fraction):
    batches = Batches(seed, fraction)
    blocks = enumerate(data.dataset.blocks)
    return sum(len(batches.of(block, STEPS + 1, index)) for index, block in blocks)


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adagrad", "adam"])
@pytest.mark.parametrize("strategy", ["ssp:0", "allreduce", "model_parallel", "pipeline"])
def test_optimizers_remember_the_same_in_parts(strategy, optimizer):
    model = model_for(strategy)
    found = trained(strategy, model, optimizer=optimizer)
    expected = trained("sync", model, optimizer=optimizer)
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("strategy", ["allreduce", "model_parallel", "pipeline"])
def test_a_schedule_that_looks_at_losses_sees_those_of_all_rows(strategy):
    model = model_for(strategy)
    found = trained(strategy, model, schedule=FALLING)
    expected = trained("sync", model, schedule=FALLING)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=TOLERANCE)


def test_local_steps_are_as_long_as_the_losses_say_that_are_known_by_then():
    """What everybody's rows cost before a period is known when it is over."""
    problem = Problem(LINEAR, FEATURES, Penalty(l2=0.1), schedule=FALLING)
    pace, parameters, memory = problem.pace(), np.zeros(FEATURES + 1), problem.memory()
    for iteration in range(1, STEPS + 1):
        gradient, loss, _ = mean_of(LINEAR.sums(parameters, X, Y))
        loss += problem.penalty_value(parameters)
        eta = pace.eta(iteration)
        parameters, _ = problem.update(parameters, gradient, memory, eta, iteration)
        pace.saw(loss)
    found = trained("local:1", schedule=FALLING).parameters
    np.testing.assert_allclose(found, parameters, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("strategy", [*ROUNDED, "local:5", "model_parallel", "pipeline"])
def test_every_member_notes_each_loss_once(strategy):
    data = partitioned()
    found = trained(strategy, model_for(strategy), data)
    losses = [note["loss"] for note in data.dataset.notes if note["rank"] == 0]
    steps = -(-STEPS // 5) if strategy == "local:5" else len(losses)
    assert np.ravel(losses).tolist() == found.loss_history[:steps]
    assert steps >= STEPS // 5


@pytest.mark.parametrize("strategy", [*ROUNDED, "model_parallel", "pipeline"])
def test_a_member_alone_is_sync(strategy):
    model, data = model_for(strategy), partitioned()
    data.dataset.members_max = 1
    found, expected = trained(strategy, model, data), trained("sync", model, data)
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=TOLERANCE)


@pytest.mark.parametrize("strategy", ROUNDED)
def test_a_member_alone_counts_no_update_of_a_mini_batch_without_rows(strategy):
    """Adam makes up for averages that began at zero by how many numbers they are of."""
    data = labeled_data((X[:2], Y[:2]), (X[2:4], Y[2:4]))
    data.dataset.members_max = 1
    settings = {"data": data, "optimizer": "adam", "fraction": 0.1}
    found, expected = trained(strategy, **settings), trained("sync", **settings)
    assert found.updates == expected.updates < STEPS
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)


def test_members_have_the_count_of_their_updates_in_common():
    """One draws no row in the first of two periods, and goes on with what the other remembers."""
    data = labeled_data((X[:1], Y[:1]), (X[1:], Y[1:]))
    seed = next(seed for seed in count() if draws_of_one_row(seed) == [0, 0, 1, 1])
    batches, steps = Batches(seed, 0.5), Schedule("constant", 0.1)
    problem = Problem(LINEAR, FEATURES, Penalty(l2=0.1), Optimizer("adam"), steps, batches=batches)
    state = np.vstack([np.zeros(FEATURES + 1), problem.memory()])
    for period in range(2):
        ends = [
            two_steps(problem, state, (rank, block), period)
            for rank, block in enumerate(data.dataset.blocks)
        ]
        state = np.average([end for end, _ in ends], axis=0, weights=[rows for _, rows in ends])
    found = trained("local:2", data=data, optimizer="adam", iterations=4, fraction=0.5, seed=seed)
    np.testing.assert_allclose(found.parameters, state[0], rtol=0, atol=TOLERANCE)
    assert found.updates == 4


def draws_of_one_row(seed):
    block = labeled_data((X[:1], Y[:1])).dataset.blocks[0]
    return [len(Batches(seed, 0.5).of(block, iteration, 0)) for iteration in range(1, 5)]


def two_steps(problem, state, owned, period):
    """A member's steps 1 and 2, or 3 and 4, from what all had; and the rows that they saw."""
    (parameters, *memory), seen = state, 0
    for iteration in (2 * period + 1, 2 * period + 2):
        rank, block = owned
        gradient, _, rows = mean_of(problem.sums(parameters, block, iteration, rank))
        if rows > 0:
            parameters, memory = problem.update(parameters, gradient, memory, 0.1, iteration)
        seen += rows
    return np.vstack([parameters, memory]), seen


def test_replicas_of_an_allreduce_send_no_more_than_they_must():
    data = partitioned()
    trained("allreduce", data=data)
    size, numbers = 3, FEATURES + 1 + 2
    arrays = sum(each.array_bytes for each in data.dataset.sent)
    assert arrays == (STEPS + 1) * 2 * (size - 1) * numbers * 8


def test_the_bytes_of_all_members_are_told_together():
    data = partitioned()
    found = trained("allreduce", data=data)
    assert found.sent_bytes == sum(each.total_bytes for each in data.dataset.sent)


def test_a_round_over_an_empty_mini_batch_is_sent_as_well():
    data = labeled_data((X[:4], Y[:4]))
    few = trained("sync", data=data, fraction=0.05)
    assert len(few.loss_history) < STEPS + 1
    assert few.sent_bytes == trained("sync", data=data).sent_bytes


def test_replicas_that_do_not_make_the_same_step_are_found(monkeypatch):
    steps, update = count(), Problem.update

    def noisy(self, *arguments):
        parameters, memory = update(self, *arguments)
        return parameters + 1e-15 * next(steps), memory

    monkeypatch.setattr(Problem, "update", noisy)
    with pytest.raises(ArgumentError, match="replicas of an all-reduce differ"):
        trained("allreduce")


def test_average_is_the_weighted_average_of_the_shards_own_solutions():
    found = trained("average")
    shards = [slice(a, b) for a, b in pairwise(CUTS) if a < b]
    weights = [each.stop - each.start for each in shards]
    solutions = [by_hand(LINEAR, each).parameters for each in shards]
    expected = np.average(solutions, axis=0, weights=weights)
    np.testing.assert_allclose(found.parameters, expected, rtol=0, atol=TOLERANCE)


def test_a_shard_whose_descent_diverges_has_no_solution():
    block = partitioned().dataset.blocks[0]
    problem = Problem(Linear(), FEATURES, schedule=Schedule("constant", 1e6), iterations=400)
    assert np.isnan(solve(problem, block, 0, np.zeros(FEATURES))[0]).all()


def test_average_counts_the_updates_that_the_shards_made():
    """Not those that they might have made, had no mini-batch been empty and no step too short."""
    data = labeled_data((X[:20], Y[:20]), (X[20:], Y[20:]))
    assert trained("average", data=data).updates == STEPS
    assert trained("average", data=data, fraction=1e-12).updates == 0
    shards = [(labeled_data((X[rows], Y[rows])), len(X[rows])) for rows in (np.s_[:20], np.s_[20:])]
    made = [trained("sync", data=shard, tolerance=0.05).updates for shard, _ in shards]
    expected = np.average(made, weights=[rows for _, rows in shards])
    assert trained("average", data=data, tolerance=0.05).updates == round(expected) < STEPS


def test_local_steps_are_averaged_by_the_rows_of_the_members():
    """One period of all steps: every member solves its own shard, and the average is weighted."""
    found = trained(f"local:{STEPS}")
    shards = [slice(0, 9), slice(9, 30), slice(30, 60)]
    expected = np.average(
        [by_hand(LINEAR, each).parameters for each in shards], axis=0, weights=[9, 21, 30]
    )
    np.testing.assert_allclose(found.parameters, expected, rtol=0, atol=TOLERANCE)
    assert len(found.loss_history) == 2


def test_what_an_optimizer_remembers_is_averaged_with_the_parameters():
    data = labeled_data((X[:20], Y[:20]), (X[20:], Y[20:]))
    plain = {"penalty": None, "strength": 0.0, "iterations": 4}
    found = trained("local:2", data=data, optimizer="momentum", **plain)
    rows = np.column_stack([X, np.ones(ROWS)])
    shards = [(rows[:20], Y[:20]), (rows[20:], Y[20:])]
    state = np.zeros((2, FEATURES + 1))
    for _ in range(2):
        ends = [with_momentum(state, *shard, steps=2) for shard in shards]
        state = np.average(ends, axis=0, weights=[20, 40])
    np.testing.assert_allclose(found.parameters, state[0], rtol=0, atol=TOLERANCE)


def with_momentum(state, rows, labels, steps):
    weights, velocity = state
    for _ in range(steps):
        gradient = rows.T @ (rows @ weights - labels) / len(labels)
        velocity = 0.9 * velocity - 0.1 * gradient
        weights = weights + velocity
    return [weights, velocity]


@pytest.mark.parametrize("strategy", ["async", "ssp:3", "local:4"])
def test_the_others_end_near_sync(strategy):
    settings = {"iterations": 150, "data": alike()}
    found, expected = trained(strategy, **settings), trained("sync", **settings)
    assert found.loss_history[-1] == pytest.approx(expected.loss_history[-1], rel=0.05)


def test_the_staleness_of_every_update_is_recorded():
    assert trained("sync").staleness == []
    assert trained("ssp:0").staleness == [0] * STEPS
    assert all(0 <= each <= 2 for each in trained("ssp:2").staleness)
    found = trained("async").staleness
    assert len(found) == 3 * STEPS
    assert min(found) >= 0


def test_every_asynchronous_loss_holds_the_penalty():
    """Hardly moving, each entry is what the rows of one member cost at the start."""
    start, strength = np.full(FEATURES + 1, 2.0), 7.0
    found = trained("async", start=start, step=1e-15, strength=strength)
    penalty = strength / 2 * (start[:-1] @ start[:-1])
    residuals = X @ start[:-1] + start[-1] - Y
    costs = [np.mean(residuals[a:b] ** 2) / 2 + penalty for a, b in ((0, 9), (9, 30), (30, 60))]
    np.testing.assert_allclose(
        np.sort(found.loss_history[:-1]), np.repeat(np.sort(costs), STEPS), rtol=1e-9
    )


def test_the_schedule_of_async_counts_passes_over_all_rows():
    """Three members make three updates a pass: number 5, from 0, belongs to the second pass."""
    problem = Problem(Linear(), 2, schedule=Schedule("mllib", 1.0))
    tail = np.array([8.0, 2.0, 0.0])
    gradient = np.array([2.0, 4.0])
    moved, _ = Steps(problem, 3).update(np.zeros(2), gradient, tail, None, 5, slice(0, 2))
    np.testing.assert_allclose(moved, -gradient / 2 / np.sqrt(2), rtol=1e-15)


def test_updates_are_counted_exactly():
    assert trained("async").updates == 3 * STEPS
    assert trained("ssp:3").updates == STEPS
    assert trained("local:5").updates == STEPS, "the last period is shorter"


@pytest.mark.parametrize(
    "strategy",
    [
        *["ssp:0", *ROUNDED, "local:2", "model_parallel", "pipeline"],
        *["ssp:0:half", "allreduce:half", "allreduce:top-k=0.4", "allreduce:sign"],
    ],
)
@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_member_changes_nothing(strategy, victim):
    """Every member dies once: early, and near the end, when it has left checkpoints."""
    model = model_for(strategy)
    calm, rough = partitioned(model), partitioned(model)
    settings = {"optimizer": "momentum", "schedule": FALLING}
    expected = trained(strategy, model, calm, **settings)
    late = 9 * calm.dataset.sent[1 - victim].messages // 10
    # The second death comes in epoch 2 where all start again, in epoch 1 where the lost one does.
    deaths = {(victim, 1): 5, (1 - victim, 2): late, (1 - victim, 1): late}
    rough.dataset.dies = lambda rank, epoch, number: deaths.get((rank, epoch)) == number
    found = trained(strategy, model, rough, **settings)
    assert found.parameters.tobytes() == expected.parameters.tobytes()
    assert found.loss_history == expected.loss_history


@pytest.mark.parametrize("strategy", [*ROUNDED, "model_parallel", "pipeline"])
def test_a_checkpoint_that_one_member_did_not_reach_changes_nothing(strategy, monkeypatch):
    """All go on from the one before. The others have kept it as it was, and made steps since."""
    offer = Checkpoints.offer

    def all_but_the_last_of_the_first(checkpoints, step, value):
        if step < 20 or checkpoints._members.rank > 0:
            offer(checkpoints, step, value)

    model = model_for(strategy)
    calm, rough = partitioned(model), partitioned(model)
    settings = {"optimizer": "momentum", "schedule": FALLING}
    expected = trained(strategy, model, calm, **settings)
    late = 9 * calm.dataset.sent[0].messages // 10
    rough.dataset.dies = lambda rank, epoch, number: (rank, epoch, number) == (0, 1, late)
    monkeypatch.setattr(Checkpoints, "offer", all_but_the_last_of_the_first)
    found = trained(strategy, model, rough, **settings)
    assert found.parameters.tobytes() == expected.parameters.tobytes()
    assert found.loss_history == expected.loss_history


@pytest.mark.parametrize("strategy", ["ssp:2", "async"])
def test_a_lost_member_costs_no_update(strategy):
    data = partitioned()
    data.dataset.dies = lambda rank, epoch, number: (rank, epoch, number) == (1, 1, 20)
    found = trained(strategy, data=data)
    assert found.updates == (STEPS if strategy == "ssp:2" else 3 * STEPS)


@pytest.mark.parametrize("strategy", EVERY)
def test_features_as_float32_give_the_same_to_some_digits(strategy):
    model = model_for(strategy)
    wide = trained(strategy, model).parameters
    narrow = trained(strategy, model, partitioned(model).as_float32()).parameters
    if strategy not in ("ssp:2", "async"):  # They depend on who comes first.
        np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-5)
    assert narrow.dtype == np.float64
    assert narrow.tolist() != wide.tolist()


@pytest.mark.parametrize("strategy", EVERY)
def test_divergence_is_explained_by_every_strategy(strategy):
    with pytest.raises(Diverged, match="step"):
        trained(strategy, model_for(strategy), step=1e12, iterations=40)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
@pytest.mark.parametrize(
    "strategy", ["sync", "ssp:2", "async", "local:8", "average", "allreduce:top-k", "ssp:0:sign"]
)
def test_the_step_that_is_named_is_safe_for_the_strategy(strategy, optimizer):
    """One partition is steeper than all together, and old gradients bear shorter steps."""
    steep = X * np.where(np.arange(ROWS) < CUTS[1], 3.0, 1.0)[:, None]
    data = labeled_data(*((steep[a:b], Y[a:b]) for a, b in pairwise(CUTS)))
    largest = curvature_of(data, intercept=True).largest
    settings = {"data": data, "penalty": None, "strength": 0.0, "iterations": 400}
    settings["optimizer"] = optimizer
    with pytest.raises(Diverged, match="step=") as failure:
        trained(strategy, step=8.0 / largest, **settings)
    named = float(re.search(r" is ([0-9.e-]+): pass that", str(failure.value))[1])
    found = trained(strategy, step=named, **settings)
    assert found.loss_history[-1] < found.loss_history[0]


@pytest.mark.parametrize(
    ("strategy", "settings", "text"),
    [
        ("pipeline", {}, "a linear model has one"),
        ("model_parallel", {"model": NETWORK}, "use 'pipeline'"),
        ("local:0", {}, "at least one step"),
        ("local:x", {}, "whole number"),
        ("local:2:half", {}, "whole number"),
        ("ssp:x", {}, "one of half, top-k"),
        ("ssp:2:top-k=2", {}, "fraction in"),
        ("async:top-k=x", {}, "fraction in"),
        ("ring", {}, "strategy must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(strategy, settings, text):
    with pytest.raises(ArgumentError, match=text):
        trained(strategy, **settings)


@pytest.mark.parametrize("strategy", [each for each in EVERY if each != "sync"])
def test_what_runs_inside_the_workers_tells_of_no_step(strategy):
    name, model = strategy.partition(":")[0], model_for(strategy)
    with pytest.raises(ArgumentError, match=f"strategy '{name}' .* cannot call on_step"):
        trained(strategy, model, on_step=print)
    if name not in ("allreduce", "average"):
        with pytest.raises(ArgumentError, match=f"strategy '{name}' .* leave the tolerance at 0"):
            trained(strategy, model, tolerance=0.1)


@pytest.mark.parametrize("name", ["allreduce:zip", "ssp:2:zip", "async:top-k=0"])
def test_a_compression_that_is_none_is_refused_before_anything_starts(name):
    with pytest.raises(ArgumentError):
        find_strategy(name)


@pytest.mark.parametrize(
    ("strategy", "seen", "expected"),
    [
        ("sync", (), Strain()),
        ("ssp:3", (), Strain(staleness=3)),
        ("ssp:3", (1, 5, 2), Strain(staleness=5)),
        ("ssp:3:sign", (), Strain(staleness=3 + LATE_UPDATES)),
        ("allreduce:sign", (), Strain(staleness=LATE_UPDATES)),
        ("async", (), Strain(apart=True, staleness=7)),
        ("async", (9,), Strain(apart=True, staleness=9)),
        (partial(find_strategy("ssp"), staleness=None), (), Strain(apart=True, staleness=7)),
        ("local", (), Strain(apart=True)),
        ("local:2", (), Strain(apart=True)),
        ("local:1", (), Strain()),
        (partial(find_strategy("local"), steps=4), (), Strain(apart=True)),
        ("average", (), Strain(apart=True)),
        (lambda *_: None, (), Strain()),
    ],
)
def test_what_of_a_strategy_asks_for_shorter_steps(strategy, seen, expected):
    assert strain(strategy, members=8, seen=seen) == expected


def test_more_members_than_columns_or_layers_do_not_matter():
    data = labeled_data(*((X[a : a + 10, :1], Y[a : a + 10]) for a in range(0, 60, 10)))
    data.dataset.members_max = 6
    for strategy, model in (("model_parallel", Linear()), ("pipeline", MultilayerPerceptron((2,)))):
        found = trained(strategy, model, data)
        expected = trained("sync", model, data)
        np.testing.assert_allclose(found.parameters, expected.parameters, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "strategy",
    [
        *["ssp:0:sign", "ssp:2:top-k=0.3", "async:half", "async:sign"],
        *["allreduce:half", "allreduce:top-k=0.3", "allreduce:sign"],
    ],
)
def test_compressed_gradients_end_near_sync(strategy):
    settings = {"iterations": 100, "data": alike()}
    found, expected = trained(strategy, **settings), trained("sync", **settings)
    assert found.loss_history[-1] == pytest.approx(expected.loss_history[-1], rel=0.05)
    assert found.updates == (300 if strategy.startswith("async") else 100)


@pytest.mark.parametrize("strategy", ["ssp:0", "allreduce"])
def test_half_precision_is_close_to_sync_at_every_step(strategy):
    """Its rounding is 2**-11 of an element, so a step differs by no more than that."""
    found, expected = trained(f"{strategy}:half"), trained("sync")
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=2**-9)
    assert found.loss_history[0] == pytest.approx(expected.loss_history[0], rel=TOLERANCE)
    assert found.parameters.tobytes() != expected.parameters.tobytes()


@pytest.mark.parametrize(
    ("strategy", "less_than"),
    [
        *[("allreduce:half", 0.27), ("allreduce:top-k=0.1", 0.24), ("allreduce:sign", 0.03)],
        *[("ssp:0:half", 0.45), ("ssp:0:top-k=0.05", 0.40), ("ssp:0:sign", 0.40)],
        ("async:half", 0.45),
    ],
)
def test_compressed_gradients_take_fewer_bytes(strategy, less_than):
    """What all members send, beside what they send without; the parameters travel whole."""
    chance = np.random.default_rng(5)
    rows, labels = chance.normal(size=(60, 4000)), chance.normal(size=60)
    data = labeled_data(*((rows[a:b], labels[a:b]) for a, b in pairwise(CUTS)))
    settings = {"iterations": 4, "step": 1e-4}
    packed = trained(strategy, data=data, **settings).sent_bytes
    whole = trained(strategy.rpartition(":")[0], data=data, **settings).sent_bytes
    assert packed < less_than * whole
