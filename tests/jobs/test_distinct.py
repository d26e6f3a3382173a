"""distinct against set()."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimr.jobs.distinct import Distinct
from tests.jobs.harness import TEXTS, lines_of, run, write_text


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=3))
@pytest.mark.parametrize("form", ["records", "blocks", "records combined", "blocks combined"])
def test_every_form_keeps_each_line_once(tmp_path_factory, form, texts):
    directory = tmp_path_factory.mktemp("jobs")
    paths = [write_text(directory / str(number), text) for number, text in enumerate(texts)]
    lines = {line for text in texts for line in lines_of(text)}
    assert run(Distinct(), paths, form) == [(line, None) for line in sorted(lines)]
