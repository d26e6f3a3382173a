"""Where the number of a line is, for the jobs that have the options `column` and `separator`.

    column 0        the whole line
    column 2        its second column; columns are counted from 1
    separator ""    columns stand between runs of blanks, as in awk
    separator ","   columns stand between commas, and may be empty

A number is what Python's `float` reads: 17, -2.5, 1e6, inf. NaN is none: it has no place in an
order. The job `sort` finds its key in the same way.
"""

import minimr as mr

NO_NUMBER = "lines without a number"
"""The counter of the lines that a job leaves out because `number_in` finds nothing there."""


def number_in(line: str, column: int, separator: str) -> float | None:
    """Return the number of the line's column, or None if there is none."""
    try:
        number = float(line.split(separator or None, column)[column - 1] if column else line)
    except (ValueError, IndexError):
        return None
    return number if number == number else None


def check_column(column: int) -> None:
    """Raise UsageError unless there can be such a column."""
    if column < 0:
        raise mr.UsageError(f"Columns are counted from 1, so --column cannot be {column}.")
