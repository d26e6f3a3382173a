"""Medians, ratios, goals, and the comparison with an earlier run."""

from pathlib import Path

import pytest

from tests.bench.case import Goal
from tests.bench.figures import Figures, changes, ratios, verdicts
from tests.bench.report import Report, read_report


def of(*values: float, peak_bytes: int = 0) -> Figures:
    return Figures(values=[*values], cpu_s=[1.0] * len(values), peak_bytes=peak_bytes)


ABSENT = Figures(why="absent: there is no polars")


def test_a_ratio_is_that_of_medians_and_outliers_do_not_count() -> None:
    figures = {"minimr": of(3, 2, 100), "Pool": of(2, 1, 0.1), "Polars": of(6)}
    assert ratios(figures) == {"Pool": 3.0, "Polars": 0.5}


def test_who_has_no_figures_has_no_ratio() -> None:
    assert ratios({"minimr": of(1), "Polars": ABSENT, "Pool": of(0)}) == {}
    assert ratios({"minimr": ABSENT, "Pool": of(1)}) == {}


def test_goals_are_relative_or_absolute_and_of_time_or_memory() -> None:
    figures = {"minimr": of(3, peak_bytes=90_000_000), "Pool": of(2, peak_bytes=30_000_000)}
    goals = [
        Goal(1.5, "Pool"),
        Goal(1.4, "Pool"),
        Goal(3),
        Goal(2.9),
        Goal(1, of="Pool", times="minimr"),
        Goal(90, figure="peak_mb"),
        Goal(2.9, "Pool", figure="peak_mb"),
    ]
    found = verdicts(goals, figures)
    assert [each.met for each in found] == [True, False, True, False, True, True, False]
    assert [each.seen for each in found] == [1.5, 1.5, 3, 3, 2 / 3, 90, 3]


def test_a_goal_is_open_while_somebody_has_no_figures() -> None:
    (verdict,) = verdicts([Goal(1, "Polars")], {"minimr": of(1), "Polars": ABSENT})
    assert verdict.seen is None
    assert not verdict.met
    (verdict,) = verdicts([Goal(1, "Polars")], {"minimr": of(1)})
    assert verdict.seen is None


def test_a_machine_twice_as_fast_changes_nothing() -> None:
    then = {"minimr": of(4), "Pool": of(2), "Ray": of(8), "Dask": of(1)}
    now = {"minimr": of(2), "Pool": of(1), "Ray": of(2), "Polars": of(1)}
    assert list(changes(now, then)) == [("Pool", 2.0, 2.0), ("Ray", 0.5, 1.0)]


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    cases = {"cold": {"minimr": of(2, 3, peak_bytes=7), "Polars": ABSENT}}
    cases["cold"]["minimr"].answer = [3, "abc"]
    report = Report({"cores": 2}, 0.5, cases)
    report.write(tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize("text", ["[]", '{"version": 0}'])
def test_another_file_is_no_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=r"other\.json is no report"):
        read_report(tmp_path / "other.json")
