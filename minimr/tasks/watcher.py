"""What a running task tells about itself while it runs, and to whom.

A slot that is stuck looks like one that is busy, and one that died cannot say where. So a task
*ticks* as it goes on (a worker that sees no tick for long calls it stuck), and in careful mode it
publishes the position of each record before user code is called. Both go to a Watcher: in a slot
that is memory shared with the worker (cluster/whereabouts.py), in the serial runner nobody.

Ticks must cost nothing beside the records, yet come often where each record is slow. So a loop
asks its Pace only now and then: after every single record at first and wherever records take their
time, after up to PACE_MAX of them where they do not.
"""

from time import perf_counter
from typing import Protocol

PACE_MAX = 64
PACE_S = 0.001
"""Records that took longer together are followed by a tick after the next one."""


class Watcher(Protocol):
    """Both methods are quick and never fail."""

    def tick(self) -> None:
        """Note that the task went on."""

    def at(self, position: str | None, sentence: str = "") -> None:
        """Note where the task is now; None is nowhere in particular. `sentence` is for people."""


class _Nobody:
    def tick(self) -> None:
        pass

    def at(self, position: str | None, sentence: str = "") -> None:
        pass


NOBODY = _Nobody()


class Pace:
    """Ticks for a loop: `if count == due: due = pace.next(count)`, with `due` 1 at first."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._items = 1
        self._at = perf_counter()

    def next(self, count: int) -> int:
        """Tick; return the count at which to call this again."""
        self._watcher.tick()
        now = perf_counter()
        self._items = min(2 * self._items, PACE_MAX) if now - self._at < PACE_S else 1
        self._at = now
        return count + self._items
