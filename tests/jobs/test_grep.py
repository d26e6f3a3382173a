"""grep against re.search, line by line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimr.errors import UsageError
from minimr.jobs.grep import Grep
from tests.jobs.harness import TEXTS, lines_of, run, write_text


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.booleans())
@pytest.mark.parametrize("pattern", ["a", "^tag", r"\d", "", r"\bstra(ß|ss)e$", "[\udc80-\udcff]"])
def test_grep_finds_the_lines_that_re_finds(tmp_path_factory, pattern, texts, ignore_case):
    directory = tmp_path_factory.mktemp("jobs")
    paths = [write_text(directory / str(number), text) for number, text in enumerate(texts)]
    flags = re.IGNORECASE if ignore_case else 0
    expected = [
        (path, line)
        for path, text in zip(paths, texts, strict=True)
        for line in lines_of(text)
        if re.search(pattern, line, flags)
    ]
    assert run(Grep(pattern=pattern, ignore_case=ignore_case), paths) == expected


def test_case_matters_unless_told_otherwise(tmp_path):
    path = write_text(tmp_path / "a", "Tag\ntag\nnight\n")
    assert run(Grep(pattern="tag"), [path]) == [(path, "tag")]
    assert run(Grep(pattern="tag", ignore_case=True), [path]) == [(path, "Tag"), (path, "tag")]


def test_the_pattern_is_required():
    with pytest.raises(UsageError, match="needs the option pattern"):
        Grep()


def test_a_pattern_that_is_none_is_refused_before_any_work():
    with pytest.raises(UsageError, match=r"'a\(' is no regular expression: missing \)"):
        Grep(pattern="a(")
