"""What is printed: a table, goals in sentences, changes."""

from tests.bench.case import Case, Goal
from tests.bench.figures import Figures, verdicts
from tests.bench.table import changes_of, goals_of, markdown, table_of

CASE = Case("A case", lambda _: [], lambda _: None, [Goal(1.5, "Pool"), Goal(1)], unit="ms")
FIGURES = {
    "minimr": Figures([3, 2, 4], [1.5, 2.5, 1.0], 12_345_678),
    "Pool": Figures([2], [1], 5_000_000, watched=True),
    "Polars": Figures(why="absent: there is no polars"),
}


def test_a_table_has_medians_ratios_and_those_who_are_missing() -> None:
    assert table_of(CASE, FIGURES) == [
        "| system | median, ms | from |   to | minimr takes | CPU s | peak MB |       runs |",
        "| ------ | ---------: | ---: | ---: | -----------: | ----: | ------: | ---------: |",
        "| minimr |       3.00 | 2.00 | 4.00 |              |  1.50 |      12 |          3 |",
        "| Pool   |       2.00 | 2.00 | 2.00 |       1.50 x |  1.00 |       5 | 1, watched |",
        "",
        "- Polars: absent: there is no polars",
    ]


def test_goals_say_what_was_seen_and_by_how_much_they_are_missed() -> None:
    goals = [*CASE.goals, Goal(1, "Polars", stretch=True), Goal(10, figure="peak_mb")]
    assert goals_of(CASE, verdicts(goals, FIGURES)) == [
        "- goal: minimr takes at most 1.5 x Pool: 1.50 x, reached",
        "- goal: minimr takes at most 1 ms: 3.00 ms, missed by 200%",
        "- stretch goal: minimr takes at most 1 x Polars: not measured",
        "- goal: minimr takes at most 10 MB: 12.35 MB, missed by 23%",
    ]


def test_changes_are_ratios_of_ratios() -> None:
    then = {"minimr": Figures([6], [1]), "Pool": Figures([2], [1])}
    assert changes_of(FIGURES, then)[-1] == "| Pool           | 3.00 x | 1.50 x |   -50% |"


def test_a_table_without_rows_is_its_head() -> None:
    assert markdown(["a", "bc"], []) == ["| a | bc |", "| - | -: |"]
