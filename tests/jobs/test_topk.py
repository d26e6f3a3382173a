"""topk against sorted()."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.topk import TopLines
from tests.jobs.harness import lines_of, run, write_text

FORMS = ["records", "blocks", "records combined", "blocks combined"]
NUMBERS = ["10", "9", "-3", "1e3", "2", "2.0", "inf", "-inf", "nan", "x", ""]
LINES = st.lists(st.tuples(st.sampled_from("abä"), st.sampled_from(NUMBERS)).map("\t".join))


def number(line):
    try:
        value = float(line.partition("\t")[2])
    except ValueError:
        return None
    return None if math.isnan(value) else value


@settings(max_examples=60)
@given(LINES, st.integers(1, 5))
@pytest.mark.parametrize("form", FORMS)
def test_every_form_keeps_the_lines_with_the_largest_numbers(tmp_path_factory, form, lines, n):
    path = write_text(tmp_path_factory.mktemp("jobs") / "a", "".join(f"{each}\n" for each in lines))
    job = TopLines(n=n, column=2, separator="\t")
    numbered = [line for line in lines if number(line) is not None]
    expected = sorted(numbered, key=lambda line: (-number(line), line))[:n]
    assert run(job, [path], form) == [(line, None) for line in expected]
    left_out = len(lines) - len(numbered)
    assert job.counters == ({"lines without a number": left_out} if left_out else {})


def test_the_largest_come_first_and_equal_ones_by_their_text_wherever_they_stood(tmp_path):
    text = "b 7\na 8\nd 7\na 9\na 7\n"
    for number, data in enumerate([text, "".join(f"{line}\n" for line in lines_of(text)[::-1])]):
        path = write_text(tmp_path / str(number), data)
        result = run(TopLines(n=4, column=2), [path])
        assert [line for line, _ in result] == ["a 9", "a 8", "a 7", "b 7"]


def test_ten_of_the_whole_lines_unless_told_otherwise(tmp_path):
    path = write_text(tmp_path / "a", "".join(f"{n}\n" for n in range(30)))
    assert [line for line, _ in run(TopLines(), [path])] == [str(n) for n in range(29, 19, -1)]


def test_one_part_holds_the_answer_unless_told_otherwise(tmp_path):
    path = write_text(tmp_path / "a", "1\n3\n2\n")
    mr.run(TopLines, [path], tmp_path / "out", runner="serial", options={"n": 2})
    assert [part.name for part in (tmp_path / "out").glob("part-*")] == ["part-00000"]
    assert (tmp_path / "out" / "part-00000").read_text() == "3\n2\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n": 0}, "--n is how many lines to keep, at least 1"), ({"column": -1}, "counted from 1")],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(mr.UsageError, match=message):
        TopLines(**options)
