"""Secondary sort through whole tasks, against sorted()."""

import random
from collections import Counter

import pytest

import minimr as mr
from minimr.errors import BadRecord
from minimr.shuffle.hot_keys import HotKeys
from minimr.shuffle.secondary_sort import check_key, one_call_each
from minimr.tasks.failure import TaskFailed
from tests.tasks.running import run_job

WAYS = {
    "in memory": {},
    "streamed": {"in_memory": False},
    "spilled": {"in_memory": False, "memory_bytes": 20_000, "inline_bytes": 0},
}


class InOrder(mr.Job):
    """Lines are "group order value"; reduce tells what it saw, in the order in which it came."""

    secondary_sort = True

    def map(self, _offset, line):
        group, order, value = line.split()
        yield (group, int(order)), value

    def reduce(self, group, pairs):
        yield group, list(pairs)


class InOrderByColumns(InOrder):
    def map_block(self, block):
        rows = [line.split() for _, line in block.lines()]
        keys = [(group, int(order)) for group, order, _ in rows]
        return mr.Pairs(keys, mr.ByteStrings.of([value for *_, value in rows]))


def rows_of(seed, tasks=3, rows=700):
    chance = random.Random(seed)
    return [
        [(f"g{chance.randrange(20)}", chance.randrange(-30, 30), f"v{n}") for n in range(rows)]
        for _ in range(tasks)
    ]


def texts_of(tasks):
    return ["".join(f"{group} {order} {value}\n" for group, order, value in rows) for rows in tasks]


def oracle(tasks):
    """Each group's (order, value); equal orders stay in the order of the tasks."""
    groups = {}
    for rows in tasks:
        for group, order, value in rows:
            groups.setdefault(group, []).append((order, value))
    return {group: sorted(pairs, key=lambda pair: pair[0]) for group, pairs in groups.items()}


@pytest.mark.parametrize("job", [InOrder, InOrderByColumns])
@pytest.mark.parametrize("way", WAYS)
def test_values_come_in_the_order_of_the_second_field(tmp_path, job, way):
    tasks = rows_of(seed=1)
    parts = run_job(job, texts_of(tasks), tmp_path / "run", partitions=3, **WAYS[way])
    assert [[group for group, _ in part] for part in parts] == [sorted(dict(p)) for p in parts]
    assert dict(pair for part in parts for pair in part) == oracle(tasks)
    assert len([part for part in parts if part]) == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_combiner_gets_the_values_of_a_whole_key(tmp_path, way):
    class Counts(InOrder):
        combine = mr.Count()

        def reduce(self, group, pairs):
            totals = Counter()
            for order, count in pairs:
                totals[order] += count
            yield group, sorted(totals.items())

    tasks = rows_of(seed=2)
    parts = run_job(Counts, texts_of(tasks), tmp_path / "run", **WAYS[way])
    expected = {
        group: sorted(Counter(order for order, _ in pairs).items())
        for group, pairs in oracle(tasks).items()
    }
    assert dict(pair for part in parts for pair in part) == expected


def test_without_a_reduce_the_group_is_the_key(tmp_path):
    class Sorted(InOrderByColumns):
        reduce = mr.Job.reduce

    lines = [[("b", 2, "x"), ("a", 9, "y"), ("a", 1, "z"), ("b", 2, "w")]]
    (part,) = run_job(Sorted, texts_of(lines), tmp_path / "run", partitions=1)
    assert part == [("a", (1, "z")), ("a", (9, "y")), ("b", (2, "x")), ("b", (2, "w"))]


def test_a_reducer_may_leave_pairs_unread(tmp_path):
    class First(InOrder):
        def reduce(self, group, pairs):
            yield group, next(pairs)

    tasks = rows_of(seed=3)
    parts = run_job(First, texts_of(tasks), tmp_path / "run", in_memory=False)
    expected = {group: pairs[0] for group, pairs in oracle(tasks).items()}
    assert dict(pair for part in parts for pair in part) == expected


def test_groups_are_read_as_they_come():
    read = []

    def sorted_groups():
        for order in range(10**9):
            read.append(order)
            yield ("a", order), iter([order])

    group, pairs = next(one_call_each(sorted_groups()))
    assert (group, next(pairs), next(pairs)) == ("a", (0, 0), (1, 1))
    assert len(read) == 2


@pytest.mark.parametrize("job", [InOrder, InOrderByColumns])
def test_the_jobs_own_partition_and_ranges_see_the_group(tmp_path, job):
    class ByLetter(job):
        def partition(self, key, partitions):
            return int(key[1:]) % partitions

    tasks = rows_of(seed=4, rows=200)
    parts = run_job(ByLetter, texts_of(tasks), tmp_path / "own", partitions=2)
    assert all(int(group[1:]) % 2 == r for r, part in enumerate(parts) for group, _ in part)
    parts = run_job(job, texts_of(tasks), tmp_path / "ranges", partitions=2, boundaries=["g15"])
    assert [pair for part in parts for pair in part] == sorted(oracle(tasks).items())
    assert [min(part)[0] >= "g15" for part in parts] == [False, True]


def test_total_order_and_secondary_sort_go_together(tmp_path):
    class Ranges(InOrder):
        total_order = True

    tasks = rows_of(seed=5)
    paths = []
    for number, text in enumerate(texts_of(tasks)):
        paths.append(str(tmp_path / f"{number}"))
        (tmp_path / f"{number}").write_text(text)
    result = mr.run(Ranges, paths, runner="serial", reducers=4)
    assert list(result) == sorted(oracle(tasks).items())
    assert sum(part.records > 0 for part in result.parts) == 4


@pytest.mark.parametrize("job", [InOrder, InOrderByColumns])
def test_it_is_groups_that_are_hot(tmp_path, job):
    lines = [[(f"g{n % 100}" if n % 4 else "hot", n, "v") for n in range(8_000)]]
    (tmp_path / "input").write_text(texts_of(lines)[0])
    log = []
    mr.run(job, [str(tmp_path / "input")], runner="serial", on_event=log.append)
    (hot,) = [each["hot"] for each in log if "hot" in each]
    hot = [each for done in log for each in done.get("hot", ())]
    assert {each["key"] for each in hot} == {"'hot'"}
    assert 1_000 <= sum(each["pairs"] for each in hot) <= 2_000


@pytest.mark.parametrize("key", ["a", ("a",), ("a", 1, 2), ["a", 1]])
def test_a_key_that_is_no_pair_is_an_error_at_its_record(tmp_path, key):
    class Bad(mr.Job):
        secondary_sort = True

        def map(self, _offset, _line):
            yield key, 1

    with pytest.raises(TaskFailed) as raised:
        run_job(Bad, ["x\n"], tmp_path / "run")
    expected = "is of type list" if type(key) is list else "a key is a pair (group, order)"
    assert expected in raised.value.failure.text
    assert "0.txt" in raised.value.failure.text


def test_a_key_that_is_no_pair_can_be_skipped(tmp_path):
    class FirstBad(InOrder):
        def map(self, offset, line):
            if offset == 0:
                yield line, 1
            else:
                yield from super().map(offset, line)

    (tmp_path / "input").write_text("bad\na 2 x\na 1 y\n")
    paths = [str(tmp_path / "input")]
    result = mr.run(FirstBad, paths, runner="serial", reducers=1, skip_bad_records=1)
    assert list(result) == [("a", [(1, "y"), (2, "x")])]
    assert "a key is a pair" in result.skipped[0]["error"]


def test_a_pair_passes():
    check_key(("a", ("b", 2)), "map")
    with pytest.raises(BadRecord, match="map_block yielded the key 7"):
        check_key(7, "map_block")


def test_a_reducer_that_cannot_read_pairs_is_refused():
    class Sums(mr.Job):
        secondary_sort = True
        reduce = mr.Sum()

    class Blocks(mr.Job):
        secondary_sort = True

        def reduce_block(self, groups):
            return mr.Pairs(groups.keys, groups.keys)

    with pytest.raises(mr.UsageError, match=r"Sums: with secondary_sort reduce gets pairs .*Sum"):
        Sums()
    with pytest.raises(mr.UsageError, match="leave reduce_block out"):
        Blocks()


def test_small_groups_that_are_neighbours_count_as_one():
    hot = HotKeys(by_group=True)
    groups = [(("a", n), [0, 0]) for n in range(1_000)] + [(("b", 0), [0])]
    assert list(hot.counting(groups)) == groups
    assert hot.found() == [{"key": "'a'", "pairs": 2_000}]
