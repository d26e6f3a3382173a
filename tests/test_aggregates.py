import math
import struct
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimr as mr
from minimr.block import Groups
from minimr.shuffle.column_folds import Fold
from minimr.tasks.emitted import KeyGate
from minimr.tasks.failure import Position, TaskFailed
from minimr.tasks.held import STEPS, States
from tests.tasks.running import run_job

NUMBERS = st.lists(
    st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=30
)


def whole(aggregate, values):
    return [value for _, value in aggregate("k", iter(values))]


def in_pieces(aggregate, values, cuts):
    """What the values give when they are lifted, merged piece by piece, and finished."""
    states = [aggregate.lift(value) for value in values]
    borders = [0, *sorted(cut % (len(states) + 1) for cut in cuts), len(states)]
    pieces = [states[start:end] for start, end in pairwise(borders) if start < end]
    merged = [state for piece in pieces for state in aggregate.merge("k", piece)]
    return [value for _, value in aggregate.finish("k", aggregate.merge("k", merged))]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (mr.Sum(), [10]),
        (mr.Count(), [4]),
        (mr.Min(), [1]),
        (mr.Max(), [4]),
        (mr.Mean(), [2.5]),
        (mr.TopK(2), [4, 3]),
        (mr.TopK(9), [4, 3, 2, 1]),
    ],
)
def test_each_aggregate_as_a_reducer(aggregate, expected):
    assert whole(aggregate, [3, 1, 4, 2]) == expected
    assert next(aggregate("key", [3, 1, 4, 2]))[0] == "key"


@pytest.mark.parametrize("values", list(permutations([math.inf, -math.inf, math.nan, -math.nan])))
@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Mean()])
def test_a_sum_that_is_no_number_is_always_the_same(aggregate, values):
    """Which NaN it is shows in the bits, and so in the bytes and the digest of an output."""
    held = States(aggregate, STEPS[type(aggregate)], KeyGate("map"), Position("map task 0"))
    held.take(iter([("k", value) for value in values]), len(values))
    groups = Groups(
        np.zeros(4, np.int64), fold_of(aggregate).lift(np.array(values)), np.zeros(1, int)
    )
    by_columns = fold_of(aggregate).finish(*fold_of(aggregate).groups(groups))
    found = [
        *whole(aggregate, values),
        *in_pieces(aggregate, values, [2]),
        *(mean for _, mean in aggregate.finish("k", held.pop("k"))),
        by_columns[1][0],
    ]
    assert {struct.pack(">d", each) for each in found} == {struct.pack(">d", math.nan)}


def fold_of(aggregate):
    return Fold(aggregate.merge, aggregate)


@given(NUMBERS, st.lists(st.integers(0, 100), max_size=4))
@pytest.mark.parametrize("aggregate", [mr.Count(), mr.Min(), mr.Max(), mr.TopK(3)])
def test_merging_in_pieces_changes_nothing(aggregate, values, cuts):
    assert in_pieces(aggregate, values, cuts) == whole(aggregate, values)


@given(st.lists(st.integers(), min_size=1), st.lists(st.integers(0, 100), max_size=4))
@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Mean()])
def test_sums_of_ints_may_be_merged_in_any_pieces(aggregate, values, cuts):
    assert in_pieces(aggregate, values, cuts) == whole(aggregate, values)


@given(NUMBERS, st.integers(0, 30))
def test_a_sum_that_goes_on_from_a_prefix_has_the_same_bits(values, cut):
    first = values[:cut]
    resumed = mr.Sum().merge("k", first) + values[cut:] if first else values
    assert repr(whole(mr.Sum(), resumed)) == repr(whole(mr.Sum(), values))


def test_sum_adds_plainly_from_left_to_right():
    values = [1e16, 1.0, -1e16, 1.0]
    plain = ((1e16 + 1.0) - 1e16) + 1.0
    assert whole(mr.Sum(), values) == [plain]
    assert plain != math.fsum(values)


def test_sum_takes_arrays_and_leaves_them_alone():
    first = np.array([1.0, 2.0])
    (total,) = whole(mr.Sum(), [first, np.array([10.0, 20.0])])
    assert total.tolist() == [11.0, 22.0]
    assert first.tolist() == [1.0, 2.0]


def test_a_single_value_passes_through_unchanged():
    value = "anything"
    assert whole(mr.Sum(), [value]) == [value]


def test_topk_keeps_ties_in_order_of_arrival():
    assert whole(mr.TopK(3), [(1, "b"), (2, "a"), (1, "c")]) == [(2, "a"), (1, "c"), (1, "b")]
    assert [type(v) for v in whole(mr.TopK(2), [1, True, 1.0])] == [int, bool]


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        (mr.Sum(), "Sum cannot add the values of the key 'k'"),
        (mr.Min(), "Min cannot compare the values of the key 'k'"),
        (mr.Max(), "Max cannot compare the values of the key 'k'"),
        (mr.Mean(), "Mean cannot add the values of the key 'k'"),
        (mr.TopK(1), "TopK cannot compare the values of the key 'k'"),
    ],
)
def test_values_that_do_not_go_together_are_an_error_that_names_the_key(aggregate, message):
    with pytest.raises(mr.BadRecord, match=message):
        whole(aggregate, [1, "a"])


def test_arrays_of_unequal_shape_name_the_key_too():
    with pytest.raises(mr.BadRecord, match="key 'k'"):
        whole(mr.Sum(), [np.zeros(2), np.zeros(3)])


def test_a_mean_of_text_is_refused():
    with pytest.raises(mr.BadRecord, match="Mean cannot divide"):
        whole(mr.Mean(), ["a"])


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_topk_needs_a_whole_number(n):
    with pytest.raises(mr.UsageError, match="at least 1"):
        mr.TopK(n)


@pytest.mark.parametrize(
    "nan", [math.nan, np.float64("nan"), (math.nan, "a"), (1, ("a", math.nan))]
)
@pytest.mark.parametrize("place", [0, 1, 3000])
def test_top_k_refuses_a_nan_wherever_it_stands(nan, place):
    values = [(1.0, "a") if type(nan) is tuple else 1.0] * 3000
    values.insert(place, nan)
    with pytest.raises(mr.BadRecord, match="TopK met a NaN among the values of the key 'k'"):
        whole(mr.TopK(2), values)


@pytest.mark.parametrize("combined", [True, False])
@pytest.mark.parametrize("memory_bytes", [1 << 20, 2_000])
@pytest.mark.parametrize("by_columns", [True, False])
def test_top_k_refuses_a_nan_whatever_the_way_and_the_memory(
    tmp_path, combined, memory_bytes, by_columns
):
    class Top(mr.Job):
        combine = mr.TopK(3) if combined else None
        reduce = mr.TopK(3)

        def map(self, _offset, line):
            yield "k", float(line)

    if by_columns:
        Top.map_block = lambda job, block: mr.Pairs(
            ["k"] * len(block.data.split()), np.array(block.data.split(), float)
        )
    texts = ["1\n" * 500 + "nan\n" + "2\n" * 500, "3\n" * 10]
    with pytest.raises(TaskFailed, match="TopK met a NaN"):
        run_job(Top, texts, tmp_path / "run", memory_bytes=memory_bytes, in_memory=False)
