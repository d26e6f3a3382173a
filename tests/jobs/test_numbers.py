"""Where the number of a line is."""

import pytest

from minimr.jobs.numbers import number_in


@pytest.mark.parametrize(
    ("line", "column", "separator", "expected"),
    [
        (" 17 ", 0, "", 17.0),
        ("17\r", 0, "", 17.0),
        ("1 2", 0, "", None),
        ("a  b \t-2.5 c", 3, "", -2.5),
        ("a,,1e3,4", 3, ",", 1000.0),
        ("a,,1e3,4", 2, ",", None),
        ("5,a", 1, ",", 5.0),
        ("a,5", 3, ",", None),
        ("inf", 0, "", float("inf")),
        ("nan", 0, "", None),
        ("", 0, "", None),
        ("", 1, "", None),
        ("\udcff", 0, "", None),
    ],
)
def test_the_number_of_a_line(line, column, separator, expected):
    assert number_in(line, column, separator) == expected
