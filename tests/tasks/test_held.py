"""What a map task holds, and what its spills and merges make of it, against plain Python."""

import contextlib
import math
from functools import reduce
from itertools import islice, product
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.errors import BadRecord
from minimr.shuffle.passes import FAN_IN_MIN
from minimr.shuffle.segments import read_segment_bytes, write_map_output
from minimr.tasks import collector as collector_module
from minimr.tasks import column_collector as column_collector_module
from minimr.tasks.collector import Collector
from minimr.tasks.column_collector import ColumnCollector
from minimr.tasks.emitted import KeyGate
from minimr.tasks.failure import position_of
from minimr.tasks.held import States, held_for
from minimr.tasks.watcher import NOBODY
from tests.shuffle.values import same

from .running import pairs_of

BIG = 1 << 53
INTS = st.integers(-5, 5) | st.sampled_from([BIG, BIG + 1, -(1 << 63), 1 << 70])
FLOATS = st.sampled_from([0.0, -0.0, 0.1, 0.2, 1e16, -1e16, 1.0, math.inf])
VALUES = {
    "ints": INTS,
    "floats": FLOATS,
    "ints and floats": INTS | FLOATS,
    "bools": st.booleans(),
}
FOLDS = {
    mr.Sum(): lambda values: reduce(add, values),
    mr.Count(): len,
    mr.Min(): min,
    mr.Max(): max,
    mr.Mean(): lambda values: (reduce(add, values), len(values)),
    mr.TopK(2): lambda values: sorted(values, reverse=True)[:2],
}


def job_of(aggregate):
    class Aggregating(mr.Job):
        combine = aggregate
        reduce = aggregate

    return Aggregating()


def position():
    return position_of("map task 0", False, NOBODY)


def held(aggregate, first=True):
    return held_for(job_of(aggregate), KeyGate("map"), position(), first=first)


def grouped(pairs):
    """Each key as it came first, with its values in order."""
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def states(aggregate, values):
    """What the combiner must make of a key's values."""
    state = FOLDS[aggregate](values)
    return state if isinstance(aggregate, mr.TopK) else [state]


def by_key(pairs):
    """The pairs' values by key, keys in order, each key as it came first."""
    return sorted(grouped(pairs).items(), key=lambda group: group[0])


def collected(job, pairs, folder, memory_bytes, collector_class=Collector):
    """What a collector makes of pairs, in two partitions, and how many spills it wrote at first."""
    folder.mkdir(exist_ok=True)
    collector = collector_class(job, 2, memory_bytes, folder, position())
    with contextlib.closing(collector):
        collector.add(iter(pairs))
        spilled = len(list(folder.glob("spill-*")))
        found = [
            pair
            for partition, block in collector.blocks()
            for pair in pairs_of(read_segment_bytes(block))
        ]
    assert list(folder.iterdir()) == []
    return by_key(found), spilled


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Count(), mr.Min(), mr.Max(), mr.Mean()])
@given(st.data())
def test_a_state_is_the_fold_from_left_to_right(aggregate, kind, data):
    keys = data.draw(st.sampled_from([["a", "b"], [0.0, -0.0, 1.5], [(1, "a"), (2, "b")]]))
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(keys), VALUES[kind]), max_size=30))
    holder = held(aggregate)
    assert isinstance(holder, States)
    taken = iter(pairs)
    while holder.take(islice(taken, 4), 4) is not None:
        holder.shrink(after_exact=True)
    wanted = grouped(pairs)
    assert same(list(holder.keys()), list(wanted))
    got = {key: holder.pop(key) for key in list(wanted)}
    assert same(got, {key: states(aggregate, values) for key, values in wanted.items()})
    assert len(holder) == 0


@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Min(), mr.Max(), mr.Mean()])
@pytest.mark.parametrize("memory_bytes", [300, 1 << 24])
def test_values_that_cannot_be_combined_name_their_key(aggregate, memory_bytes, tmp_path):
    verb = "compare" if isinstance(aggregate, mr.Min | mr.Max) else "add"
    name = type(aggregate).__name__
    pairs = [(key, 1) for key in "abcdefghijklmnopqrstuvw"] * 2 + [("b", "x")]
    with pytest.raises(BadRecord, match=f"^{name} cannot {verb} the values of the key 'b'"):
        collected(job_of(aggregate), pairs, tmp_path, memory_bytes)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("a", 1, 2), "which is no pair"),
        (("a",), "which is no pair"),
        ("ab", "which is no pair"),
        (None, "which is no pair"),
        ((1, 1), r"the key 1 \(int\) after keys of the kind str"),
        (([], 1), "is of type list"),
    ],
)
def test_what_is_no_pair_or_key_is_refused(pair, message, first):
    with pytest.raises(BadRecord, match=message):
        held(mr.Sum(), first).take(iter([("a", 1), pair]), 2)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("key", [math.nan, (1, math.nan)])
def test_a_nan_is_no_key(key, first):
    before = 1.0 if isinstance(key, float) else (1, 1.0)
    for pairs in ([(key, 1)], [(before, 1), (key, 1)]):
        with pytest.raises(BadRecord, match="A key is NaN"):
            held(mr.Sum(), first).take(iter(pairs), 2)


class KeyErrorWhenAdded:
    def __add__(self, other):
        raise KeyError("mine")


def test_an_error_of_a_users_plus_is_not_taken_for_a_new_key():
    with pytest.raises(KeyError, match="mine"):
        held(mr.Sum()).take(iter([("a", KeyErrorWhenAdded())] * 2), 2)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("aggregate", list(FOLDS), ids=repr)
@settings(max_examples=20)
@given(st.data())
def test_many_spills_give_the_same_bits_as_none(tmp_path_factory, aggregate, kind, data):
    folder = tmp_path_factory.getbasetemp() / "held"
    keys = st.sampled_from(["a", "b", "c"])
    later = st.lists(st.tuples(keys, VALUES[kind]), min_size=1, max_size=30)
    pairs = [("a", data.draw(VALUES[kind]))] * 16 + data.draw(later)
    wanted = [(key, states(aggregate, values)) for key, values in by_key(pairs)]
    for memory_bytes in (300, 1 << 24):
        got, _ = collected(job_of(aggregate), pairs, folder, memory_bytes)
        if isinstance(aggregate, mr.TopK):  # values that were not combined stand as they came
            got = [(key, states(aggregate, values)) for key, values in got]
        assert same(got, wanted)


CELLS = {"ints": [BIG, 1, 1, 1], "floats": [0.1, 1e16, 3.0, -0.0], "NaNs": [math.nan, 1e17, -1e17]}
OTHERS = [(key, 1) for key in "bcde"] * 3
"""So many keys that a small memory is spilled."""


def in_phases(*kinds):
    """Pairs of the key "a" with values of one kind after another, other keys between."""
    return [
        pair for kind in kinds for pair in [("a", value) for value in CELLS[kind]] * 10 + OTHERS
    ]


@pytest.mark.parametrize("memory_bytes", [300, 600, 1500])
@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Mean(), mr.Min(), mr.Max()])
@pytest.mark.parametrize("first", CELLS)
def test_what_follows_a_spill_is_combined_only_if_it_leaves_no_trace(
    tmp_path, aggregate, first, memory_bytes
):
    for kinds in product([first], CELLS, CELLS):
        pairs = in_phases(*kinds)
        got, spilled = collected(job_of(aggregate), pairs, tmp_path, memory_bytes)
        wanted = [(key, states(aggregate, values)) for key, values in by_key(pairs)]
        assert same(got, wanted), kinds
        assert spilled > 1 or memory_bytes > 1000, kinds


@pytest.mark.parametrize("memory_bytes", [300, 600])
@pytest.mark.parametrize("aggregate", [mr.Min(), mr.Max()])
def test_a_nan_hides_only_what_it_precedes(tmp_path, aggregate, memory_bytes):
    """min(5.0, nan) is 5.0 and min(nan, 5.0) is nan, so a NaN must not be merged beforehand."""
    others = [(key, 1.0) for key in "bcde"] * 3
    pairs = [("a", 5.0)] * 16 + others + [("a", each) for each in CELLS["NaNs"] * 3]
    got, spilled = collected(job_of(aggregate), pairs, tmp_path, memory_bytes)
    assert same(got, [(key, states(aggregate, values)) for key, values in by_key(pairs)])
    assert spilled > 1


@pytest.mark.parametrize("memory_bytes", [1500, 3000])
@pytest.mark.parametrize("aggregate", [mr.Sum(), mr.Mean(), mr.Min(), mr.Max()])
@pytest.mark.parametrize("first", CELLS)
def test_columns_are_combined_only_if_it_leaves_no_trace(tmp_path, aggregate, first, memory_bytes):
    job = job_of(aggregate)
    for kinds in product([first], CELLS, CELLS):
        columns = []
        for kind in kinds:
            columns += [mr.Pairs(["a"] * len(CELLS[kind]), np.array(CELLS[kind]))] * 10
            columns.append(mr.Pairs(list("bcdefghijklmnop"), np.array(CELLS[kind][:1] * 15)))
        got, spilled = collected(job, columns, tmp_path, memory_bytes, ColumnCollector)
        wanted = by_key([pair for each in columns for pair in each])
        assert same(got, [(key, states(aggregate, values)) for key, values in wanted]), kinds
        assert spilled > 1, kinds


@pytest.mark.parametrize("aggregate", [mr.Sum(), None])
@pytest.mark.parametrize("keys", [1, 2, 15, 16, 17, 1000])
def test_a_size_is_estimated_alike_while_pairs_come_and_anew(aggregate, keys):
    holder = held(aggregate)
    pairs = [(f"key-{n:06}", 10**6 + n) for n in range(keys)]
    holder.take(iter(pairs), keys)
    before = holder.size_bytes
    holder.shrink(after_exact=True)
    assert before / 2 < holder.size_bytes < before * 2


@pytest.mark.parametrize("memory_bytes", [300, 600, 1500, 1 << 24])
@pytest.mark.parametrize(
    ("aggregate", "value", "wanted"),
    [
        (mr.Sum(), np.uint8(200), 20_000),
        (mr.Sum(), np.int64(2**62), 100 * 2**62),
        (mr.Sum(), np.float32(0.1), reduce(add, [float(np.float32(0.1))] * 100)),
        (mr.Sum(), np.float64(0.1), reduce(add, [0.1] * 100)),
        (mr.Mean(), np.int8(100), (10_000, 100)),
        (mr.Max(), np.float32(0.1), float(np.float32(0.1))),
    ],
    ids=repr,
)
def test_numpy_scalars_count_as_pythons_numbers(tmp_path, aggregate, value, wanted, memory_bytes):
    pairs = [(key, value) for _ in range(100) for key in "ab"]
    got, _ = collected(job_of(aggregate), pairs, tmp_path, memory_bytes)
    assert same(got, [("a", [wanted]), ("b", [wanted])])


class SummedByHand(mr.Job):
    def combine(self, key, values):
        yield key, sum(values)


@pytest.mark.parametrize("memory_bytes", [300, 1500, 1 << 24])
def test_numpy_scalars_are_pythons_numbers_to_a_combiner_by_hand(tmp_path, memory_bytes):
    got, _ = collected(SummedByHand(), [("a", np.uint8(200))] * 100, tmp_path, memory_bytes)
    assert same(got, [("a", [20_000])])


def test_arrays_are_added_from_left_to_right(tmp_path):
    rows = np.random.default_rng(1).normal(size=(60, 3))
    pairs = [("ab"[n % 2], row) for n, row in enumerate(rows)]
    for memory_bytes in (500, 1 << 24):
        got, _ = collected(job_of(mr.Sum()), pairs, tmp_path, memory_bytes)
        assert same(got, [("a", [reduce(add, rows[::2])]), ("b", [reduce(add, rows[1::2])])])


class Kept(mr.Job):
    """No combiner: all values, in order."""


class ByHand(mr.Job):
    def combine(self, key, values):
        values = list(values)
        yield key, values[0] if len(values) == 1 else [each for one in values for each in one]


@pytest.mark.parametrize("fan_in", [2, 3, 4])
@pytest.mark.parametrize("job_class", [Kept, ByHand])
def test_values_keep_their_order_through_many_passes(tmp_path, monkeypatch, fan_in, job_class):
    monkeypatch.setattr(collector_module, "fan_in_for", lambda *_: fan_in)
    chance = np.random.default_rng(fan_in)
    pairs = [(int(key), [n]) for n, key in enumerate(chance.integers(0, 9, 120))]
    wanted = by_key(pairs)
    got, spilled = collected(job_class(), pairs, tmp_path, 1000)
    assert spilled > 4 * fan_in
    if job_class is ByHand:
        got = [(key, [[each] for one in values for each in one]) for key, values in got]
    assert got == wanted


@pytest.mark.parametrize("fan_in", [2, 3, 4])
@pytest.mark.parametrize("aggregate", [*FOLDS, None], ids=repr)
@pytest.mark.parametrize("kind", ["ints", "floats"])
def test_columns_are_folded_through_many_passes(tmp_path, monkeypatch, fan_in, aggregate, kind):
    monkeypatch.setattr(column_collector_module, "fan_in_for", lambda *_: fan_in)
    chance = np.random.default_rng(fan_in)
    columns = []
    for _ in range(25):
        values = chance.integers(-9, 9, 8) if kind == "ints" else chance.normal(size=8) * 1e9
        columns.append(mr.Pairs(chance.integers(0, 5, 8), values))
    pairs = [pair for each in columns for pair in each]
    job = Kept() if aggregate is None else job_of(aggregate)
    got, spilled = collected(job, columns, tmp_path, 500, ColumnCollector)
    assert spilled > 4 * fan_in
    wanted = by_key(pairs)
    if aggregate is not None:
        wanted = [(key, states(aggregate, values)) for key, values in wanted]
    assert same(got, wanted)


@pytest.mark.parametrize("memory_bytes", [200, 2000, 1 << 20])
def test_columns_of_ints_that_follow_floats_are_added_one_by_one(tmp_path, memory_bytes):
    columns = [mr.Pairs(["a"] * 2, np.array([0.5, 0.25]))]
    columns += [mr.Pairs(["a"] * 3, np.array([BIG, 1, 1]))] * 20
    got, _ = collected(job_of(mr.Sum()), columns, tmp_path, memory_bytes, ColumnCollector)
    values = [value for each in columns for _, value in each]
    assert same(got, [("a", states(mr.Sum(), values))])


@pytest.mark.parametrize("collector_class", [Collector, ColumnCollector])
def test_passes_write_no_more_than_each_pair_once_a_pass(tmp_path, monkeypatch, collector_class):
    """With next to no memory every few pairs are a spill; the passes are still logarithmic."""
    module = collector_module if collector_class is Collector else column_collector_module
    written = []

    def counting(path, partitions, blocks):
        index = write_map_output(path, partitions, blocks)
        written.append(index.records)
        return index

    monkeypatch.setattr(module, "write_map_output", counting)
    pairs = [(n % 7, n) for n in range(400)]
    given = pairs
    if collector_class is ColumnCollector:
        given = [mr.Pairs(np.arange(400) % 7, np.arange(400))]
    got, spilled = collected(Kept(), given, tmp_path, 1, collector_class)
    assert got == by_key(pairs)
    assert spilled > 300
    passes = math.ceil(math.log(spilled, FAN_IN_MIN))
    assert sum(written) <= len(pairs) * passes
    assert len(written) <= 2 * spilled


LARGE = 100_000


def with_large(key_every=0, value_every=0, wrap=lambda value: value):
    """Small pairs, of which every so manyth has a large key or a large value, none at an end."""
    for n in range(2_000):
        key = "k" * LARGE if key_every and n % key_every == 7 else f"key-{n % 9}"
        yield key, wrap("v" * LARGE if value_every and n % value_every == 7 else f"{n:04}")


@pytest.mark.parametrize(
    ("aggregate", "wrap"),
    [(None, str), (None, lambda value: (1, value)), (mr.Max(), str), (mr.TopK(2), str)],
)
@pytest.mark.parametrize(("key_every", "value_every"), [(40, 0), (50, 60)])
def test_a_few_large_records_among_small_ones(tmp_path, aggregate, wrap, key_every, value_every):
    """They are spilled before there are many, and do not meet in a block."""
    job = mr.Job() if aggregate is None else job_of(aggregate)
    pairs = list(with_large(key_every, value_every, wrap))
    wanted = by_key(pairs)
    if aggregate is not None:
        wanted = [(key, states(aggregate, values)) for key, values in wanted]
    block_bytes = []
    collector = Collector(job, 1, 1 << 20, tmp_path, position())
    with contextlib.closing(collector):
        collector.add(iter(pairs))
        spilled = len(list(tmp_path.glob("spill-*")))
        found = []
        for _, block in collector.blocks():
            block_bytes.append(len(block))
            found += pairs_of(read_segment_bytes(block))
    if aggregate is None:
        assert by_key(found) == wanted
        assert spilled >= (2_000 // value_every * LARGE >> 20 if value_every else 0)
    else:
        merged = [(key, states(aggregate, values)) for key, values in by_key(found)]
        assert merged == wanted
    assert max(block_bytes) < 2 * LARGE + (1 << 16)


@pytest.mark.parametrize("aggregate", [None, mr.Sum(), mr.Max()])
def test_a_large_record_ends_what_is_taken_at_once(aggregate):
    large = (
        held(aggregate) if aggregate else held_for(mr.Job(), KeyGate("map"), position(), first=True)
    )
    pairs = iter([("a", "small"), ("b" * LARGE, "small"), ("c", "v" * LARGE), ("d", "small")])
    assert large.take(pairs, 4)[0] == "b" * LARGE
    assert LARGE < large.size_bytes < 1.1 * LARGE
    assert large.take(pairs, 4)[0] == "c"
    assert 2 * LARGE < large.size_bytes < 2.1 * LARGE
    assert LARGE < large.largest_bytes < 1.1 * LARGE
    assert large.take(pairs, 4) == ("d", "small")
    assert 2 * LARGE < large.size_bytes < 2.1 * LARGE
