"""join against two loops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import UsageError
from minimr.jobs.join import Join
from tests.jobs.harness import run, write_text

ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y\tz", "ä\udcff"])))


def table(rows: list[tuple[str, str]]) -> str:
    return "".join(f"{key}\t{rest}\n" for key, rest in rows)


@given(ROWS, ROWS)
def test_every_left_row_meets_every_right_row_of_its_key(tmp_path_factory, left, right):
    directory = tmp_path_factory.mktemp("jobs")
    paths = [write_text(directory / "l", table(left)), write_text(directory / "r", table(right))]
    expected = [
        (left_key, f"{left_rest}\t{right_rest}")
        for key in "abc"
        for left_key, left_rest in left
        for right_key, right_rest in right
        if left_key == right_key == key
    ]
    assert run(Join(), paths) == expected


def test_a_side_may_be_several_files(tmp_path):
    (tmp_path / "left").mkdir()
    write_text(tmp_path / "left" / "1", "a\t1\n")
    write_text(tmp_path / "left" / "2", "a\t2\n")
    right = write_text(tmp_path / "right", "a\t3\n")
    expected = [("a", "1\t3"), ("a", "2\t3")]
    assert run(Join(), [str(tmp_path / "left"), right]) == expected


def test_a_line_without_a_tab_is_all_key(tmp_path):
    left = write_text(tmp_path / "left", "a\n\n")
    right = write_text(tmp_path / "right", "a\t1\n")
    assert run(Join(), [left, right]) == [("a", "\t1")]


def test_a_third_input_is_refused(tmp_path):
    path = write_text(tmp_path / "a", "a\t1\n")
    with pytest.raises(UsageError, match="A join takes two inputs"):
        run(Join(), [path, path, path])
