from collections import Counter
from dataclasses import replace

import pytest

import minimr as mr
from minimr.formats.committer import read_manifest, read_skipped
from minimr.observe.view import View, fold
from minimr.runners.request import new_request
from minimr.runners.serial import run_request
from minimr.shuffle.digest import inputs_digest


class WordCount(mr.Job):
    def map(self, _offset, line):
        for word in line.split():
            self.count("words")
            yield word, 1

    combine = reduce = mr.Sum()


TEXTS = ["the cat\nthe dog\n", "a dog\n\n", "cat cat cat"]


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text)
    return [str(folder)]


def run(job, inputs, output=None, events=None, **settings):
    with new_request(job, inputs, output, **settings) as request:
        return run_request(request, (events if events is not None else []).append)


def left_behind(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_the_result_is_what_plain_python_counts(tmp_path, inputs):
    result = run(WordCount, inputs, tmp_path / "out")
    assert dict(result) == Counter(" ".join(TEXTS).split())
    assert result.counters == {"words": 9}
    assert left_behind(tmp_path) == ["in", "out"]


def test_the_output_is_parts_and_a_manifest(tmp_path, inputs):
    run(WordCount, inputs, tmp_path / "out", reducers=3)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]
    lines = [
        line for name in names[1:] for line in (tmp_path / "out" / name).read_text().splitlines()
    ]
    assert sorted(lines) == ["a\t1", "cat\t4", "dog\t2", "the\t2"]


def test_without_an_output_the_pairs_are_in_the_result(inputs):
    class Pairs(mr.Job):
        def map(self, offset, line):
            yield (len(line), line), (offset, 1.5)

    pairs = list(run(Pairs, inputs, reducers=1))
    assert pairs[0] == ((0, ""), (6, 1.5))
    assert type(pairs[0][0]) is tuple


def test_files_and_inline_segments_give_the_same_bytes(tmp_path, inputs):
    outputs = []
    for name, inline_bytes in (("inline", 1 << 20), ("files", 0)):
        with new_request(WordCount, inputs, tmp_path / name) as request:
            request.spec = replace(request.spec, inline_bytes=inline_bytes)
            run_request(request, [].append)
        outputs.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert outputs[0] == outputs[1]


def test_a_tiny_file_is_still_two_maps_and_two_reduces(tmp_path):
    (tmp_path / "in.txt").write_text("a b\nc d\n")
    events = []
    run(WordCount, [str(tmp_path / "in.txt")], tmp_path / "out", events)
    started = [event["task"] for event in events if event["event"] == "attempt_started"]
    assert started == ["map-0", "map-1", "reduce-0", "reduce-1"]


def test_every_attempt_has_a_job_of_its_own(tmp_path, inputs):
    class Remembering(mr.Job):
        seen = 0

        def map(self, _offset, line):
            self.seen += 1
            yield self.seen, line

    assert [key for key, _ in run(Remembering, inputs, reducers=1)] == [1, 1, 1, 2, 2]


def test_the_events_fold_into_a_view_of_a_finished_job(tmp_path, inputs):
    events = []
    run(WordCount, inputs, tmp_path / "out", events)
    view = View()
    for event in events:
        fold(view, event)
    (job,) = view.jobs.values()
    assert (job.name, job.state, job.counters) == ("WordCount", "done", {"words": 9})
    assert [(stage.name, stage.done) for stage in job.stages.values()] == [
        ("map", 3),
        ("reduce", 2),
    ]
    assert job.stages["map"].records_in == 5
    assert job.stages["reduce"].records_out == 4


class Inverse(mr.Job):
    def map(self, _offset, line):
        yield "key", 1 / len(line)


def test_a_users_error_is_job_failed_with_its_text(tmp_path, inputs):
    events = []
    with pytest.raises(mr.JobFailed, match=r"Inverse failed in map task 1 at .*1\.txt:6") as caught:
        run(Inverse, inputs, tmp_path / "out", events)
    assert "ZeroDivisionError: division by zero" in str(caught.value)
    assert [event["event"] for event in events[-2:]] == ["attempt_failed", "job_failed"]
    assert events[-1]["error"] == str(caught.value)
    assert left_behind(tmp_path) == ["in"]


def test_sys_exit_fails_the_job_and_not_the_program(inputs):
    class Leaving(mr.Job):
        def reduce(self, key, values):
            raise SystemExit(3)

    events = []
    with pytest.raises(mr.JobFailed, match=r"sys\.exit\(3\)"):
        run(Leaving, inputs, events=events)
    assert events[-2]["reason"] == "exit"


def test_values_that_cannot_travel_fail_here_too(inputs):
    class Sets(mr.Job):
        def map(self, _offset, line):
            yield line, {line}

    with pytest.raises(mr.JobFailed, match="cannot travel: a value of type set"):
        run(Sets, inputs)


def test_ctrl_c_leaves_nothing_behind(tmp_path, inputs):
    class Interrupted(mr.Job):
        def map(self, _offset, _line):
            raise KeyboardInterrupt

    events = []
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted, inputs, tmp_path / "out", events)
    assert events[-1]["event"] == "job_cancelled"
    assert left_behind(tmp_path) == ["in"]


def test_an_input_that_vanishes_is_an_error_of_the_job(tmp_path, inputs):
    with new_request(WordCount, inputs, tmp_path / "out") as request:
        (tmp_path / "in" / "1.txt").unlink()
        with pytest.raises(mr.JobFailed, match=r"1\.txt"):
            run_request(request, [].append)


def test_prints_go_to_stderr_for_stdout_carries_the_result(inputs, capsys):
    class Printing(mr.Job):
        def map(self, _offset, line):
            print("saw", line)
            return []

    run(Printing, inputs)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[0] == "saw the cat"


def test_empty_input_makes_empty_parts(tmp_path):
    (tmp_path / "in.txt").touch()
    result = run(WordCount, [str(tmp_path / "in.txt")], tmp_path / "out")
    assert list(result) == []
    assert len(result.parts) == 2


def test_overwrite_replaces_a_former_output(tmp_path, inputs):
    run(WordCount, inputs, tmp_path / "out", reducers=3)
    run(WordCount, inputs, tmp_path / "out", reducers=1, overwrite=True)
    assert left_behind(tmp_path / "out") == ["_SUCCESS", "part-00000"]


# ---- skipping of bad records


class Fussy(mr.Job):
    """Sums the numbers of each line under its first word; fails on what is no number."""

    def map(self, _offset, line):
        name, *numbers = line.split()
        self.count("lines")
        for number in numbers:
            yield name, float(number)

    def reduce(self, name, values):
        total = sum(values)
        yield name, total
        self.count("names")
        if name == "cursed":
            raise ValueError("not this one")


GOOD = ["one 0.1 0.2\ntwo 3\n", "one 0.7\n"]
BAD = ["one 0.1 0.2\none 1 x\ntwo 3\n", "cursed 1\none 0.7\ntwo 3 y\n"]


def folder_of(tmp_path, name, texts):
    folder = tmp_path / name
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text)
    return folder


def parts_of(folder):
    return [path.read_bytes() for path in sorted(folder.glob("part-*"))]


def test_the_parts_are_those_of_the_good_records_alone(tmp_path):
    good = run(Fussy, [str(folder_of(tmp_path, "good", GOOD))], tmp_path / "expected")
    folder = folder_of(tmp_path, "bad", BAD)
    result = run(Fussy, [str(folder)], tmp_path / "out", skip_bad_records=3)
    assert parts_of(tmp_path / "out") == parts_of(tmp_path / "expected")
    assert result.counters == good.counters | {"lines": 4}  # of the cursed line map thought well
    assert (good.skipped, len(result.skipped)) == ([], 3)
    assert read_skipped(tmp_path / "out") == result.skipped
    assert read_manifest(tmp_path / "out").skipped == 3
    number = "ValueError: could not convert string to float"
    assert result.skipped == [
        {"position": f"{folder}/0.txt:12", "record": "'one 1 x'", "error": f"{number}: 'x'"},
        {"position": f"{folder}/1.txt:17", "record": "'two 3 y'", "error": f"{number}: 'y'"},
        {
            "position": result.skipped[2]["position"],
            "record": "'cursed'",
            "error": "ValueError: not this one",
        },
    ]
    assert result.skipped[2]["position"] in {f"reduce-{n}:key 'cursed'" for n in range(2)}


def test_the_events_count_them(tmp_path):
    events = []
    folder = folder_of(tmp_path, "bad", BAD)
    run(Fussy, [str(folder)], tmp_path / "out", events, skip_bad_records=3)
    done = [event for event in events if event["event"] == "attempt_done"]
    assert sorted(event["skipped"] for event in done) == [0, 1, 1, 1]
    assert events[-1]["skipped"] == 3
    assert [each["skip_max"] for each in events if each["event"] == "job_submitted"] == [3]


def test_more_than_allowed_in_the_whole_job_fail_it(tmp_path):
    events = []
    folder = folder_of(tmp_path, "bad", BAD)
    with pytest.raises(mr.JobFailed) as caught:
        run(Fussy, [str(folder)], tmp_path / "out", events, skip_bad_records=2)
    assert str(caught.value).startswith(
        "3 records were bad, and --skip-bad-records (skip_bad_records) allows 2; the last is at "
    )
    assert str(caught.value).endswith(":key 'cursed' (ValueError: not this one).")
    assert events[-1]["error"] == str(caught.value)
    assert left_behind(tmp_path) == ["bad"]


def test_more_than_allowed_in_one_task_show_the_users_error(tmp_path):
    folder = folder_of(tmp_path, "bad", ["one x\n" * 3])
    with pytest.raises(mr.JobFailed, match=r"allows 1") as caught:
        run(Fussy, [str(folder)], tmp_path / "out", skip_bad_records=1)
    assert "Fussy failed in map task 0" in str(caught.value)


def test_a_result_without_an_output_knows_them_too(tmp_path):
    folder = folder_of(tmp_path, "bad", BAD)
    result = run(Fussy, [str(folder)], skip_bad_records=3)
    assert dict(result) == {"one": 0.1 + 0.2 + 0.7, "two": 3.0}
    assert len(result.skipped) == 3


@pytest.mark.parametrize("number", [-1, 1001])
def test_only_a_few_may_be_skipped(tmp_path, inputs, number):
    with pytest.raises(mr.UsageError, match=rf"from 0 to 1,000 bad records, not {number:,}"):
        run(WordCount, inputs, tmp_path / "out", skip_bad_records=number)
    assert left_behind(tmp_path) == ["in"]


def test_digests_of_maps_and_of_what_reducers_read_are_in_the_events(tmp_path, inputs):
    runs = []
    for name, inline_bytes in (("inline", 1 << 20), ("files", 0)):
        events = []
        with new_request(WordCount, inputs, tmp_path / name) as request:
            request.spec = replace(request.spec, inline_bytes=inline_bytes)
            run_request(request, events.append)
        runs.append([event for event in events if event["event"] == "attempt_done"])
    digests = [[event.get("digest") for event in done] for done in runs]
    read = [[event.get("inputs") for event in done] for done in runs]
    assert digests[0] == digests[1]
    assert len(set(digests[0][:3])) == 3
    assert read[0] == read[1] == [None] * 3 + [inputs_digest(dict(enumerate(digests[0][:3])))] * 2
