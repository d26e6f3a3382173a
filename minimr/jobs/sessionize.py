"""Cut each user's events into sessions.

    minimr run sessionize clicks.tsv -o sessions -- --gap 900

A line is a user, a tab, a time in seconds, and whatever follows after another tab. The events of a
user, in the order of their times, are one session until more than `gap` seconds pass between two of
them. The result is the user and (start, end, number of events) for each session, the first one
first. The lines need not be in order. Those without a time are left out and counted.

The order of a user's events is the shuffle's work, by a secondary sort: the key is (user, time), so
a session is known to be whole when the next one starts, and no user's events need fit in memory.

An event is a session that starts when it ends. Two sessions of a user with no more than a gap
between them are one, and it makes no difference which are joined first: so the map tasks can begin.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import minimr as mr

Key = tuple[str, float]
Rest = tuple[float, int]
"""Of a session that starts at the key's time: its end, and how many events it has."""


class Sessionize(mr.Job):
    """Emits ((user, time), (time, 1)) for each event; joins the sessions of a user."""

    secondary_sort: ClassVar[bool] = True

    gap: float = 1800.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not self.gap >= 0:
            raise mr.UsageError(f"--gap is a number of seconds, at least 0, not {self.gap}.")

    def map(self, _offset: int, line: str) -> Iterator[tuple[Key, Rest]]:
        user, _, rest = line.partition("\t")
        time = time_in(rest.partition("\t")[0])
        if time is None:
            self.count("lines without a time")
        else:
            yield (user, time), (time, 1)

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[Key, Rest]]:
        events: dict[str, list[tuple[float, Rest]]] = {}
        for offset, line in block.lines():
            for (user, time), rest in self.map(offset, line):
                events.setdefault(user, []).append((time, rest))
        for user, times in events.items():
            for start, end, count in self.joined(sorted(times)):
                yield (user, start), (end, count)

    def reduce(
        self, user: str, sessions: Iterator[tuple[float, Rest]]
    ) -> Iterator[tuple[str, tuple[float, float, int]]]:
        for start, end, events in self.joined(sessions):
            yield user, (shown(start), shown(end), events)

    def joined(self, sessions: Iterable[tuple[float, Rest]]) -> Iterator[tuple[float, float, int]]:
        """Yield (start, end, events), given sessions in the order in which they start."""
        later = iter(sessions)
        start, (end, events) = next(later)
        for next_start, (next_end, more) in later:
            if next_start - end > self.gap:
                yield start, end, events
                start, end, events = next_start, next_end, more
            else:
                end, events = max(end, next_end), events + more
        yield start, end, events


def time_in(text: str) -> float | None:
    """The time that a text is, None if it is none."""
    try:
        time = float(text)
    except ValueError:
        return None
    return time if math.isfinite(time) else None


def shown(time: float) -> int | float:
    """A whole number as an int: equal times look alike, however they were written."""
    return int(time) if time.is_integer() else time
