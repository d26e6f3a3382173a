"""Cut each user's events into sessions.

    minimr run sessionize clicks.tsv -o sessions -- --gap 900

A line is a user, a tab, a time in seconds, and whatever follows after another tab. The events of a
user, in the order of their times, are one session until more than `gap` seconds pass between two of
them. The result is the user and (start, end, number of events) for each session, the first one
first. The lines need not be in order. Those without a time are left out and counted.

An event is a session that starts when it ends. Two sessions of a user with no more than a gap
between them are one, and it makes no difference which are joined first: so the map tasks can begin,
and what must fit in memory is the sessions of one user, as the map tasks found them.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import minimr as mr

Time = int | float
Session = tuple[Time, Time, int]


class Sessionize(mr.Job):
    """Emits (user, (time, time, 1)) for each event; joins the sessions of a user."""

    gap: float = 1800.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not self.gap >= 0:
            raise mr.UsageError(f"--gap is a number of seconds, at least 0, not {self.gap}.")

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, Session]]:
        user, _, rest = line.partition("\t")
        time = time_in(rest.partition("\t")[0])
        if time is None:
            self.count("lines without a time")
        else:
            yield user, (time, time, 1)

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[str, Session]]:
        sessions: dict[str, list[Session]] = {}
        for offset, line in block.lines():
            for user, event in self.map(offset, line):
                sessions.setdefault(user, []).append(event)
        for user, events in sessions.items():
            yield from self.reduce(user, events)

    def reduce(self, user: str, sessions: Iterable[Session]) -> Iterator[tuple[str, Session]]:
        (start, end, events), *later = sorted(sessions)
        for next_start, next_end, more in later:
            if next_start - end > self.gap:
                yield user, (start, end, events)
                start, end, events = next_start, next_end, more
            else:
                end, events = max(end, next_end), events + more
        yield user, (start, end, events)

    combine = reduce


def time_in(text: str) -> Time | None:
    """The time that a text is, None if it is none. A whole number is an int however it is written:
    equal times look alike, so that it cannot be seen which one came first.
    """
    try:
        time = float(text)
    except ValueError:
        return None
    if not math.isfinite(time):
        return None
    return int(time) if time.is_integer() else time
