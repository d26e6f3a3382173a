"""How many records a block of text counts as."""

import sys

import numpy
import pytest

from minimr.block import TextBlock
from minimr.tasks.source import rows_of


@pytest.mark.parametrize("loaded", [True, False], ids=["with numpy", "without numpy"])
@pytest.mark.parametrize(
    ("data", "lines"),
    [(b"one", 1), (b"one\n", 1), (b"one\ntwo", 2), (b"\n\n\r\n", 3), (b"\x0b\x0a\x8a\xff", 2)],
)
def test_a_block_of_text_has_a_record_for_every_line(data, lines, loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", numpy if loaded else None)
    assert rows_of(TextBlock(data, 0, "text.txt")) == lines
