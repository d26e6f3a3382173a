"""The csv reader against a plain reading, and what it says about each fault."""

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.errors import BadRecord, UsageError
from minimr.formats.csv import read_csv
from minimr.formats.splits import Split, plan_splits


@pytest.fixture
def read(tmp_path):
    def read_text(text: str, label: str = ""):
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode())
        return read_csv(Split(str(path), 0, path.stat().st_size, 0), label)

    return read_text


@pytest.mark.parametrize(
    ("label", "X", "y"),
    [
        ("", [[1, 2], [4, 5]], [3, 6]),
        ("c", [[1, 2], [4, 5]], [3, 6]),
        ("a", [[2, 3], [5, 6]], [1, 4]),
        ("1", [[1, 3], [4, 6]], [2, 5]),
        ("-3", [[2, 3], [5, 6]], [1, 4]),
    ],
)
@pytest.mark.parametrize(
    "form", ["a,b,c\n1,2,3\n4,5,6\n", '\n a ,"b", c\r\n1 , 2,3\r\n\r\n4,"5",6']
)
def test_the_column_of_labels_is_a_name_or_a_number(read, form, label, X, y):
    block = read(form, label)
    assert (block["X"].tolist(), block["y"].tolist()) == (X, y)
    assert (block["X"].dtype, block["y"].dtype) == (np.float64, np.float64)


def test_no_header_and_a_byte_order_mark(read):
    assert read("\ufeff1,2\n3,4\n")["X"].tolist() == [[1], [3]]
    assert read("\ufeffa,b\n3,4\n", "a")["y"].tolist() == [3]


def test_a_name_comes_before_a_number(read):
    assert read("1,x\n5,6\n", "1")["y"].tolist() == [5]


@pytest.mark.parametrize("header", [",2019,2020", "id,2019", ",0,1,2", "NA,2019,y", ",,"])
def test_a_header_may_have_numbers_and_gaps_among_its_names(read, header):
    row = ",".join("5" for _ in header.split(","))
    assert len(read(f"{header}\n{row}\n")) == 1


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ("1.5,,3", "the cell of column 1 is empty; fill it or leave the line out"),
        (",2,3", "the cell of column 0 is empty"),
        (",2019,2019", "the cell of column 0 is empty"),
        ("1,2,NA", "the cell 'NA' of column 2 is not a finite number"),
        ('1,"1,000",NaN', "the cell '1,000' of column 1 is not a finite number"),
        (",2019,NA", "the cell of column 0 is empty"),
        ("1,.,3", "the cell '.' of column 1 is not a finite number"),
        ("-,2,3", "the cell '-' of column 0 is not a finite number"),
        ("1,#N/A,--", "the cell '#N/A' of column 1 is not a finite number"),
        ("1,<NA>,3", "the cell '<NA>' of column 1 is not a finite number"),
    ],
)
def test_a_row_with_a_gap_in_the_first_line_is_not_lost_as_a_header(read, row, cell):
    with pytest.raises(BadRecord) as caught:
        read(f"{row}\n4,5,6\n")
    assert f"data.csv, in its first line: {cell}" in str(caught.value)
    assert str(caught.value).endswith("; if it is a header, give that column a name")


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n"])
def test_no_rows(read, text):
    assert len(read(text)) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2", "2 cells, where the first line has 3"),
        ("1,2,3,4", "4 cells, where the first line has 3"),
        ("1,,3", "the cell of column 'b' is empty; fill it or leave the line out"),
        ("1,2,", "the cell of column 'c' is empty"),
        ("1,x,3", "the cell 'x' of column 'b' is not a finite number"),
        ("1,2,3\r4,5,6", "a carriage return in the middle; save the file with the line ends of"),
        (f'1,2,"{"x" * 200_000}"', "it cannot be cut into cells (field larger than field limit"),
        ("1,nan,3", "the cell 'nan' of column 'b' is not a finite number"),
        ("1,1e999,3", "the cell '1e999' of column 'b' is not a finite number"),
        ("1,1_0,3", "the cell '1_0' of column 'b' is not a finite number"),
        ("1;2;3", "1 cells, where the first line has 3"),
    ],
)
def test_a_faulty_line_is_named(read, line, message):
    with pytest.raises(BadRecord) as caught:
        read(f"a,b,c\n1,2,3\n\n{line}\n7,8,9\n")
    assert f"data.csv, line 4: {message}" in str(caught.value)


def test_a_first_line_that_cannot_be_cut(read):
    with pytest.raises(
        BadRecord, match=r"data\.csv, in its first line: it cannot be cut into cells"
    ):
        read(f'"{"x" * 200_000}",2\n1,2\n')


def test_rows_that_only_together_have_the_right_number_of_cells(read):
    with pytest.raises(BadRecord, match="line 2: 2 cells"):
        read("1,2,3\n1,2\n1,2,3,4\n")
    with pytest.raises(BadRecord, match="line 2: 1 cells"):
        read("1,2,3\n1\n2,3\n")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("1\n2\n", "", "one column"),
        ("a,b\n1,2\n", "z", "no column 'z' for the labels; it has 2 columns: a, b"),
        ("a,a\n1,2\n", "a", "a name that is there once"),
        ("1,2\n", "2", "a number from 0 to 1"),
    ],
)
def test_no_such_column(read, text, label, message):
    with pytest.raises(UsageError, match=message):
        read(text, label)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("header", ["", "first,second\n"])
def test_splits_own_the_lines_that_start_in_them(tmp_path, header, suffix):
    path = tmp_path / f"data.csv{suffix}"
    data = (header + "".join(f"{i},{-i}.5\n" for i in range(60))).encode()
    path.write_bytes(gzip.compress(data) if suffix else data)
    blocks = [read_csv(split) for split in plan_splits([str(path)], minimum=4)]
    assert np.concatenate([block["X"] for block in blocks])[:, 0].tolist() == list(range(60))


def test_a_fault_in_a_later_split_has_its_line_in_the_file(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "1,2\n" * 100 + "1,x\n" + "1,2\n" * 20)
    with pytest.raises(BadRecord, match="line 102: the cell 'x' of column 'b'"):
        read_csv(plan_splits([str(path)], minimum=3)[-1])


cells = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from([" 1", "+2 ", ".5", "5.", '"7"', "-0.0"]),
)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8))
def test_every_table_reads_as_float_reads_its_cells(tmp_path_factory, rows):
    text = "".join(",".join(row) + "\n" for row in rows)
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text)
    block = read_csv(Split(str(path), 0, len(text), 0))
    plain = [[float(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    assert np.column_stack([block["X"], block["y"]]).tobytes() == np.array(plain).tobytes()
