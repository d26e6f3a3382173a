"""The one loop that owns the state: take an event, react, and look at the timers in between.

Reader threads put what arrives into the mailbox; only the loop's thread handles it. So the state
needs no lock, and a run is one sequence of events that can be written down.

A machine that slept (a closed lid, SIGSTOP) wakes up with old timers and unread sockets. Judging by
the timers first would declare every worker dead, so a loop that is late gives the readers time to
deliver before it believes a timer.
"""

import heapq
import time
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")

BATCH_MAX = 256
LATE_S = 1.0
GRACE_S = 3.0


class Loop(Generic[Item]):
    """`handle(item)` for everything posted, `flush()` after each batch, timers when idle."""

    def __init__(self, handle: Callable[[Item], None], flush: Callable[[], None]) -> None:
        self._handle, self._flush = handle, flush
        self._mailbox: SimpleQueue[Item] = SimpleQueue()
        self._timers: list[tuple[float, int, Item]] = []
        self._order = count()
        self._stopped = False

    def post(self, item: Item) -> None:
        """From any thread."""
        self._mailbox.put(item)

    def at(self, when: float, item: Item) -> None:
        """From the loop's own thread: handle `item` at this time of the monotonic clock."""
        heapq.heappush(self._timers, (when, next(self._order), item))

    def stop(self) -> None:
        """From the loop's own thread: leave after this batch."""
        self._stopped = True

    def run(self) -> None:
        while not self._stopped:
            if self._drain():
                self._fire_timers()
            self._flush()

    def _drain(self) -> bool:
        """Wait for the mailbox or the next timer, then handle what came. True if all is handled."""
        wait_s = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        try:
            self._handle(self._mailbox.get(timeout=wait_s))
            for _ in range(BATCH_MAX):
                self._handle(self._mailbox.get_nowait())
        except Empty:
            return True
        return False

    def _fire_timers(self) -> None:
        now = time.monotonic()
        if self._timers and now - self._timers[0][0] > LATE_S:
            late = [(now + GRACE_S, order, item) for _, order, item in self._timers]
            self._timers = late
            heapq.heapify(self._timers)
            return
        while self._timers and self._timers[0][0] <= now:
            self._handle(heapq.heappop(self._timers)[2])
