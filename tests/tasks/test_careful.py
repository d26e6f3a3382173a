"""Careful mode and ticks: what a task tells a watcher, and when."""

import pytest

import minimr as mr
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks import watcher
from minimr.tasks.failure import TaskFailed
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import ReduceTask
from minimr.tasks.watcher import Pace

from .running import emitted, map_once, pairs_of, text_input


class Recorder:
    """A watcher; user code in the same process may look at it, too."""

    def __init__(self):
        self.position = None
        self.published = 0
        self.ticks = 0

    def tick(self):
        self.ticks += 1

    def at(self, position, sentence=""):
        self.published += 1
        self.position = position


@pytest.fixture
def recorder(monkeypatch):
    """The watcher of the jobs below."""
    made = Recorder()
    monkeypatch.setattr(Telling, "watcher", made)
    return made


class Telling(mr.Job):
    """Every function yields where the watcher believes it to be."""

    watcher = None

    def map(self, _offset, line):
        yield line, self.watcher.position
        yield line, self.watcher.position

    def combine(self, key, values):
        yield key, [*values, self.watcher.position]

    def reduce(self, key, values):
        yield key, self.watcher.position


class TellingBlocks(mr.Job):
    def map_block(self, block):
        yield block.offset, Telling.watcher.position


def test_user_code_never_runs_before_its_position_is_published(tmp_path, recorder):
    source = text_input(tmp_path, "aa\nb\n")
    result = map_once(Telling, source, tmp_path, partitions=1, careful=True, watcher=recorder)
    path = source["path"]
    assert emitted(result) == [
        [
            ("aa", [f"{path}:0", f"{path}:0", "combine of key 'aa'"]),
            ("b", [f"{path}:3", f"{path}:3", "combine of key 'b'"]),
        ]
    ]


@pytest.mark.parametrize("memory_bytes", [1, 3000])
def test_after_a_combiner_or_a_spill_the_record_is_published_again(
    tmp_path, recorder, memory_bytes
):
    class Late(Telling):
        def map(self, offset, line):
            for number in range(200):
                yield number, 0
                assert self.watcher.position == f"{self.input_path}:{offset}"

        def partition(self, key, partitions):
            assert self.watcher.position == f"partition of key {key}"

        combine = reduce = mr.Sum()

    source = text_input(tmp_path, "a\nb\nc\n")
    fields = {"memory_bytes": memory_bytes, "careful": True, "watcher": recorder}
    assert map_once(Late, source, tmp_path, **fields).records_in == 3


def test_a_block_is_published_with_its_length(tmp_path, recorder):
    source = text_input(tmp_path, "aa\nb\n")
    result = map_once(TellingBlocks, source, tmp_path, partitions=1, careful=True, watcher=recorder)
    assert emitted(result) == [[(0, f"{source['path']}:0+5")]]


def test_between_records_the_task_is_nowhere(tmp_path, recorder):
    source = text_input(tmp_path, "aa\nb\n")
    seen = []
    recorder.at = lambda position, sentence: seen.append((position, sentence))
    map_once(Silent, source, tmp_path, careful=True, watcher=recorder)
    path = source["path"]
    at_first = f"in map task 0 at {path}:0, on the record 'aa'"
    at_second = f"in map task 0 at {path}:3, on the record 'b'"
    nowhere = (None, "")
    assert seen[:4] == [(f"{path}:0", at_first), nowhere, (f"{path}:3", at_second), nowhere]


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_reducer_is_at_its_key(recorder, in_memory):
    task = ReduceTask(3, careful=True)
    source = [iter([(["a", "b"], [1, 2])])]
    result = run_reduce(Telling(), task, source, in_memory, recorder)
    assert pairs_of(read_segment_bytes(result.pairs)) == [
        ("a", "reduce-3:key 'a'"),
        ("b", "reduce-3:key 'b'"),
    ]


def test_skipping_and_care_go_together(tmp_path, recorder):
    class Fussy(Telling):
        def map(self, _offset, line):
            if line == "bad":
                raise ValueError(self.watcher.position)
            yield line, self.watcher.position

        combine = None

    source = text_input(tmp_path, "a\nbad\nc\n")
    fields = {"partitions": 1, "careful": True, "watcher": recorder, "skip_max": 1}
    result = map_once(Fussy, source, tmp_path, **fields)
    assert emitted(result) == [[("a", f"{source['path']}:0"), ("c", f"{source['path']}:6")]]
    assert result.skipped[0]["error"] == f"ValueError: {source['path']}:2"


def test_a_block_taken_apart_is_published_line_by_line(tmp_path, recorder):
    class Apart(Telling):
        combine = None

        def map_block(self, block):
            raise ValueError

    source = text_input(tmp_path, "a\nb\n")
    fields = {"partitions": 1, "careful": True, "watcher": recorder, "skip_max": 1}
    result = map_once(Apart, source, tmp_path, **fields)
    assert emitted(result)[0][-1] == ("b", f"{source['path']}:2")


def test_an_attempt_that_is_not_careful_publishes_nothing(tmp_path, recorder):
    map_once(Telling, text_input(tmp_path, "aa\n"), tmp_path, watcher=recorder)
    run_reduce(Telling(), ReduceTask(0), [iter([(["a"], [1])])], True, recorder)
    assert recorder.published == 0
    assert recorder.ticks > 0


def test_a_careful_attempt_fails_like_any_other(tmp_path):
    class Bad(mr.Job):
        def map(self, _offset, line):
            yield line, 1 / len(line)

    source = text_input(tmp_path, "a\n\n")
    texts = set()
    for index, careful in enumerate([False, True]):
        with pytest.raises(TaskFailed) as caught:
            map_once(Bad, source, tmp_path, index, careful=careful)
        texts.add(caught.value.failure.text.replace(f"map task {index}", "map task"))
    assert len(texts) == 1


# ---- ticks


def ticks_of(job_class, text, folder):
    recorder = Recorder()
    map_once(job_class, text_input(folder, text), folder, watcher=recorder)
    return recorder.ticks


class Silent(mr.Job):
    def map(self, _offset, _line):
        return ()


def test_a_task_ticks_though_it_yields_nothing(tmp_path):
    assert ticks_of(Silent, "a\n" * 6400, tmp_path) >= 100


def test_a_task_ticks_within_a_record_that_yields_much(tmp_path):
    class Much(mr.Job):
        def map(self, _offset, _line):
            yield from ((number, 0) for number in range(25_600))

    assert ticks_of(Much, "a\n", tmp_path) >= 100


def test_blocks_tick(tmp_path):
    class Blocks(Silent):
        def map_block(self, _block):
            return ()

    assert ticks_of(Blocks, "a\n" * (3 << 20), tmp_path) >= 3


class SilentReduce(mr.Job):
    def reduce(self, key, values):
        return ()


class LongReduce(mr.Job):
    def reduce(self, key, values):
        yield from ((key, 0) for _ in range(6400))


class Total(mr.Job):
    reduce = mr.Sum()


@pytest.mark.parametrize(
    ("job_class", "keys"),
    [(SilentReduce, [list(range(6400))]), (LongReduce, [[1]]), (Total, [[1]] * 100)],
)
def test_a_reduce_task_ticks_by_group_by_pair_and_by_block(tmp_path, job_class, keys):
    output = {"kind": "files", "directory": str(tmp_path), "format": "text"}
    recorder = Recorder()
    source = [iter([(each, [1] * len(each)) for each in keys])]
    run_reduce(job_class(), ReduceTask(0, output), source, False, recorder)
    assert recorder.ticks >= 100


def paced(monkeypatch, seconds_each, items):
    """At which counts a loop over so many items ticks."""
    now = 0.0
    monkeypatch.setattr(watcher, "perf_counter", lambda: now)
    pace, due, ticked = Pace(Recorder()), 1, []
    for count in range(1, items + 1):
        now += seconds_each(count)
        if count == due:
            ticked.append(count)
            due = pace.next(count)
    return ticked


def test_slow_items_tick_each(monkeypatch):
    assert paced(monkeypatch, lambda count: 0.01, 5) == [1, 2, 3, 4, 5]


def test_fast_items_tick_ever_more_rarely_up_to_a_bound(monkeypatch):
    ticked = paced(monkeypatch, lambda count: 1e-5, 300)
    assert ticked == [1, 3, 7, 15, 31, 63, 127, 191, 255]


def test_the_pace_falls_back_when_items_become_slow(monkeypatch):
    ticked = paced(monkeypatch, lambda count: 1e-6 if count < 200 else 5.0, 260)
    assert ticked[-6:] == [255, 256, 257, 258, 259, 260]
