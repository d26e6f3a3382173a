"""histogram against numpy.histogram, and against fractions where the edges are."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimr as mr
from minimr.jobs.histogram import Histogram
from tests.jobs.harness import run, write_text

FORMS = ["records", "blocks", "records combined", "blocks combined"]


def written(path, lines):
    return write_text(path, "".join(f"{line}\n" for line in lines))


@settings(max_examples=60)
@given(st.lists(st.integers(-3, 23) | st.sampled_from(["", "nan", "x"])), st.integers(1, 9))
@pytest.mark.parametrize("form", FORMS)
def test_every_form_counts_what_fractions_count(tmp_path_factory, form, lines, bins):
    path = written(tmp_path_factory.mktemp("jobs") / "a", lines)
    job = Histogram(low=0, high=20, bins=bins)
    numbers = [line for line in lines if isinstance(line, int)]
    inside = [each for each in numbers if 0 <= each <= 20]
    # The bin of x is the whole part of x / (20 / bins), but for 20, which is in the last one.
    found = Counter(min(int(Fraction(each * bins, 20)), bins - 1) for each in inside)
    assert run(job, [path], form) == [
        (20 * index / bins, count) for index, count in sorted(found.items())
    ]
    outside = {
        "lines without a number": len(lines) - len(numbers),
        "numbers below low": sum(each < 0 for each in numbers),
        "numbers above high": sum(each > 20 for each in numbers),
    }
    assert job.counters == {name: count for name, count in outside.items() if count}


@pytest.mark.parametrize("form", ["records", "blocks"])
def test_the_counts_are_those_of_numpy(tmp_path, form):
    numbers = np.random.default_rng(5).normal(size=2_000)
    path = written(tmp_path / "a", map(repr, numbers.tolist()))
    found = dict(run(Histogram(low=-2, high=2, bins=16), [path], form, split_bytes=5_000))
    counts, edges = np.histogram(numbers, 16, (-2, 2))
    assert found == dict(zip(edges.tolist(), counts.tolist(), strict=False))


def test_edges_are_written_as_people_write_them(tmp_path):
    path = written(tmp_path / "a", [n / 10 for n in range(10)])
    assert run(Histogram(low=0, high=1), [path]) == [(n / 10, 1) for n in range(10)]


def test_a_column_can_hold_the_number(tmp_path):
    path = written(tmp_path / "a", ["a,1", "b,2,7", "c,9"])
    job = Histogram(low=0, high=10, bins=2, column=2, separator=",")
    assert run(job, [path]) == [(0.0, 2), (5.0, 1)]


def test_the_bins_are_in_order_in_one_part_unless_told_otherwise(tmp_path):
    path = written(tmp_path / "a", [95, 5, 15, 5])
    options = {"low": 0, "high": 100}
    mr.run(Histogram, [path], tmp_path / "out", runner="serial", options=options)
    (part,) = (tmp_path / "out").glob("part-*")
    assert part.read_text() == "0.0\t2\n10.0\t1\n90.0\t1\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 5, "high": 5}, "--low must be less than --high"),
        ({"low": 6, "high": 5}, "--low must be less than --high"),
        ({"low": 0, "high": float("inf")}, "within the range of a float"),
        ({"low": 0, "high": 1e308}, "within the range of a float"),
        ({"low": float("nan"), "high": 1}, "within the range of a float"),
        ({"low": 0, "high": 1, "bins": 0}, "--bins is how many bins there are, at least 1"),
        ({"low": 0, "high": 1, "column": -2}, "counted from 1"),
        ({"low": 0}, "needs the option high"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(mr.UsageError, match=message):
        Histogram(**options)
