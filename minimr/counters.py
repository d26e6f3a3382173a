"""What a job may count. Counters are for people, and travel with every answer: there are few of
them, and what depends on the data is pairs.

Tasks hold what user code counted to this before they answer, the coordinator what it is told, and
the scheduler the sum over all tasks.
"""

from collections.abc import Mapping
from typing import Any

from minimr.errors import UsageError

COUNTERS_MAX = 1_000
NAME_CHARACTERS_MAX = 200
COUNT_MAX = 1 << 53
"""In one task."""
SUM_MAX = (1 << 63) - 1
"""In all tasks together; what is larger no message can carry."""


def check_counters(counters: Any) -> dict[str, int]:
    """Return the counters of a task. Raises UsageError for what no message may carry."""
    if type(counters) is not dict:
        raise UsageError("the counters of a job are a dict; count with self.count(name)")
    for name, count in counters.items():
        if type(name) is not str or len(name) > NAME_CHARACTERS_MAX:
            what = f"one of {len(name):,}" if type(name) is str else type(name).__name__
            raise UsageError(
                f"the name of a counter is a text of up to {NAME_CHARACTERS_MAX} characters, "
                f"not {what}"
            )
        if type(count) is not int or abs(count) > COUNT_MAX:
            what = "larger" if type(count) is int else f"of type {type(count).__name__}"
            raise UsageError(
                f"a counter is a whole number of up to {COUNT_MAX:,}, and {name!r} is {what}"
            )
    if why := too_much(counters):
        raise UsageError(why)
    return counters


def too_much(counters: Mapping[str, int]) -> str:
    """Say what is too much in those of one task, or of all together; "" if nothing."""
    if len(counters) > COUNTERS_MAX:
        return (
            f"a job may have up to {COUNTERS_MAX:,} counters, not {len(counters):,}; "
            "yield as pairs what depends on the data"
        )
    for name, count in counters.items():
        if abs(count) > SUM_MAX:
            return f"a counter goes up to {SUM_MAX:,} in all tasks together, and {name!r} is larger"
    return ""
