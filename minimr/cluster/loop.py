"""The one loop that owns the state: wait for something to happen, react, look at the timers.

It owns the sockets, too. Nothing that it does may block: a socket is read when the selector says
that bytes are there, and what a peer does not take at once waits in a backlog (see channel). So one
thread is enough, the state needs no lock, and a run is one sequence of events that can be written
down. Other threads, which exist for what does block, hand over their results with `post`.

A machine that slept (a closed lid, SIGSTOP) wakes up with old timers and unread sockets. Judging by
the timers first would declare every worker dead. So a timer is believed only when all that had
arrived has been read, and a loop that is late gives its peers time to speak up first.
"""

import heapq
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")
Ready = Callable[[int], bool]
"""Called with the events of epoll that a socket is ready for. False: there may be more."""

LATE_S = 1.0
GRACE_S = 3.0
WAIT_S_MAX = 3600.0
"""In one call; the kernel counts milliseconds in 32 bits."""


class Loop(Generic[Item]):
    """`handle(item)` for what is posted and for timers, `flush()` after each batch."""

    def __init__(self, handle: Callable[[Item], None], flush: Callable[[], None]) -> None:
        self._handle, self._flush = handle, flush
        self._mailbox: deque[Item] = deque()
        self._timers: list[tuple[float, int, Item]] = []
        self._order = count()
        self._stopped = self._closed = False
        self._epoll = select.epoll()
        self._watched: dict[int, Ready] = {}
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self.watch(self._bell, self._woken)

    def post(self, item: Item) -> bool:
        """From any thread, and from signal handlers: handle `item` soon. False: it is too late."""
        self._mailbox.append(item)
        try:
            self._alarm.send(b"!")
        except OSError:
            pass  # It rings already, or the loop is closed.
        return not self._closed

    def at(self, when: float, item: Item) -> None:
        """From the loop's own thread: handle `item` at this time of the monotonic clock."""
        heapq.heappush(self._timers, (when, next(self._order), item))

    def watch(self, sock: socket.socket, ready: Ready, writing: bool = False) -> None:
        """Call `ready` when there is something to read; with `writing`, also when there is room."""
        wanted = select.EPOLLIN | (select.EPOLLOUT if writing else 0)
        change = self._epoll.modify if sock.fileno() in self._watched else self._epoll.register
        change(sock, wanted)
        self._watched[sock.fileno()] = ready

    def unwatch(self, sock: socket.socket) -> None:
        """While it is open."""
        self._epoll.unregister(sock)
        del self._watched[sock.fileno()]

    def stop(self) -> None:
        """From the loop's own thread: leave after this batch."""
        self._stopped = True

    def run(self) -> None:
        while not self._stopped:
            if self._take():
                self._fire_timers()
            self._flush()

    def close(self) -> list[Item]:
        """After `run`: give the descriptors back. Returns what was posted and not handled."""
        self._closed = True
        self._epoll.close()
        self._alarm.close()
        self._bell.close()
        return list(self._mailbox)

    def _take(self) -> bool:
        """Wait for sockets, posts or the next timer, and handle what came. True if that is all."""
        wait_s = None
        if self._timers:
            wait_s = min(max(0.0, self._timers[0][0] - time.monotonic()), WAIT_S_MAX)
        finished = True
        came = self._epoll.poll(wait_s, len(self._watched))
        for ready, events in [(self._watched[number], events) for number, events in came]:
            finished &= ready(events)
        for _ in range(len(self._mailbox)):
            self._handle(self._mailbox.popleft())
        return finished

    def _woken(self, _events: int) -> bool:
        self._bell.recv(4096)
        return True

    def _fire_timers(self) -> None:
        now = time.monotonic()
        if self._timers and now - self._timers[0][0] > LATE_S:
            first = now + GRACE_S
            self._timers = [(max(first, when), order, item) for when, order, item in self._timers]
            heapq.heapify(self._timers)
            return
        while self._timers and self._timers[0][0] <= now:
            self._handle(heapq.heappop(self._timers)[2])
