"""Whatever user code does, the job ends, the reason reaches the user, and the cluster goes on."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest

import minimr as mr
import ml
from minimr.cluster import launcher
from tests.cluster.gated import Misbehaves, Prints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    with mr.Cluster(2) as each:
        yield each


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("one\ntwo\n")
    return path


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("raise", "ValueError: a bad day"),
        ("exit", "called sys.exit(3)"),
        ("really exit", "left with exit status 3"),
        ("crash", "killed by signal 11"),
        ("kill", "killed by signal 9"),
        ("close everything", "the slot"),
    ],
)
def test_a_deed_fails_the_job_with_its_reason(cluster, text, deed, reason):
    with pytest.raises(mr.JobFailed) as caught:
        cluster.run(Misbehaves(deed=deed), [str(text)])
    assert reason in str(caught.value)
    assert "map-" in str(caught.value)
    # The cluster is none the worse for it.
    result = cluster.run(Prints, [str(text)])
    assert sorted(result) == [("one", 1), ("two", 1)]


def test_an_exception_names_the_file_the_offset_and_the_record(cluster, text):
    text.write_text("one\n")
    with pytest.raises(mr.JobFailed) as caught:
        cluster.run(Misbehaves(deed="raise"), [str(text)])
    message = str(caught.value)
    assert f"{text}:0" in message
    assert "'one'" in message
    assert "gated.py" in message, "the user's own frame"
    assert "minimr/tasks" not in message, "and none of ours"


KNOWS_NUMPY = """
import sys
import minimr as mr
from minimr.cluster import launcher

class KnowsNumpy(mr.Job):
    def map(self, key, line):
        yield "numpy", "numpy" in sys.modules
"""


def test_only_slots_that_replace_others_know_numpy_from_birth(text, tmp_path, monkeypatch):
    (tmp_path / "knows_numpy.py").write_text(KNOWS_NUMPY)
    text.write_text("one\n")
    monkeypatch.setattr(launcher, "SHARED_MODULES", {})
    with mr.Cluster(1) as cluster:
        assert list(cluster.run(str(tmp_path / "knows_numpy.py"), [text])) == [("numpy", False)]
        cluster.run(Prints, [text])
        assert list(cluster.run(str(tmp_path / "knows_numpy.py"), [text])) == [("numpy", True)]


def test_all_slots_know_numpy_from_birth_if_their_caller_does(text, tmp_path):
    (tmp_path / "knows_numpy.py").write_text(KNOWS_NUMPY)
    text.write_text("one\n")
    import numpy  # noqa: F401

    with mr.Cluster(1) as cluster:
        assert list(cluster.run(str(tmp_path / "knows_numpy.py"), [text])) == [("numpy", True)]


def test_slots_that_outnumber_the_processors_know_numpy_from_birth(monkeypatch):
    monkeypatch.setattr(launcher.os, "cpu_count", lambda: 4)
    assert launcher._shared_modules(5) == ["numpy"]
    without_numpy(monkeypatch)
    assert launcher._shared_modules(5) == ["numpy"]
    assert launcher._shared_modules(4) == []


def test_slots_of_a_caller_that_works_with_ml_know_numpy_from_birth(monkeypatch):
    monkeypatch.setattr(launcher.os, "cpu_count", lambda: 4)
    without_numpy(monkeypatch)
    monkeypatch.setitem(sys.modules, "ml", ml)
    assert launcher._shared_modules(4) == ["numpy"]


def without_numpy(monkeypatch):
    for name in ("numpy", "ml"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_crash_shows_what_was_printed_before_it(cluster, text):
    with pytest.raises(mr.JobFailed, match="about to crash"):
        cluster.run(Misbehaves(deed="crash"), [str(text)])


def test_prints_reach_the_user_marked_with_their_task(text, capsys):
    with mr.Cluster(2) as cluster:
        cluster.run(Prints, [str(text)])
    shown = capsys.readouterr().err
    assert "[map-0] map sees one" in shown
    assert "[map-0] from a child process" in shown
    assert "[map-0] to stderr" in shown
    assert "sees one" in shown.replace("[map-0] map sees one", "")


def test_a_job_that_prints_for_ever_is_cut_short(cluster, text):
    from minimr.cluster.slot import PRINTED_BYTES_MAX

    printed = []
    cluster._on_event = lambda e: e["event"] == "task_printed" and printed.append(e["text"])
    cluster.run(Chatty, [str(text)])
    assert all(len(each) < PRINTED_BYTES_MAX + 100 for each in printed)
    assert any("more was printed and dropped" in each for each in printed)


class Chatty(mr.Job):
    def map(self, offset, line):
        for _ in range(10_000):
            print("la " * 10)
        yield line, 1


class Silences(mr.Job):
    how: str

    def map(self, offset, line):
        if self.how == "close":
            sys.stdout.close()
        else:
            sys.stdout = sys.stderr = None
        yield line, 1


@pytest.mark.parametrize("how", ["close", "take away"])
def test_a_job_may_do_without_standard_output(text, how):
    text.write_text("one\n")
    with mr.Cluster(1) as cluster:
        assert list(cluster.run(Silences(how=how), [str(text)])) == [("one", 1)]


class Forks(mr.Job):
    """A child that does not leave by os._exit comes back into the slot's own code."""

    how: str

    def map(self, offset, line):
        child = os.fork()
        if child == 0:
            LEAVING[self.how]()
        os.waitpid(child, 0)
        yield line, 1


def _fail():
    raise ValueError("a bad child")


LEAVING = {"exit": sys.exit, "raise": _fail}


@pytest.mark.parametrize("how", LEAVING)
def test_a_forked_child_that_comes_back_neither_speaks_nor_listens(text, how):
    with mr.Cluster(1, progress_timeout_s=3) as cluster:
        for _ in range(2):
            assert sorted(cluster.run(Forks(how=how), [str(text)])) == [("one", 1), ("two", 1)]


class Moving(mr.Job):
    def map(self, offset, line):
        os.chdir("/")
        yield line, 1

    reduce = mr.Sum()


@pytest.mark.parametrize("runner", ["serial", "cluster"])
def test_a_job_that_changes_the_directory_reads_all_of_its_inputs(tmp_path, monkeypatch, runner):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        Path(f"{number}.txt").write_text("a\n")
    result = mr.run(Moving, "*.txt", runner=runner, workers=1)
    assert list(result) == [("a", 3)]


class Says(mr.Job):
    what: str

    def map(self, offset, line):
        if self.what == "a long error":
            raise ValueError(f"begins {'x' * 3_000_000} ends")
        if self.what == "counters of one task":
            self.counters = {f"word {number}": 1 for number in range(100_000)}
        if self.what == "counters together":
            for number in range(600):
                self.count(f"{line} {number}")
        yield line, 1


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("a long error", ["begins xxx", "xxx ends", "characters left out"]),
        ("counters of one task", ["up to 1,000 counters, not 100,000"]),
        ("counters together", ["up to 1,000 counters, not 1,200"]),
    ],
)
@pytest.mark.parametrize("runner", ["cluster", "serial"])
def test_who_says_too_much_is_told_so(cluster, text, what, words, runner):
    run = cluster.run if runner == "cluster" else partial(mr.run, runner="serial")
    with pytest.raises((mr.JobFailed, mr.UsageError)) as caught:
        run(Says(what=what), [str(text)])
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 100_000


class CountsInEachTask(mr.Job):
    names: int

    def map(self, offset, line):
        for number in range(self.names):
            self.count(f"{line} {'x' * 100} {number}")
        yield "lines", 1

    def reduce(self, key, values):
        yield key, sum(values)


@pytest.mark.parametrize(("names", "fits"), [(12, True), (300, False)])
def test_what_all_tasks_of_a_round_count_is_told_or_refused_in_words(
    cluster, tmp_path, names, fits
):
    """All of it together is more than one message holds."""
    (tmp_path / "in.txt").write_text("\n".join(f"line {number}" for number in range(80)))
    data = cluster.load(tmp_path / "in.txt", partitions=40)
    if fits:
        assert data.round(CountsInEachTask(names=names)) == [("lines", 80)]
    else:
        with pytest.raises(mr.JobFailed, match="up to 1,000 counters, not 24,000"):
            data.round(CountsInEachTask(names=names))


class TellsTooMuch(mr.Job):
    def map(self, offset, line):
        for number in range(1000):
            self.count(f"{number:04}" + "\U0001d11e" * 196)
        os.write(1, b"\xff" * 200_000)
        yield line, 1


def test_an_answer_that_cannot_travel_fails_its_task_and_spares_the_slot(cluster, text):
    """Each limit by itself is kept: in UTF-8 a name has four bytes per letter, and what is none
    becomes three for each byte that was printed."""
    with pytest.raises(mr.JobFailed, match=r"has to tell cannot travel: message too large"):
        cluster.run(TellsTooMuch, [str(text)])


class Unpicklable(mr.Job):
    def map(self, offset, line):
        yield line, object()


class Mixed(mr.Job):
    def map(self, offset, line):
        yield (1 if offset else "a"), 1


class NoPair(mr.Job):
    def map(self, offset, line):
        yield line


class NotIterable(mr.Job):
    def map(self, offset, line):
        return 5


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Unpicklable, ["object", "cannot be encoded"]),
        (Mixed, ["int", "str"]),
        (NoPair, ["pair"]),
        (NotIterable, ["map returned 5", "pairs"]),
    ],
)
@pytest.mark.parametrize("runner", ["cluster", "serial"])
def test_what_cannot_travel_is_an_error_that_says_so(cluster, tmp_path, job, words, runner):
    path = tmp_path / "text.txt"
    path.write_text("one two three\nfour five six\nseven\n")
    run = cluster.run if runner == "cluster" else partial(mr.run, runner="serial")
    with pytest.raises(mr.JobFailed) as caught:
        run(job, [str(path)])
    for word in words:
        assert word in str(caught.value)


def test_a_record_that_cannot_be_read_is_tried_twice_and_no_more(cluster, tmp_path):
    path = tmp_path / "data.libsvm"
    path.write_text("1 1:2\n1 0:2\n")
    with pytest.raises(mr.JobFailed, match="twice at the same record") as caught:
        cluster.load(path, "libsvm", partitions=1)
    assert f"{path}, line 2" in str(caught.value)


class CountsHalves(mr.Job):
    def gang(self, blocks, members):
        self.counters["n"] = 0.5
        yield members.rank, len(blocks)


def test_what_a_member_counts_is_looked_at_before_it_is_told(cluster, text):
    """The coordinator takes a worker that tells it for one that breaks the protocol."""
    data = cluster.load(text)
    with pytest.raises(mr.JobFailed, match="'n' is of type float") as caught:
        data.gang(CountsHalves(), members=1)
    assert "CountsHalves failed in member 0 of the gang" in str(caught.value)
