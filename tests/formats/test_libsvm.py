"""The libsvm reader against Spark's measured behaviour and against a plain line-by-line oracle."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimr.block import Block
from minimr.errors import BadRecord
from minimr.formats import libsvm
from minimr.formats.libsvm import read_libsvm
from minimr.formats.splits import Split, plan_splits

GOLDEN = json.loads((Path(__file__).parents[1] / "ml" / "mllib_golden.json").read_text())

# Where we accept what the JVM loader refuses: harmless spellings that real files contain.
MORE_TOLERANT = {"trailing_comment", "tab", "qid"}
LINE_OF_FAULT = dict.fromkeys(("desc", "zero", "dup", "novalue", "nan", "text", "multilabel"), 1)


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes, **options) -> Block:
        path = tmp_path / "data.libsvm"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_libsvm(Split(str(path), 0, path.stat().st_size, 0), **options)

    return read_text


def rows_of(block: Block) -> list[tuple[float, dict[int, float]]]:
    """Label and non-zero features per row, as Spark prints them."""
    return [
        (label, {j: value for j, value in enumerate(row) if value})
        for label, row in zip(block["y"].tolist(), block["X"].tolist(), strict=True)
    ]


@pytest.mark.parametrize("name", GOLDEN["libsvm_cases"])
def test_agrees_with_the_jvm_loader_of_spark(read, name):
    case = GOLDEN["libsvm_cases"][name]
    refused = case["jvm_loader"].startswith("ERR") and name not in MORE_TOLERANT
    if refused:
        with pytest.raises(BadRecord, match=f"data.libsvm, line {LINE_OF_FAULT[name]}: "):
            read(case["text"])
    else:
        assert rows_of(read(case["text"])) == EXPECTED[name]


# Read off the "jvm_loader" (or, for the tolerated spellings, "python_loader") lines of the figures.
EXPECTED = {
    "comment_line": [(1.0, {0: 2.0})],
    "trailing_comment": [(1.0, {0: 2.0})],
    "tab": [(1.0, {0: 2.0, 2: 4.0})],
    "qid": [(1.0, {0: 2.0})],
    "plus": [(1.0, {0: 2.0})],
    "empty": [(1.0, {0: 2.0})],
    "labelonly": [(1.0, {}), (-1.0, {})],
    "two_spaces": [(1.0, {0: 2.0, 2: 4.0})],
    "big": [(1.0, {4: 1.0})],
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0:1", "the index 0 is not allowed: libsvm counts features from 1"),
        ("1 3:1 2:1", "the index 2 comes after 3; indices must rise along the line"),
        ("1 2:1 2:3", "the index 2 stands twice"),
        ("1 1.5:1", "the index '1.5' is not a whole number"),
        ("1 1e0:1", "the index '1e0' is not a whole number"),
        ("1 -1:1", "the index '-1' is not a whole number"),
        ("1 +1:1", "the index '+1' is not a whole number"),
        ("1 a:1", "the index 'a' is not a whole number"),
        ("1 1_0:1", "the index '1_0' is not a whole number"),
        ("1 :1", "the index '' is not a whole number"),
        ("1 2147483648:1", "the index '2147483648' is over 2147483647"),
        (f"1 {'9' * 5000}:1", "the index '" + "9" * 40 + "...' is over 2147483647"),
        ("1 2", "'2' has no value; a feature is written index:value"),
        ("1 2:", "'2:' has no value"),
        ("1 1 :2", "'1' has no value"),
        ("1 1: 2", "'1:' has no value"),
        ("1 1:2:3", "the value '2:3' is not a finite number"),
        ("1 1:2:3 7", "the value '2:3' is not a finite number"),
        ("1 1:x", "the value 'x' is not a finite number"),
        ("1 1:nan", "the value 'nan' is not a finite number"),
        ("1 1:-inf", "the value '-inf' is not a finite number"),
        ("1 1:1e999", "the value '1e999' is not a finite number"),
        ("1 1:1_0", "the value '1_0' is not a finite number"),
        ("1 1:1-2", "the value '1-2' is not a finite number"),
        ("1 1:0x10", "the value '0x10' is not a finite number"),
        ("abc 1:1", "the label 'abc' is not a finite number"),
        ("1,2 1:1", "the label '1,2' is not a finite number; numbers with commas between them are"),
        ("inf 1:1", "the label 'inf' is not a finite number"),
        ("1:1 2", "the label '1:1' is not a finite number"),
        ("1:1 2:1", "the label '1:1' is not a finite number"),
        ("1 1:1 qid:3", "the index 'qid' is not a whole number"),
        ("1 qid:x 1:1", "the index 'qid' is not a whole number"),
        ("\ufeff1 1:1", r"the label '\ufeff1' is not a finite number"),
        (f"{'9' * 100}x 1:1", "the label '" + "9" * 40 + "...' is not a finite number"),
    ],
)
@pytest.mark.parametrize("comment", ["# read line by line", ""])
def test_a_faulty_line_is_named(read, line, message, comment):
    with pytest.raises(BadRecord) as caught:
        read(f"{comment}\n1 1:1\n\n{line}\n1 1:1\n")
    assert f"data.libsvm, line 4: {message}" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["1 1:2\n2 2:1\n", "1 1:2 # read line by line\n2 2:1\n", "1 1:2"])
def test_a_byte_order_mark_is_no_part_of_the_first_label(read, text):
    assert rows_of(read("\ufeff" + text)) == rows_of(read(text))
    with pytest.raises(BadRecord, match=r"data\.libsvm, line 2: the label '\\ufeffx'"):
        read("\ufeff1 1:2\n\ufeffx\n")


def test_numbers_have_the_bits_of_float(read):
    texts = ["0.1", "-0.0", "1e-320", "1.7976931348623157e308", "+3", ".5", "5.", "1E3", "00.10"]
    block = read(" ".join(["1", *(f"{i}:{text}" for i, text in enumerate(texts, 1))]) + "\n")
    assert block["X"].tobytes() == np.array([float(text) for text in texts]).tobytes()


def test_dtypes_shapes_and_missing_last_line_end(read):
    block = read("1 2:5\r\n2 000000000000003:6 # six\r\n\r\n3")
    assert (block["X"].dtype, block["y"].dtype) == (np.float64, np.float64)
    assert block["X"].tolist() == [[0, 5, 0], [0, 0, 6], [0, 0, 0]]
    assert block["y"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_no_rows(read, text):
    block = read(text)
    assert block["X"].shape == (0, 0)
    assert block["y"].shape == (0,)


def test_nan_and_infinity_when_asked_for(read):
    block = read("nan 1:inf 2:-inf\n", allow_nonfinite=True)
    assert math.isnan(block["y"][0])
    assert block["X"].tolist() == [[math.inf, -math.inf]]
    with pytest.raises(BadRecord, match="the value 'x'"):
        read("nan 1:x\n", allow_nonfinite=True)


def test_a_matrix_over_the_limit_is_refused_before_it_is_made(read):
    with pytest.raises(BadRecord, match=r"2 rows x 2147483647 columns .* 32767 MiB .* partitions"):
        read("1 1:1\n1 2147483647:1\n")
    assert read("1 8:1\n2 1:1\n", limit_bytes=128)["X"].shape == (2, 8)
    with pytest.raises(BadRecord, match="limit"):
        read("1 8:1\n2 1:1\n", limit_bytes=127)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_splits_own_the_lines_that_start_in_them(tmp_path, pieces):
    path = tmp_path / "data.libsvm"
    path.write_text("".join(f"{i} {i % 4 + 1}:{i}\n" for i in range(1, 60)))
    blocks = [read_libsvm(split) for split in plan_splits([str(path)], minimum=pieces)]
    assert len(blocks) == pieces
    assert np.concatenate([block["y"] for block in blocks]).tolist() == list(range(1, 60))


def test_the_width_is_that_of_the_split(tmp_path):
    path = tmp_path / "data.libsvm"
    path.write_text("1 1:1\n" * 10 + "1 9:1\n" * 10)
    first, second = (read_libsvm(split) for split in plan_splits([str(path)], minimum=2))
    assert (first["X"].shape, second["X"].shape) == ((10, 1), (10, 9))


def test_line_numbers_count_from_the_start_of_the_file(tmp_path):
    path = tmp_path / "data.libsvm"
    path.write_text("1 1:1\n" * 100 + "1 0:1\n" + "1 1:1\n" * 20)
    first, _, last = plan_splits([str(path)], minimum=3)
    read_libsvm(first)
    with pytest.raises(BadRecord, match="line 101:"):
        read_libsvm(last)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_fault_beyond_the_first_block_of_text(tmp_path, suffix):
    path = tmp_path / f"data.libsvm{suffix}"
    data = b"1 1:0.125 2:0.25\n" * 150_000 + b"1 2:1 1:1\n" + b"2 1:1\n" * 10
    path.write_bytes(gzip.compress(data, 1) if suffix else data)
    with pytest.raises(BadRecord, match="line 150001: the index 1 comes after 2"):
        read_libsvm(plan_splits([str(path)], minimum=1)[0])


# The fast parser must either agree with the careful one or leave the block to it.

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1", "+1", "-0.0", ".5", "1e999", "1e", "-", "nan", "1_0", "1-2", "0x1", ""]),
)
features = st.builds(
    "{}:{}".format, st.sampled_from(["0", "1", "2", "3", "04", "5", "1.0", "x", "", "+2"]), numbers
)
blanks = st.sampled_from([" ", "  ", "\t", "\r", " \t ", "\x0c"])
odd = st.sampled_from(["# c", "qid:3", "7", ":", "1:", "1:2:3", "\n", "1 :2"])
good_lines = st.builds(
    lambda label, indices, values: " ".join(
        [label, *(f"{i}:{v!r}" for i, v in zip(sorted(indices), values, strict=False))]
    ),
    st.sampled_from(["1", "-1.5", "+2"]),
    st.sets(st.integers(1, 9), max_size=5),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=5),
)
lines = st.one_of(
    good_lines,
    good_lines,
    st.builds(
        lambda label, rest: label + "".join(blank + token for blank, token in rest),
        numbers,
        st.lists(st.tuples(blanks, st.one_of(features, odd)), max_size=4),
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(lines, max_size=6).map("\n".join))
def test_the_fast_parser_agrees_with_the_careful_one(text):
    data = text.encode()
    fast = libsvm._parse_regular(data)
    if fast is None:
        return
    careful = libsvm._parse_lines(data.split(b"\n"), allow_nonfinite=False)
    for name, column in vars(careful).items():
        found, column = np.asarray(getattr(fast, name)), np.asarray(column)
        assert (found.dtype, found.tobytes()) == (column.dtype, column.tobytes()), name


@settings(max_examples=100, deadline=None)
@given(st.lists(good_lines, max_size=6).map("\n".join))
def test_regular_text_takes_the_fast_parser(text):
    assert libsvm._parse_regular(text.encode()) is not None


def plain_reader(text: str) -> tuple[list[list[float]], list[float]]:
    """An independent reading of good lines, in the fewest words."""
    rows = [
        (float(label), {int(i): float(v) for i, v in (pair.split(":") for pair in pairs)})
        for label, *pairs in (line.split() for line in text.splitlines() if line)
    ]
    width = max((i for _, row in rows for i in row), default=0)
    matrix = [[row.get(i, 0.0) for i in range(1, width + 1)] for _, row in rows]
    return matrix, [label for label, _ in rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(good_lines, min_size=1, max_size=6).map("\n".join))
def test_good_files_against_a_plain_reader(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "plain.libsvm"
    path.write_text(text)
    block = read_libsvm(Split(str(path), 0, len(text), 0))
    matrix, labels = plain_reader(text)
    assert block["X"].tolist() == matrix
    assert block["y"].tolist() == labels
