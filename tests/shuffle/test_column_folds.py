from functools import reduce
from itertools import pairwise, product
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.block import Groups
from minimr.shuffle.column_folds import Fold
from minimr.shuffle.columns import Tuples, concat, cut, items, starts, typed
from minimr.shuffle.merge_columns import Chunk

from .values import same

FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 0.1, 1e16, -1e16, 5e-324])
CELLS = {
    "int": st.integers(-9, 9) | st.sampled_from([2**61, 2**62, 2**63 - 1, -(2**63)]),
    "small int": st.integers(-9, 9),
    "float": FLOATS,
    "number": st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0]),
    "bool": st.booleans(),
    "huge": st.sampled_from([1, 2**63, -(2**70)]),
    "mixed": st.integers(-9, 9) | st.sampled_from([0.5, 1e16, -0.0, 2**53, 2**53 + 1]),
    "text": st.sampled_from(["", "a", "\ud800", "b\0"]),
    "vector": st.lists(FLOATS, min_size=3, max_size=3).map(np.array),
    "bytes vector": st.lists(st.integers(0, 255), min_size=2, max_size=2).map(
        lambda cells: np.array(cells, np.uint8)
    ),
    "matrix": st.integers(-9, 9).map(lambda cell: np.full((2, 2), cell, np.float32)),
}
NUMBERS = ["int", "small int", "float", "number", "bool", "huge", "mixed"]
FITTING = {
    mr.Sum(): [*NUMBERS, "text", "vector", "bytes vector", "matrix"],
    mr.Mean(): [*NUMBERS, "vector", "bytes vector", "matrix"],
    mr.Count(): list(CELLS),
    mr.Min(): [*NUMBERS, "text"],
    mr.Max(): [*NUMBERS, "text"],
    mr.TopK(2): [*(kind for kind in NUMBERS if kind != "float"), "text"],  # no NaN
}
CASES = [(aggregate, kind) for aggregate, kinds in FITTING.items() for kind in kinds]
EACH_CASE = pytest.mark.parametrize(("aggregate", "kind"), CASES, ids=str)


@st.composite
def grouped(draw, kind, largest=6):
    """Lists of values, one for each key."""
    return draw(st.lists(st.lists(CELLS[kind], min_size=1, max_size=largest), max_size=6))


def columns_of(groups):
    keys = [10 * number for number, values in enumerate(groups) for _ in values]
    return typed(keys), typed([value for values in groups for value in values])


def folded(aggregate, keys, values):
    fold = Fold(aggregate.merge, aggregate)
    return fold.groups(Groups(keys, fold.lift(values), starts(keys)))


def by_hand(aggregate, groups):
    """What the aggregate makes of each key, value by value."""
    return [
        (10 * number, state)
        for number, values in enumerate(groups)
        for state in aggregate.merge(10 * number, map(aggregate.lift, values))
    ]


def pairs_of(columns):
    return [
        pair for keys, values in columns for pair in zip(items(keys), items(values), strict=True)
    ]


@EACH_CASE
@settings(max_examples=20)
@given(st.data())
def test_a_fold_is_what_the_aggregate_makes_of_each_key(aggregate, kind, data):
    groups = data.draw(grouped(kind))
    with np.errstate(all="ignore"):
        wanted = by_hand(aggregate, groups)
        assert same(pairs_of([folded(aggregate, *columns_of(groups))]), wanted)


@EACH_CASE
@settings(max_examples=20)
@given(st.data())
def test_groups_that_go_on_in_the_next_chunk_are_folded_on(aggregate, kind, data):
    groups = data.draw(grouped(kind))
    keys, values = columns_of(groups)
    fold = Fold(aggregate.merge, aggregate)
    cuts = data.draw(st.sets(st.integers(1, max(1, len(keys) - 1)), max_size=5))
    bounds = sorted({0, len(keys), *(each for each in cuts if each < len(keys))})
    chunks = []
    for start, end in pairwise(bounds):
        goes_on = end < len(keys) and bool(keys[end - 1] == keys[end])
        chunks.append(Chunk(cut(keys, start, end), fold.lift(cut(values, start, end)), goes_on))
    with np.errstate(all="ignore"):
        wanted = by_hand(aggregate, groups)
        got = list(fold.chunks(iter(chunks)))
        assert same(pairs_of(got), wanted)
        finished = [pair for key, state in wanted for pair in aggregate.finish(key, [state])]
        assert same(pairs_of(fold.finish(*each) for each in got), finished)


@pytest.mark.parametrize(
    "sizes", [[1, 100_000], [1] * 500, [7, 8, 9, 128, 129, 1000], [3, 1, 2] * 300]
)
@pytest.mark.parametrize("width", [None, 3])
def test_float_sums_go_from_left_to_right(sizes, width):
    chance = np.random.default_rng(len(sizes))
    shape = (sum(sizes),) if width is None else (sum(sizes), width)
    values = chance.normal(size=shape) * 10.0 ** chance.integers(-8, 8, shape)
    keys = np.repeat(np.arange(len(sizes)), sizes)
    ends = np.cumsum(sizes)
    wanted = [reduce(add, values[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    _, got = folded(mr.Sum(), keys, values)
    assert np.array(wanted).tobytes() == got.tobytes()


@pytest.mark.parametrize("aggregate", [mr.Min(), mr.Max()])
def test_nans_are_compared_as_python_does(aggregate):
    nan = float("nan")
    groups = [list(each) for size in (2, 3, 4) for each in product([nan, 1.0, 5.0], repeat=size)]
    assert same(pairs_of([folded(aggregate, *columns_of(groups))]), by_hand(aggregate, groups))


def test_means_of_ints_are_rounded_once():
    chance = np.random.default_rng(3)
    totals = chance.integers(-(2**60), 2**60, 500) >> chance.integers(0, 20, 500)
    counts = chance.integers(1, 1000, 500)
    for top in (2**53, 2**60):
        some = totals[np.abs(totals) < top]
        states = Tuples((some, counts[: len(some)]))
        _, means = Fold(mr.Mean().merge, mr.Mean()).finish(np.arange(len(some)), states)
        assert same(items(means), [total / count for total, count in items(states)])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("value", [2**60, 2**61, 2**62 - 1, 2**62, 2**63 - 1])
def test_sums_of_ints_have_no_bounds(size, value, sign):
    values = np.array([sign * value] * size + [1, 2, -3], np.int64)
    keys = np.array([1] * size + [2] * 3)
    assert pairs_of([folded(mr.Sum(), keys, values)]) == [(1, sign * value * size), (2, 0)]


def test_the_given_values_are_left_as_they_are():
    for values in (np.array([0.0, -0.0, 1.0]), np.arange(3), np.ones((3, 2))):
        before = values.tobytes()
        for aggregate in (
            mr.Sum(),
            mr.Mean(),
            *([mr.Min(), mr.TopK(1)] if values.ndim == 1 else []),
        ):
            folded(aggregate, np.array([1, 1, 2]), values)
        assert values.tobytes() == before


@pytest.mark.parametrize(
    ("aggregate", "states", "exact"),
    [
        (mr.Sum(), [1, 2], True),
        (mr.Sum(), [1, 2**70], True),
        (mr.Sum(), [1.0, 2.0], False),
        (mr.Sum(), [1, 2.0], False),
        (mr.Sum(), [True, True], False),
        (mr.Sum(), ["a", "b"], False),
        (mr.Mean(), [(1, 1), (2, 1)], True),
        (mr.Mean(), [(1.0, 1), (2.0, 1)], False),
        (mr.Min(), [1.0, -0.0], True),
        (mr.Min(), [1.0, float("nan")], False),
        (mr.Max(), [1, 2**70], True),
        (mr.Max(), ["a", "b"], True),
        (mr.Max(), [1, 0.5], False),
        (mr.TopK(2), [1, 2], True),
        (None, [1, 2], False),
    ],
)
def test_exact_is_what_may_be_merged_in_any_grouping(aggregate, states, exact):
    assert Fold(lambda _key, values: list(values), aggregate).is_exact(typed(states)) is exact


@EACH_CASE
@settings(max_examples=20)
@given(st.data())
def test_exact_states_give_the_same_bits_in_any_grouping(aggregate, kind, data):
    values = data.draw(st.lists(CELLS[kind], min_size=2, max_size=8))
    fold = Fold(aggregate.merge, aggregate)
    states = fold.lift(typed(values))
    if not fold.is_exact(states):
        return
    at = data.draw(st.integers(1, len(values) - 1))
    once = fold.groups(Groups(np.zeros(len(states)), states, np.array([0])))[1]
    parts = [
        fold.groups(Groups(np.zeros(len(part)), part, np.array([0])))[1]
        for part in (cut(states, 0, at), cut(states, at, len(states)))
    ]
    joined = concat(parts)
    twice = fold.groups(Groups(np.zeros(len(joined)), joined, np.array([0])))[1]
    assert same(items(once), items(twice))


def test_a_combiner_by_hand_may_keep_some_values_or_none():
    fold = Fold(lambda key, values: [value for value in values if value > key])
    groups = Groups(np.array([1, 1, 2, 3, 3]), np.array([1, 2, 1, 5, 6]), np.array([0, 2, 3]))
    assert pairs_of([fold.groups(groups)]) == [(1, 2), (3, 5), (3, 6)]
