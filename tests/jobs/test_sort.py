"""sort against sorted()."""

from hypothesis import given

from minimr.jobs.sort import Sort
from tests.jobs.harness import TEXTS, lines_of, run, write_text


@given(TEXTS)
def test_all_lines_come_out_sorted_equal_ones_too(tmp_path_factory, text):
    path = write_text(tmp_path_factory.mktemp("jobs") / "a", text)
    expected = [(line, None) for line in sorted(lines_of(text))]
    assert run(Sort(), [path]) == expected


def test_one_reducer_is_the_default_and_no_option():
    assert Sort.default_reducers == 1
    assert Sort.option_table() == {}
