"""Small files that share map tasks give what they give alone."""

from pathlib import Path

import pytest

import minimr as mr
from minimr.errors import JobFailed
from minimr.jobs.join import Join
from minimr.jobs.wordcount import WordCount

FILES = 40


class Lines(mr.Job):
    """Every line under one key with where it stands: nothing about the order can hide."""

    def map(self, offset, line):
        if line.endswith("1 bad"):
            raise ValueError("a bad line")
        yield self.input_index, (Path(self.input_path).name, offset, line)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(FILES):
        lines = "".join(f"file {number} line {line}\n" for line in range(number % 5))
        (folder / f"{number:02}.txt").write_text(lines)
    return folder


def maps_in(result):
    from minimr.observe.log import read_log

    (submitted,) = [each for each in read_log(result.log) if each["event"] == "job_submitted"]
    return submitted["maps"]


@pytest.mark.parametrize("job", [Lines, WordCount])
@pytest.mark.parametrize("runner", ["serial", pytest.param("cluster", marks=pytest.mark.slow)])
def test_packed_files_give_the_same_pairs_in_fewer_tasks(folder, job, runner):
    alone = mr.run(job, [str(folder)], runner="serial")
    packed = mr.run(job, [str(folder)], runner=runner, pack=True)
    assert list(packed) == list(alone)
    assert maps_in(alone) == FILES
    assert maps_in(packed) < FILES


def test_a_join_still_knows_its_sides(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for number in range(20):
            (tmp_path / side / f"{number}.tsv").write_text(f"key-{number}\t{side}\n")
    inputs = [str(tmp_path / "left"), str(tmp_path / "right")]
    packed = mr.run(Join, inputs, runner="serial", pack=True)
    assert sorted(packed) == sorted((f"key-{n}", "left\tright") for n in range(20))


def test_an_error_names_the_file_within_the_pack(folder):
    """00.txt is empty, so 01.txt is not the first of its pack."""
    (folder / "01.txt").write_text("fine\nline 1 bad\n")
    with pytest.raises(JobFailed, match=r"01\.txt:5"):
        mr.run(Lines, [str(folder)], runner="serial", pack=True)


def test_a_bad_record_within_a_pack_can_be_skipped(folder):
    (folder / "01.txt").write_text("fine\nline 1 bad\n")
    result = mr.run(Lines, [str(folder)], runner="serial", pack=True, skip_bad_records=1)
    (skipped,) = result.skipped
    assert skipped["position"] == f"{folder / '01.txt'}:5"
