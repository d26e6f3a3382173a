import pytest

from cli.charts import bar, sparkline


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 10, ""),
        ([5.0], 10, "▁"),
        ([5.0, 5.0], 10, "▁▁"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 10, "▁▂▃▄▅▆▇█"),
        ([7, 0], 10, "█▁"),
        (list(range(101)), 5, "▁▃▅▆█"),
        ([9.0, *([0.0] * 98), 9.0], 4, "█▁▁█"),
        ([-2.0, -1.0], 2, "▁█"),
    ],
)
def test_sparkline(values: list[float], width: int, expected: str) -> None:
    assert sparkline(values, width) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(80, "█" * 10), (0, ""), (1, "▏"), (4, "▌"), (8, "█"), (15, "█▉"), (79, "█" * 9 + "▉")],
)
def test_bar(value: float, expected: str) -> None:
    assert bar(value, maximum=80, width=10) == expected
