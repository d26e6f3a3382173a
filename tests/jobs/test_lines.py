"""The column of a block's lines against the lines, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.lines import column_of_lines
from tests.jobs.harness import TEXTS


@given(TEXTS, st.sampled_from(["utf-8", "latin-1", "cp1252", "utf-7"]))
def test_a_column_has_the_lines_of_the_block(text, encoding):
    data = text.encode("utf-8", "surrogateescape")
    block = mr.TextBlock(data, 0, "a", encoding)
    assert column_of_lines(block).tolist() == [line for _, line in block.lines()]


def test_bytes_that_are_no_text_are_an_error_if_the_block_says_so():
    with pytest.raises(mr.BadRecord, match="byte 2 is not valid utf-8"):
        column_of_lines(mr.TextBlock(b"a\n\xff\n", 0, "a", "utf-8", "strict"))
