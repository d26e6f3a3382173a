"""The table of input formats."""

import subprocess
import sys

import numpy as np
import pytest

from minimr.errors import UsageError
from minimr.formats import INPUT_FORMATS, input_format
from minimr.formats.splits import Split


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1 1:2\n")
    return Split(str(path), 0, 6, 0)


def test_text_offers_records_and_blocks(split):
    text = input_format("text")
    assert text.kind == "records"
    assert list(text.read_records(split)) == [(0, "1 1:2")]
    assert [block.text() for block in text.read_blocks(split, encoding="ascii")] == ["1 1:2\n"]


def test_libsvm_offers_columns(split):
    libsvm = input_format("libsvm")
    assert libsvm.kind == "columns"
    block = libsvm.read_blocks(split)
    assert (block["y"].tolist(), block["X"].tolist()) == ([1.0], [[2.0]])
    with pytest.raises(UsageError, match="'libsvm' has columns, not records"):
        libsvm.read_records(split)


def test_an_unknown_format_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="'xml'; the formats are: binary, csv, libsvm, npy, text"):
        input_format("xml")


def test_binary_offers_records_and_blocks_of_the_width_in_its_name(split):
    binary = input_format("binary:3")
    assert list(binary.read_records(split)) == [(0, b"1 1"), (3, b":2\n")]
    assert list(binary.read_records(split, encoding="ascii")) == list(binary.read_records(split))
    [block] = binary.read_blocks(split)
    assert block["record"].tolist() == [list(b"1 1"), list(b":2\n")]


@pytest.mark.parametrize("name", ["binary", "binary:", "binary:0", "binary:-1", "binary:x"])
def test_binary_needs_a_width(name):
    with pytest.raises(UsageError, match="the size of a record, as in binary:100"):
        input_format(name)


def test_a_table_is_checked_for_its_column_of_labels(tmp_path):
    table, matrix, broken = tmp_path / "a.csv", tmp_path / "a.npy", tmp_path / "b.npy"
    table.write_text("size,price\n1,2\n")
    np.save(matrix, np.zeros((3, 2)))
    broken.write_bytes(b"none")
    for name in ("csv", "csv:price", "csv:-2"):
        input_format(name).check(str(table))
    input_format("npy:1").check(str(matrix))
    with pytest.raises(UsageError, match=r"no column 'cost' for the labels; .*: size, price"):
        input_format("csv:cost").check(str(table))
    with pytest.raises(UsageError, match="no column '2' for the labels; give a number from 0 to 1"):
        input_format("npy:2").check(str(matrix))
    for path in (broken, tmp_path / "missing.npy"):
        input_format("npy:1").check(str(path))


@pytest.mark.parametrize("name", ["text:3", "libsvm:3"])
def test_only_binary_and_tables_have_an_argument(name):
    with pytest.raises(UsageError, match=f"Unknown input format '{name}'"):
        input_format(name)


def test_a_table_may_name_its_column_of_labels(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"a,b\n1,2\n")
    split = Split(str(path), 0, 8, 0)
    assert input_format("csv").read_blocks(split)["y"].tolist() == [2.0]
    assert input_format("csv:a").read_blocks(split)["y"].tolist() == [1.0]


def test_every_format_is_found_under_its_name():
    assert all(INPUT_FORMATS[name].name == name for name in INPUT_FORMATS)


def test_planning_does_not_load_numpy():
    """Numpy would take a tenth of a second from the start of every command."""
    program = "import sys, minimr.formats.splits; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
