"""Column form, record form and an oracle in plain Python give the same bytes."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks import reduce_task
from minimr.tasks.failure import TaskFailed
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import ReduceTask
from tests.shuffle.values import same

from .column_jobs import by_columns, by_records, expected, map_all, run_both


@pytest.fixture(scope="module", autouse=True)
def few_pairs_go_by_columns_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce_task, "COLUMNS_PAIRS_MIN", 0)
        yield


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example is a few whole jobs; making a failing one smaller would take minutes."""

KEYS = {
    "int": st.integers(-3, 3).map(lambda n: n * 10**12) | st.sampled_from([2**63 - 1, -(2**63)]),
    "float": st.sampled_from([0.0, -0.0, 1.5, -2.25, float("inf"), 1e-300]),
    "bool": st.booleans(),
    "bytes": st.sampled_from([b"", b"a", b"a\0", b"ab", b"abcdefgh", b"abcdefgh\0", b"\xff" * 30]),
    "str": st.sampled_from(["", "a", "é", "\ud800", "\ue000", "a" * 9, "a" * 100, "a" * 99 + "b"]),
    "huge": st.sampled_from([1, 2**63, -(2**70), 5]),
    "tuple": st.tuples(st.integers(0, 1), st.sampled_from(["x", "y"])),
    "None": st.none(),
}
NUMBERS = st.floats() | st.sampled_from([0.1, 1e16, -1e16, 0.0, -0.0])
VALUES = {
    "int": st.integers(-5, 5) | st.sampled_from([2**62, 2**63 - 1, -(2**63)]),
    "float": NUMBERS,
    "bool": st.booleans(),
    "vector": st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=2),
    "str": st.sampled_from(["", "b", "ß"]),
    "mixed": st.one_of(st.integers(), st.floats(allow_nan=False)),
}
AGGREGATES = [mr.Sum(), mr.Count(), mr.Min(), mr.Max(), mr.Mean(), mr.TopK(2), None]
VALUE_KINDS = {
    mr.Sum(): ["int", "float", "bool", "vector", "str", "mixed"],
    mr.Count(): list(VALUES),
    mr.Min(): ["int", "float", "bool", "str", "mixed"],
    mr.Max(): ["int", "float", "bool", "str", "mixed"],
    mr.Mean(): ["int", "float", "bool", "vector", "mixed"],
    mr.TopK(2): ["int", "float", "bool", "str", "mixed"],
    None: list(VALUES),
}


def column(kind, cells):
    """The typed column of these cells, or a list if there is none."""
    if kind in ("int", "float", "bool"):
        return np.array(cells, {"int": np.int64, "float": np.float64, "bool": np.bool_}[kind])
    if kind == "vector":
        return np.array(cells, np.float64).reshape(len(cells), 2)
    return mr.ByteStrings.of(cells) if kind in ("str", "bytes") else cells


@st.composite
def tasks(draw, value_kinds):
    """What some map tasks emit; now and then a typed column comes as a list instead."""
    key_kind = draw(st.sampled_from(sorted(KEYS)))
    value_kind = draw(st.sampled_from(value_kinds))

    def block():
        size = draw(st.integers(0, 30))
        keys = draw(st.lists(KEYS[key_kind], min_size=size, max_size=size))
        values = draw(st.lists(VALUES[value_kind], min_size=size, max_size=size))
        as_list = draw(st.booleans()) and value_kind != "vector"
        return (
            keys if as_list else column(key_kind, keys),
            values if as_list else column(value_kind, values),
        )

    return [
        [block() for _ in range(draw(st.integers(0, 3)))] for _ in range(draw(st.integers(1, 3)))
    ]


def job_of(aggregate, combined):
    if aggregate is None:
        return mr.Job

    class Aggregating(mr.Job):
        combine = aggregate if combined else None
        reduce = aggregate

    return Aggregating


def check(base, data, folder, **fields):
    wanted = expected(base, data)
    got = run_both(by_columns(base, data), data, folder, **fields)
    assert same(got, wanted), (got, wanted)


@pytest.mark.parametrize("combined", [True, False], ids=["combined", "reduced"])
@pytest.mark.parametrize("aggregate", AGGREGATES, ids=repr)
@settings(max_examples=15, deadline=None, phases=PHASES)
@given(draw=st.data())
def test_columns_give_what_plain_python_gives(tmp_path_factory, aggregate, combined, draw):
    data = draw.draw(tasks(VALUE_KINDS[aggregate]))
    folder = tmp_path_factory.getbasetemp()
    base = job_of(aggregate, combined)
    memory_bytes = draw.draw(st.sampled_from([200, 1000, 5000, 1 << 20]))
    check(base, data, folder, memory_bytes=memory_bytes, in_memory=draw.draw(st.booleans()))


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=repr)
@settings(max_examples=8, deadline=None, phases=PHASES)
@given(draw=st.data())
def test_columns_and_records_give_the_same(tmp_path_factory, aggregate, draw):
    data = draw.draw(tasks(VALUE_KINDS[aggregate]))
    folder = tmp_path_factory.getbasetemp()
    base = job_of(aggregate, True)
    records = run_both(by_records(base, data), data, folder)
    columns = run_both(by_columns(base, data), data, folder, memory_bytes=1000, in_memory=False)
    assert same(columns, records)


class Totals(mr.Job):
    def reduce_block(self, groups):
        sums = np.add.reduceat(groups.values, groups.starts)
        return mr.Pairs(
            groups.keys, np.stack([sums, np.diff(groups.starts, append=len(groups.values))], 1)
        )


def spread(tasks, size, keys, seed=1):
    """Tasks that emit `size` pairs each, of int keys and int values."""
    chance = np.random.default_rng(seed)
    return [
        [(chance.integers(0, keys, size), chance.integers(-9, 9, size)) for _ in range(3)]
        for _ in range(tasks)
    ]


def totals_of(data):
    found = {}
    for task in data:
        for keys, values in task:
            for key, value in zip(keys.tolist(), values.tolist(), strict=True):
                total, count = found.get(key, (0, 0))
                found[key] = (total + value, count + 1)
    return found


@pytest.mark.parametrize("form", [by_columns, by_records])
@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("keys", [7, 5000])
def test_reduce_block_gets_whole_groups(tmp_path, form, in_memory, keys):
    data = spread(5, 2000, keys)
    parts = run_both(form(Totals, data), data, tmp_path, in_memory, memory_bytes=200_000)
    for part in parts:
        assert [key for key, _ in part] == sorted(key for key, _ in part)
    got = {key: tuple(row.tolist()) for part in parts for key, row in part}
    assert got == totals_of(data)


class TotalsEitherWay(Totals):
    def reduce(self, key, values):
        values = list(values)
        yield key, np.array([sum(values), len(values)])


def test_a_group_that_outgrows_the_memory_goes_to_reduce(tmp_path):
    data = spread(3, 4000, 2)
    job = by_columns(TotalsEitherWay, data)
    parts = run_both(job, data, tmp_path, in_memory=False, memory_bytes=10_000)
    got = {key: tuple(row.tolist()) for part in parts for key, row in part}
    assert got == totals_of(data)


def test_without_a_reduce_such_a_group_is_an_error_that_names_it(tmp_path):
    data = spread(3, 4000, 1)
    with pytest.raises(TaskFailed, match="The values of the key 0 take more than"):
        run_both(by_columns(Totals, data), data, tmp_path, in_memory=False, memory_bytes=10_000)


def test_values_of_a_group_stand_in_the_order_of_maps_then_of_emission(tmp_path):
    class Seen(mr.Job):
        def reduce_block(self, groups):
            return mr.Pairs(list(groups.keys.tolist()), [values for _, values in groups])

    data = [
        [(np.array([3, 3, 1]), np.array([10 * task + n, 10 * task + n + 1, -1])) for n in (0, 2)]
        for task in range(3)
    ]
    for in_memory in (True, False):
        parts = run_both(by_columns(Seen, data), data, tmp_path, in_memory, memory_bytes=200)
        assert dict(pair for part in parts for pair in part)[3] == [
            10 * task + n for task in range(3) for n in range(4)
        ]


def test_many_spills_are_merged_in_several_passes(tmp_path):
    data = spread(2, 600, 200)
    base = job_of(mr.Sum(), True)
    wanted = expected(base, data)
    assert run_both(by_columns(base, data), data, tmp_path, memory_bytes=300) == wanted


def test_many_segments_are_merged_in_several_passes(tmp_path):
    data = spread(40, 20, 15)
    wanted = expected(mr.Job, data)
    job = by_columns(mr.Job, data)
    assert run_both(job, data, tmp_path, in_memory=False, memory_bytes=1000) == wanted


def shortened(pairs):
    pairs.values = pairs.values[:1]
    return pairs


class Misbehaving(mr.Job):
    first: str
    second: str

    def map_block(self, block):
        things = {
            "pairs": lambda: mr.Pairs([1], [2]),
            "pair": lambda: (1, 2),
            "text": lambda: mr.Pairs(["a"], [2]),
            "uneven": lambda: mr.Pairs(np.arange(2), np.arange(3)),
            "changed": lambda: shortened(mr.Pairs([1, 2], [3, 4])),
            "nan": lambda: mr.Pairs(np.array([1.0, np.nan]), np.arange(2)),
            "scalar": lambda: mr.Pairs(3, 4),
            "set": lambda: mr.Pairs([1], [{2}]),
            "complex": lambda: mr.Pairs([1], np.array([1j])),
        }
        yield things[self.first]()
        yield things[self.second]()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("pairs", "pair", r"map_block yielded \(1, 2\) after Pairs; a job yields either"),
        ("pair", "pairs", r"yielded Pairs\(1\) after single pairs; a job yields either"),
        ("pairs", "text", r"the key 'a' \(str\) after keys of the kind int"),
        ("pairs", "uneven", "equal lengths, not 2 keys and 3 values"),
        ("pairs", "changed", "2 keys and 1 values; their columns must not be changed"),
        ("nan", "pairs", "A key is NaN"),
        ("pairs", "scalar", "must be a column, not 3"),
        ("set", "pairs", "The value of the key 1 cannot travel"),
        ("complex", "pairs", "of the dtype complex128"),
    ],
)
def test_bad_columns_are_errors_that_say_what_is_wrong(tmp_path, first, second, message):
    options = {"first": first, "second": second}
    with pytest.raises(TaskFailed, match=message) as caught:
        map_all(Misbehaving, [[]], tmp_path, options=options)
    assert "0.txt:0" in caught.value.failure.text or "cannot travel" in message


def test_a_reducers_columns_must_agree_too():
    class Uneven(mr.Job):
        def reduce_block(self, groups):
            return shortened(mr.Pairs([1, 2], [3, 4]))

    segment = read_segment_bytes(encode_pairs([1], [2]))
    with pytest.raises(TaskFailed, match="2 keys and 1 values"):
        run_reduce(Uneven(), ReduceTask(0), [segment], in_memory=True)


def test_a_block_that_fails_is_skipped_line_by_line(tmp_path):
    class Fragile(mr.Job):
        def map(self, offset, line):
            if line == "x":
                raise ValueError("an x")
            yield line, 1

        def map_block(self, block):
            yield mr.Pairs([1 // 0], [1])

    results = map_all(Fragile, [[]], tmp_path, skip_max=1)
    assert [each["error"] for each in results[0].skipped] == ["ValueError: an x"]


def test_pairs_go_one_by_one_where_records_may_be_skipped(tmp_path):
    data = spread(2, 50, 9)
    base = job_of(mr.Sum(), True)
    wanted = expected(base, data)
    assert run_both(by_columns(base, data), data, tmp_path, skip_max=1) == wanted


def test_a_job_of_its_own_partitions_and_combiner(tmp_path):
    class Own(mr.Job):
        def partition(self, key, partitions):
            return key % partitions

        def combine(self, key, values):
            yield key, sum(values)

        def reduce(self, key, values):
            yield key, sum(values)

    data = spread(3, 300, 40)
    parts = run_both(by_columns(Own, data), data, tmp_path, memory_bytes=5000)
    assert [{key % 2 for key, _ in part} for part in parts] == [{0}, {1}]
    assert dict(parts[0] + parts[1]) == {key: total for key, (total, _) in totals_of(data).items()}


def test_the_bits_of_a_float_sum_do_not_depend_on_the_memory(tmp_path):
    chance = np.random.default_rng(5)
    data = [[(chance.zipf(1.3, 4000) % 500, chance.normal(size=4000))] for _ in range(2)]
    base = job_of(mr.Sum(), True)
    wanted = expected(base, data)
    for memory_bytes in (2000, 60_000, 1 << 24):
        assert same(
            run_both(by_columns(base, data), data, tmp_path, memory_bytes=memory_bytes), wanted
        )
