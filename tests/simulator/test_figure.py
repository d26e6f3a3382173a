"""Curves keep their bytes, and the drawing says what the curves say."""

import random
from xml.etree import ElementTree

import pytest

from minimr.simulator.figure import KINDS, Column, draw, rates
from minimr.simulator.work import Transfer

GB = 10**9
SVG = "{http://www.w3.org/2000/svg}"


def column(title="sort", done_s=890.0, paper_s=891.0, low=0.0):
    curve = [0.0, 13e9, 4e9, low]
    return Column(title, {kind: list(curve) for kind in KINDS}, done_s, paper_s)


def panels(columns):
    root = ElementTree.fromstring(draw(columns))
    return list(root.iter(f"{SVG}g"))


def points(panel):
    text = panel.find(f"{SVG}polygon").get("points")
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def test_a_transfer_spreads_evenly_over_its_time():
    curves = rates([Transfer(5.0, 25.0, "input", 200, 0)], [], 40.0)
    assert curves["input"] == [5.0, 10.0, 5.0, 0.0, 0.0]
    assert curves["shuffle"] == [0.0] * 5


def test_a_transfer_inside_one_step_counts_there():
    curves = rates([Transfer(12.0, 13.0, "output", 50, 0)], [], 20.0)
    assert curves["output"] == [0.0, 5.0, 0.0]


def test_a_transfer_without_duration_counts_where_it_ends():
    curves = rates([Transfer(30.0, 30.0, "output", 50, 0)], [], 30.0)
    assert curves["output"] == [0.0, 0.0, 0.0, 5.0]


def test_other_kinds_are_left_out():
    curves = rates([Transfer(0.0, 10.0, "other", 50, 0)], [], 10.0)
    assert all(rate == 0 for curve in curves.values() for rate in curve)


def test_what_is_lost_counts_as_negative_input():
    moved = [Transfer(0.0, 10.0, "input", 100, 0)]
    curves = rates(moved, [(25.0, 60), (26.0, 60)], 40.0)
    assert curves["input"] == [10.0, 0.0, -12.0, 0.0, 0.0]


def test_no_byte_gets_lost_between_steps():
    chance = random.Random(1)
    moved, total = [], 0
    for _ in range(500):
        start, size_bytes = chance.uniform(0, 90), chance.randrange(1, 10**6)
        end = start + chance.choice([0.0, 0.001, chance.uniform(0, 30)])
        moved.append(Transfer(start, min(end, 100.0), "shuffle", size_bytes, 0))
        total += size_bytes
    for step_s in (1.0, 7.0, 10.0):
        curve = rates(moved, [], 100.0, step_s)["shuffle"]
        assert sum(curve) * step_s == pytest.approx(total)


def test_three_runs_make_nine_panels_on_the_same_axes():
    drawn = panels([column("a"), column("b", 1278.0, 1283.0), column("c", low=-3e9)])
    assert len(drawn) == 9
    ends = {panel.findall(f"{SVG}line")[-1].get("y2") for panel in drawn[:3]}
    assert len(ends) == 1


def test_the_highest_rate_is_the_highest_point_and_losses_lie_below_zero():
    (panel, *_) = panels([column(low=-3e9)])
    (_, zero), *curve, _ = points(panel)
    heights = [y for _, y in curve]
    assert heights.index(min(heights)) == 1
    assert heights[0] == zero
    assert heights[3] > zero
    scale = (zero - heights[1]) / 13
    assert (heights[3] - zero) / 3 == pytest.approx(scale, rel=0.02)


def test_the_marks_stand_where_the_runs_end():
    (panel, *_) = panels([column(done_s=500.0, paper_s=900.0)])
    marks = {line.get("class"): float(line.get("x1")) for line in panel.findall(f"{SVG}line")}
    assert marks["done"] / marks["paper"] == pytest.approx(500 / 900, rel=0.01)


def test_marks_and_curves_share_an_axis():
    """The second step of ten seconds has its point in its middle."""
    (panel, *_) = panels([column(done_s=15.0, paper_s=20.0)])
    marks = {line.get("class"): float(line.get("x1")) for line in panel.findall(f"{SVG}line")}
    assert points(panel)[2][0] == marks["done"]


def test_titles_are_text_and_not_markup():
    root = ElementTree.fromstring(draw([column("a < b & c")]))
    assert "a < b & c" in [element.text for element in root.iter(f"{SVG}text")]


def test_a_run_in_which_nothing_moved_can_be_drawn():
    empty = Column("nothing", {kind: [0.0] for kind in KINDS}, 1.0, 1.0)
    assert len(panels([empty])) == 3
