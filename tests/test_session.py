"""What a user calls, on real workers: results, datasets, rounds, logs, refusals."""

import json
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import minimr as mr
from minimr.cluster import messages as m
from minimr.cluster import performer
from minimr.cluster.client import Client, Watched
from minimr.cluster.connection import encode_messages
from minimr.counters import COUNT_MAX, COUNTERS_MAX, NAME_CHARACTERS_MAX
from minimr.formats import committer
from minimr.formats.output import KIND_OF_TYPE, PartInfo
from minimr.jobs.wordcount import WordCount
from minimr.observe.checks import judged
from minimr.observe.log import read_log
from tests.cluster.gated import Gate, wait_at

BOOKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "books"


@pytest.fixture(scope="module")
def cluster():
    with mr.Cluster(2) as each:
        yield each


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The real books where they are at hand, otherwise as much of Python's documentation."""
    if BOOKS.is_dir():
        return sorted(map(str, BOOKS.glob("*.txt")))
    import pydoc_data.topics

    folder = tmp_path_factory.mktemp("texts")
    for number, text in enumerate(pydoc_data.topics.topics.values()):
        with (folder / f"{number % 8}.txt").open("a") as file:
            file.write(text)
    return sorted(map(str, folder.glob("*.txt")))


def digests(output):
    return [sha256(path.read_bytes()).hexdigest() for path in sorted(output.glob("part-*"))]


def test_a_log_that_is_the_input_is_not_replaced(tmp_path):
    """The words of an event log may be counted, too."""
    text = tmp_path / "app.log"
    text.write_text('{"event":"log","version":1}\n')
    with pytest.raises(mr.UsageError, match=r"app\.log cannot be written: it is an input of"):
        mr.run("wordcount", text, tmp_path / "app", runner="serial")
    assert text.read_text() == '{"event":"log","version":1}\n'
    assert [each.name for each in tmp_path.iterdir()] == ["app.log"]


def test_a_log_in_the_place_of_the_output_is_refused(tmp_path):
    """The job ran to its end, and found the output taken by its own log."""
    text = tmp_path / "text.txt"
    text.write_text("a b\n")
    with pytest.raises(mr.UsageError, match=r"out is to be the output and the event log; name"):
        mr.run("wordcount", text, tmp_path / "out", runner="serial", log=tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.slow
def test_data_that_do_not_parse_are_named_in_the_first_line(cluster, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n3,x\n")
    with pytest.raises(mr.JobFailed) as caught:
        cluster.load(rows, "csv", partitions=1)
    assert str(caught.value) == (
        f"load-0 failed twice at the same record: {rows}, line 2: "
        "the cell 'x' of column 1 is not a finite number"
    )


@pytest.mark.slow
def test_the_same_bytes_on_every_runner_and_any_number_of_workers(texts, tmp_path):
    outputs = {
        "serial": {"runner": "serial"},
        "one": {"workers": 1},
        "two": {"workers": 2},
        "four": {"workers": 4},
    }
    for name, settings in outputs.items():
        mr.run("wordcount", texts, tmp_path / name, reducers=10, **settings)
    found = {name: digests(tmp_path / name) for name in outputs}
    assert len(found["serial"]) == 10
    assert all(each == found["serial"] for each in found.values())
    result = mr.run("wordcount", texts, runner="serial", reducers=10)
    oracle = Counter()
    for path in texts:
        oracle.update(Path(path).read_text("utf-8", "surrogateescape").split())
    assert dict(result) == oracle


def test_a_result_without_an_output_keeps_its_types(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("1 2\n2\n")
    result = cluster.run(Typed, [path])
    assert sorted(result) == [((1, "1"), 1.0), ((2, "2"), 2.0)]
    assert result.records == 2
    assert result.output is None


def test_more_parts_than_a_message_can_name_are_found_in_the_manifest(
    cluster, tmp_path, monkeypatch
):
    path = tmp_path / "text.txt"
    path.write_text("1 2\n2\n")
    told = cluster.run(Typed, [path], reducers=4).parts
    monkeypatch.setattr(performer, "PARTS_TOLD_MAX", 3)
    looked_up = []
    read = committer.read_manifest
    monkeypatch.setattr(committer, "read_manifest", lambda at: looked_up.append(at) or read(at))
    result = cluster.run(Typed, [path], reducers=4)
    assert result.parts == told
    assert len(looked_up) == 1
    assert sorted(result) == [((1, "1"), 1.0), ((2, "2"), 2.0)]


def test_the_limits_of_told_parts_and_counters_fit_into_a_message():
    long = "\U0001d11e" * (NAME_CHARACTERS_MAX - 4)
    counters = {f"{number:04}{long}": COUNT_MAX for number in range(COUNTERS_MAX)}
    longest = PartInfo("part-00000", 2**60, 2**60, "0" * 64, ("|".join(KIND_OF_TYPE.values()),) * 2)
    parts = [longest.to_dict()] * performer.PARTS_TOLD_MAX
    encode_messages([m.Ended("job-1", True, False, "", counters, parts, [])])


class Typed(mr.Job):
    def map(self, offset, line):
        self.count("lines")
        for word in line.split():
            yield (int(word), word), 1.0

    combine = reduce = mr.Sum()


def test_counters_come_back(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("1 2\n2\n")
    assert cluster.run(Typed, [path]).counters == {"lines": 2}


def test_the_log_lies_beside_the_output_and_tells_the_story(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b\nc\n")
    cluster.run(WordCount, [path], tmp_path / "out")
    events = list(read_log(tmp_path / "out.log"))
    names = Counter(event["event"] for event in events)
    assert names["attempt_done"] == 4
    assert names["commit_granted"] == 2
    assert (names["job_submitted"], names["job_done"]) == (1, 1)
    assert events[-1]["event"] == "job_done"
    assert all(first["t"] <= second["t"] for first, second in pairwise(events))


@pytest.fixture
def home(tmp_path, monkeypatch):
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def line(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("1 2\n2\n")
    return path


@pytest.mark.parametrize("runner", ["cluster", "serial"])
class TestLogs:
    def test_a_result_names_the_log_beside_the_output(self, runner, line, tmp_path):
        result = mr.run(Typed, [line], tmp_path / "out", runner=runner, workers=1)
        assert result.log == tmp_path / "out.log"
        assert [each["event"] for each in read_log(result.log)][-1] == "job_done"

    def test_a_log_goes_where_it_was_asked_for(self, runner, home, line, tmp_path):
        log = tmp_path / "mine.log"
        result = mr.run(Typed, [line], tmp_path / "out", runner=runner, workers=1, log=log)
        assert result.log == log
        assert log.exists()
        assert not (tmp_path / "out.log").exists()
        assert not (home / ".minimr").exists()

    def test_without_an_output_it_lies_at_the_default_place(self, runner, home, line):
        result = mr.run(Typed, [line], runner=runner, workers=1)
        assert list((home / ".minimr" / "logs").iterdir()) == [result.log]
        assert result.log.name.startswith("Typed-")
        assert [each["event"] for each in read_log(result.log)][-1] == "job_done"

    def test_a_default_place_that_cannot_be_written_is_said(self, runner, home, line, capfd):
        (home / ".minimr").write_text("in the way")
        result = mr.run(Typed, [line], runner=runner, workers=1)
        assert result.records == 2
        assert result.log is None
        (said,) = [each for each in capfd.readouterr().err.splitlines() if "log" in each]
        assert said == "no event log: ~/.minimr/logs cannot be written (File exists)"

    def test_a_place_that_was_asked_for_is_checked_before_any_work(self, runner, line, tmp_path):
        events = []
        with pytest.raises(mr.UsageError, match="cannot be written"):
            mr.run(
                Typed, [line], tmp_path / "out", runner=runner, log=tmp_path / "no" / "run.log",
                on_event=events.append,
            )  # fmt: skip
        assert events == []
        assert sorted(each.name for each in tmp_path.iterdir()) == ["text.txt"]

    def test_a_failed_job_names_its_log(self, runner, home, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text("not a number\n")
        with pytest.raises(mr.JobFailed) as caught:
            mr.run(Typed, [path], runner=runner, workers=1)
        (log,) = (home / ".minimr" / "logs").iterdir()
        assert caught.value.__notes__ == [f"The event log: {log}"]
        assert [each["event"] for each in read_log(log)][-1] == "job_failed"


def test_an_existing_output_is_refused_before_any_work(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a\n")
    cluster.run(WordCount, [path], tmp_path / "out")
    before = (tmp_path / "out" / "_SUCCESS").read_bytes()
    jobs = len(cluster.status()["jobs"])
    with pytest.raises(mr.UsageError, match="already exists"):
        cluster.run(WordCount, [path], tmp_path / "out")
    assert len(cluster.status()["jobs"]) == jobs
    assert (tmp_path / "out" / "_SUCCESS").read_bytes() == before
    cluster.run(WordCount, [path], tmp_path / "out", overwrite=True)


def test_the_manifest_tells_what_the_parts_hold(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a b c a\n")
    cluster.run(WordCount, [path], tmp_path / "out", reducers=2)
    manifest = json.loads((tmp_path / "out" / "_SUCCESS").read_text())
    for part in manifest["parts"]:
        data = (tmp_path / "out" / part["name"]).read_bytes()
        assert part["bytes"] == len(data)
        assert part["records"] == data.count(b"\n")
        assert part["sha256"] == sha256(data).hexdigest()


def test_a_failed_job_leaves_nothing_at_the_output(cluster, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("not a number\n")
    with pytest.raises(mr.JobFailed, match="invalid literal for int"):
        cluster.run(Typed, [path], tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.log", "text.txt"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"reducers": -1}, "from 1 to 100,000 reducers, not -1"),
        ({"reducers": 0}, "from 1 to 100,000 reducers, not 0"),
        ({"reducers": 10**9}, "from 1 to 100,000 reducers, not 1,000,000,000"),
        ({"output_format": "xml"}, "Unknown output format 'xml'"),
        ({"encoding": "klingon"}, "klingon"),
        ({"errors": "explode"}, "explode"),
        ({"options": {"colour": "red"}}, "no option 'colour'"),
        ({"colour": "red"}, r"no setting 'colour'; an option .* options=\{'colour': 'red'\}"),
        ({"output": "missing/out"}, "does not exist"),
    ],
)
def test_what_is_asked_wrongly_is_refused(tmp_path, settings, says):
    path = tmp_path / "text.txt"
    path.write_text("a\n")
    if "output" in settings:
        settings = {"output": tmp_path / settings["output"]}
    with pytest.raises(mr.UsageError, match=says):
        mr.run(WordCount, [path], runner="serial", **settings)


def test_an_unknown_runner(tmp_path):
    with pytest.raises(mr.UsageError, match="there are: cluster, serial"):
        mr.run(WordCount, ["x"], runner="spark")


class Total(mr.Job):
    """Adds up all labels, times the broadcast factor."""

    def map_block(self, block):
        yield "total", float(block["y"].sum()) * self.state

    reduce = mr.Sum()


class Where(mr.Job):
    def map_block(self, block):
        yield self.partition_index, len(block)


class Endless(mr.Job):
    def map_block(self, block):
        while block is not None:
            pass
        yield from ()


class Gated(mr.Job):
    gate: str

    def map_block(self, block):
        wait_at(self.gate)
        yield "rows", len(block)

    reduce = mr.Sum()


class GatedGang(mr.Job):
    gate: str

    def gang(self, blocks, members):
        wait_at(self.gate)
        yield members.rank, sum(len(block) for _, block in blocks)


class Odd(mr.Job):
    """A derived dataset: every other row."""

    def map_block(self, block):
        return block.take(np.arange(len(block)) % 2 == 1)


@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "numbers.libsvm"
    path.write_text("".join(f"{row} 1:{row}\n" for row in range(100)))
    return path


class TestDatasets:
    def test_a_round_broadcasts_its_state(self, cluster, numbers):
        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            assert dataset.round(Total, state=2.0) == [("total", 9900.0)]
            assert dataset.round(Total, state=0.5) == [("total", 2475.0)]

    def test_partitions_are_the_splits_in_order(self, cluster, numbers):
        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            rows = dict(dataset.round(Where))
        assert list(rows) == [0, 1, 2, 3]
        assert sum(rows.values()) == 100

    def test_what_no_message_to_a_reducer_can_carry_fails_in_words(
        self, cluster, numbers, monkeypatch
    ):
        """And ends no worker's connection."""
        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            before = [worker["name"] for worker in cluster.status()["workers"]]
            monkeypatch.setattr(performer, "BLOB_BYTES_MAX", 50)
            with pytest.raises(
                mr.JobFailed, match=r"reduce-0 has to reduce .* that came in messages"
            ):
                dataset.round(Where)
        assert [worker["name"] for worker in cluster.status()["workers"]] == before

    def test_several_reducers(self, cluster, numbers):
        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            assert sorted(dataset.round(Where, reducers=3)) == sorted(dataset.round(Where))

    @pytest.mark.parametrize("reducers", [-1, 2.0, 100_001])
    def test_what_is_no_number_of_reducers_leaves_the_cluster_whole(
        self, cluster, numbers, reducers
    ):
        """The connection broke, and the coordinator was said to be gone."""
        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            with pytest.raises(mr.UsageError, match="reducers"):
                dataset.round(Where, reducers=reducers)
            with pytest.raises(mr.UsageError, match=r"members is a whole number, not 1\.5"):
                dataset.gang(GatedGang(gate="none"), members=1.5)
            assert len(dataset.round(Where, reducers=np.int64(2))) > 0

    def test_an_interrupted_round_is_cancelled(self, cluster, numbers, monkeypatch):
        """At once: before the coordinator, which is in no hurry to tell, has told its name."""
        wait = Watched.wait

        def interrupted(watched, on_events):
            monkeypatch.setattr(Watched, "wait", wait)
            raise KeyboardInterrupt

        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            monkeypatch.setattr(Watched, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                dataset.round(Endless)
            assert sum(dict(dataset.round(Where)).values()) == 100

    @pytest.mark.parametrize("what", [m.Reply, m.Ended])
    def test_an_interrupt_may_strike_when_an_answer_is_taken(
        self, cluster, numbers, monkeypatch, what
    ):
        """Ctrl-C is between two instructions: what was taken and not yet read is lost."""
        take, over, lost = Client._next, [], []

        def taken_and_lost(client, answers):
            assert answers not in over, "this waits for what cannot come: the job's end was taken"
            answer = take(client, answers)
            if isinstance(answer, m.Ended):
                over.append(answers)
            if isinstance(answer, what) and not lost:
                lost.append(answer)
                raise KeyboardInterrupt
            return answer

        with cluster.load(numbers, "libsvm", partitions=4) as dataset:
            monkeypatch.setattr(Client, "_next", taken_and_lost)
            with pytest.raises(KeyboardInterrupt):
                dataset.round(Where)
            assert lost
            assert sum(dict(dataset.round(Where)).values()) == 100

    def test_a_derived_dataset_outlives_the_closing_of_its_parent(self, cluster, numbers):
        parent = cluster.load(numbers, "libsvm", partitions=4)
        before = dict(parent.round(Where))
        child = parent.transform(Odd)
        parent.close()
        assert dict(child.round(Where)) == {index: rows // 2 for index, rows in before.items()}
        child.close()

    def test_a_closed_dataset_says_so(self, cluster, numbers):
        dataset = cluster.load(numbers, "libsvm", partitions=2)
        dataset.close()
        with pytest.raises(mr.JobFailed, match="load it again"):
            dataset.round(Where)

    @pytest.mark.parametrize("partitions", [0, 10**9])
    def test_as_many_partitions_as_can_be(self, cluster, numbers, partitions):
        told = f"from 1 to 100,000 partitions, not {partitions:,}"
        with pytest.raises(mr.UsageError, match=told):
            cluster.load(numbers, "libsvm", partitions=partitions)

    def test_text_is_a_dataset_of_records(self, cluster, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text("a b a\nb a\n")
        with cluster.load(path, "text", partitions=2) as dataset:
            assert sorted(dataset.round(Words, reducers=2)) == [("a", 3), ("b", 2)]

    def test_a_round_that_fails_leaves_the_dataset_usable(self, cluster, numbers):
        with cluster.load(numbers, "libsvm", partitions=2) as dataset:
            with pytest.raises(mr.JobFailed, match="TypeError"):
                dataset.round(Total, state="not a number")
            assert dataset.round(Total, state=1.0) == [("total", 4950.0)]

    def test_an_unknown_format(self, cluster, numbers):
        with pytest.raises((mr.UsageError, mr.JobFailed), match="parquet"):
            cluster.load(numbers, "parquet")


class Chatty(mr.Job):
    def map_block(self, block):
        print("rows", len(block))
        yield 0, len(block)

    reduce = mr.Sum()


def named(log):
    return [event["event"] for event in read_log(log)]


class TestLogsOfRounds:
    @pytest.fixture
    def events(self):
        return []

    @pytest.fixture
    def logged(self, tmp_path, events):
        with mr.Cluster(2, log=tmp_path / "rounds.log", on_event=events.append) as each:
            yield each

    def test_loads_in_full_and_a_line_a_round(self, logged, numbers, tmp_path, events):
        with logged.load(numbers, "libsvm", partitions=4) as dataset:
            loaded = len(named(logged.log))
            for _ in range(3):
                dataset.round(Total, state=1.0)
        log = list(read_log(tmp_path / "rounds.log"))
        assert [each["event"] for each in log[:loaded]].count("attempt_done") == 4
        assert [each["event"] for each in log[loaded:]] == ["round_done"] * 3
        assert (log[-1]["name"], log[-1]["maps"], log[-1]["reduces"]) == ("Total", 4, 0)
        assert 0 < log[-1]["seconds"] <= log[-1]["t"]
        assert all(first["t"] <= second["t"] for first, second in pairwise(log))
        assert events == log

    def test_a_round_that_fails_in_full(self, logged, numbers):
        with logged.load(numbers, "libsvm", partitions=2) as dataset:
            dataset.round(Total, state=1.0)
            with pytest.raises(mr.JobFailed) as caught:
                dataset.round(Total, state="not a number")
        assert caught.value.__notes__ == [f"The event log: {logged.log}"]
        after = named(logged.log)[named(logged.log).index("round_done") + 1 :]
        assert after[0] == "job_submitted"
        assert "attempt_failed" in after
        assert after[-1] == "job_failed"

    def test_what_a_round_prints_reaches_the_user(self, logged, numbers, events):
        with logged.load(numbers, "libsvm", partitions=2) as dataset:
            dataset.round(Chatty)
        printed = [each["text"] for each in events if each["event"] == "task_printed"]
        assert sum(int(text.split()[1]) for text in printed) == 100

    def test_a_worker_that_is_lost_between_two_rounds(self, logged, numbers):
        with logged.load(numbers, "libsvm", partitions=4) as dataset:
            before = dataset.round(Total, state=1.0)
            os.kill(logged.worker_pids[0], signal.SIGKILL)
            assert dataset.round(Total, state=1.0) == before
            dataset.round(Total, state=1.0)
        log = named(logged.log)
        told = log[log.index("round_done") + 1 :]
        assert told.count("worker_lost") == 1
        assert "output_lost" in told
        assert told[-1] == "round_done"

    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 100)])
    def test_a_partition_whose_file_is_lost_is_made_again(self, logged, numbers, damage):
        with logged.load(numbers, "libsvm", partitions=4) as dataset:
            before = dataset.round(Total, state=1.0)
            for path in logged._local.base.rglob("*.block"):
                damage(path)
            assert dataset.round(Total, state=1.0) == before
        assert named(logged.log).count("output_lost") == 4
        assert judged(read_log(logged.log)).violations == ()

    @pytest.fixture
    def late(self, monkeypatch):
        """Once set: the thread that hears of events first takes notice when the other is done."""
        late, done, first = threading.Event(), threading.Event(), []

        def wait(watched, on_events, really=Watched.wait):
            def hear(*lines):
                if late.is_set():
                    first.append(watched)
                    if first[0] is watched:
                        done.wait(60)
                on_events(*lines)

            try:
                return really(watched, hear)
            finally:
                if first and first[0] is not watched:
                    done.set()

        monkeypatch.setattr(Watched, "wait", wait)
        yield late
        done.set()

    def test_a_worker_that_is_lost_during_two_rounds_at_once(self, logged, numbers, tmp_path, late):
        gate = Gate(tmp_path / "gate")
        with (
            logged.load(numbers, "libsvm", partitions=4) as dataset,
            ThreadPoolExecutor(2) as pool,
            gate,
        ):
            rounds = [pool.submit(dataset.round, Gated(gate=gate.path)) for _ in range(2)]
            running = []
            while len(running) < 2 or not gate.waiting():
                assert [each.result() for each in rounds if each.done()] == []
                running = [job for job in logged.status()["jobs"] if job["name"] == "Gated"]
            os.kill(logged.worker_pids[0], signal.SIGKILL)
            late.set()
            gate.open()
            assert [each.result(60) for each in rounds] == [[("rows", 100)]] * 2
        lines = list(read_log(logged.log))
        told = [json.dumps({**line, "t": 0.0}, sort_keys=True) for line in lines]
        assert len(set(told)) == len(told)
        assert "worker_lost" in [line["event"] for line in lines]
        assert judged(lines).violations == ()

    @pytest.mark.parametrize("first", ["gang", "round"])
    def test_workers_that_are_lost_during_a_gang_and_a_round(
        self, logged, numbers, tmp_path, first
    ):
        """Of one partition, so that each has a worker."""
        gates = {name: Gate(tmp_path / name) for name in ("gang", "round")}
        with (
            logged.load(numbers, "libsvm", partitions=1) as dataset,
            ThreadPoolExecutor(2) as pool,
            gates["gang"],
            gates["round"],
        ):
            begin = {
                "gang": lambda gate: dataset.gang(GatedGang(gate=gate.path)),
                "round": lambda gate: dataset.round(Gated(gate=gate.path)),
            }
            begun = {}
            for name in (first, "round" if first == "gang" else "gang"):
                begun[name] = pool.submit(begin[name], gates[name])
                running = []
                while len(running) < len(begun) or not gates[first].waiting():
                    assert [each.result() for each in begun.values() if each.done()] == []
                    running = [job for job in logged.status()["jobs"] if "Gated" in job["name"]]
            for pid in logged.worker_pids:
                os.kill(pid, signal.SIGKILL)
            for gate in gates.values():
                gate.open()
            assert begun["gang"].result(60) == [(0, 100)]
            assert begun["round"].result(60) == [("rows", 100)]
        lines = list(read_log(logged.log))
        assert "worker_lost" in [line["event"] for line in lines]
        assert judged(lines).violations == ()

    def test_without_a_file_they_lie_at_the_default_place(self, home, numbers):
        with mr.Cluster(1) as cluster:
            assert cluster.log is None
            cluster.load(numbers, "libsvm", partitions=2).round(Where)
            assert cluster.log.parent == home / ".minimr" / "logs"
            assert named(cluster.log)[-1] == "round_done"
        assert len(list(cluster.log.parent.iterdir())) == 1

    def test_a_cluster_without_datasets_leaves_no_log(self, home):
        mr.Cluster(1).close()
        assert list(home.iterdir()) == []

    def test_a_file_that_cannot_be_written_is_refused_before_a_process_is_started(self, tmp_path):
        with pytest.raises(mr.UsageError, match="cannot be written"):
            mr.Cluster(1, log=tmp_path / "missing" / "rounds.log")


class Words(mr.Job):
    def map(self, offset, line):
        for word in line.split():
            yield word, 1

    combine = reduce = mr.Sum()


def test_a_cluster_closes_twice_without_complaint():
    cluster = mr.Cluster(1)
    cluster.close()
    cluster.close()


def test_a_cluster_needs_a_worker():
    with pytest.raises(mr.UsageError, match="at least one worker"):
        mr.Cluster(0)


def test_the_public_names_are_there():
    for name in mr.__all__:
        assert getattr(mr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mr.nonsense  # noqa: B018
