"""sort against sorted()."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.sort import Sort, descending
from tests.jobs.harness import TEXTS, as_read, lines_of, run, write_text


@given(TEXTS)
def test_all_lines_come_out_sorted_equal_ones_too(tmp_path_factory, text):
    path = write_text(tmp_path_factory.mktemp("jobs") / "a", text)
    expected = [(line, None) for line in sorted(lines_of(text))]
    assert run(Sort(), [path]) == expected


@given(TEXTS)
def test_reverse_puts_the_last_first_and_keeps_equal_lines(tmp_path_factory, text):
    path = write_text(tmp_path_factory.mktemp("jobs") / "a", text)
    expected = [(line, None) for line in sorted(lines_of(text), reverse=True)]
    assert run(Sort(reverse=True), [path]) == expected


@given(st.text().map(as_read), st.text().map(as_read))
def test_descending_turns_the_order_of_texts_around(left, right):
    assert (descending(left) > descending(right)) == (left < right)
    assert (descending(left) == descending(right)) == (left == right)


def sorted_lines(tmp_path, lines, **options):
    path = write_text(tmp_path / "lines", "".join(f"{line}\n" for line in lines))
    return [line for line, _ in run(Sort(**options), [path], split_bytes=7)]


def number(text):
    try:
        value = float(text)
    except ValueError:
        return -math.inf
    return -math.inf if math.isnan(value) else value


NUMBERS = ["10", "9", "-3", "1e3", " 2 ", "2.0", "x", "", "nan", "inf", "-inf", "0x1", "٣"]


def test_numbers_are_ordered_as_sort_g_orders_them(tmp_path):
    assert sorted_lines(tmp_path, NUMBERS, numeric=True) == sorted(NUMBERS, key=number)
    backwards = sorted(NUMBERS, key=lambda text: -number(text))
    assert sorted_lines(tmp_path, NUMBERS, numeric=True, reverse=True) == backwards


def test_a_column_can_be_the_key_and_ties_stay_in_order(tmp_path):
    lines = ["b 2", "a\t10", "c   2", "d", "e 1 x"]
    assert sorted_lines(tmp_path, lines, key=2) == ["d", "e 1 x", "a\t10", "b 2", "c   2"]
    by_number = ["d", "e 1 x", "b 2", "c   2", "a\t10"]
    assert sorted_lines(tmp_path, lines, key=2, numeric=True) == by_number


def test_a_separator_makes_empty_columns(tmp_path):
    assert sorted_lines(tmp_path, ["a,,1", "b,x,0"], key=2, separator=",") == ["a,,1", "b,x,0"]
    assert sorted_lines(tmp_path, ["a,,1", "b,x,0"], key=3, separator=",") == ["b,x,0", "a,,1"]


def test_columns_are_counted_from_1():
    with pytest.raises(mr.UsageError, match="Columns are counted from 1"):
        Sort(key=-1)


def parts_of(folder):
    return [part.read_text().splitlines() for part in sorted(folder.glob("part-*"))]


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"numeric": True}])
@pytest.mark.parametrize(
    "lines",
    [
        [f"{n * 7919 % 10007}" for n in range(5_000)],
        ["5"] * 900 + [str(n) for n in range(100)],
        ["7"] * 500,
        ["1", "2"],
        [],
    ],
    ids=["spread", "one hot key", "all equal", "fewer lines than parts", "empty"],
)
def test_parts_follow_one_another_whatever_the_input_is(tmp_path, lines, options):
    path = write_text(tmp_path / "lines", "".join(f"{line}\n" for line in lines))
    mr.run(Sort, [path], tmp_path / "out", runner="serial", reducers=4, options=options)
    parts = parts_of(tmp_path / "out")
    key = Sort(**options).key_of
    assert [line for part in parts for line in part] == sorted(lines, key=key)
    assert len(parts) == 4


def test_parts_are_even_where_keys_allow_it(tmp_path):
    lines = [f"{n * 7919 % 10007:05}" for n in range(10_000)]
    path = write_text(tmp_path / "lines", "".join(f"{line}\n" for line in lines))
    mr.run(Sort, [path], tmp_path / "out", runner="serial", reducers=5)
    assert [len(part) for part in parts_of(tmp_path / "out")] == [2_000] * 5
