"""Virtual time: a heap of things to come, and a clock that jumps from one to the next.

This is the loop of the coordinator and of the worker with a heap in place of the mailbox
(discrete-event simulation). Whatever happens, happens inside one call from here, so a run is a
function of its seed: equal times are told apart by the order in which they were planned.

A process can be stopped (SIGSTOP, a closed laptop lid) and go on later. What was addressed to it
meanwhile waits, messages before timers: a process that wakes up must hear its peers before it
concludes from its clock that they are all dead.
"""

from collections.abc import Callable
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any

Call = Callable[[Any], None]
Entry = tuple[float, int, "Process | None", Call, Any]


class Loop:
    """The only clock of a world. `at` plans a call; `run` makes the calls in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self.stopped = False
        self._heap: list[Entry] = []
        self._order = 0

    def at(self, time: float, process: "Process | None", call: Call, argument: Any) -> None:
        """Call `call(argument)` at `time`, in `process` if it lives then."""
        self._order += 1
        heappush(self._heap, (time, self._order, process, call, argument))

    def run(self, until: float) -> None:
        """Go on until nothing is planned, the time is up, or `stopped` is set."""
        heap = self._heap
        while heap and not self.stopped:
            if heap[0][0] > until:
                self.now = until
                return
            self.now, _, process, call, argument = heappop(heap)
            self.events += 1
            if process is not None and process.state:
                process.defer(call, argument)
            else:
                call(argument)


class ProcessState(IntEnum):
    RUNNING = 0
    STOPPED = 1
    DEAD = 2


class Process:
    """One simulated operating system process: when it hears, what its clock says.

    Its clock may run ahead of the world's, and only ever jumps forward, as a monotonic clock does.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.state = ProcessState.RUNNING
        self.ahead_s = 0.0
        self._waiting: list[tuple[Call, Any]] = []
        self._timers: dict[int, tuple[float, Call, Any]] = {}
        self._timer_count = 0

    def clock(self) -> float:
        return self.loop.now + self.ahead_s

    def soon(self, seconds: float, call: Call, argument: Any) -> None:
        """Something reaches this process that many seconds from now."""
        self.loop.at(self.loop.now + seconds, self, call, argument)

    def timer(self, at: float, call: Call, argument: Any) -> None:
        """Call when this process's clock shows `at`."""
        self._timer_count += 1
        self._timers[self._timer_count] = (at, call, argument)
        self.loop.at(at - self.ahead_s, self, self._ring, self._timer_count)

    def jump(self, seconds: float) -> None:
        """The clock leaps forward; timers that are due then ring one after the other."""
        self.ahead_s += seconds
        for number, (at, _, _) in self._timers.items():
            due = max(self.loop.now, at - self.ahead_s)
            self.loop.at(due, self, self._ring, number)

    def stop(self) -> None:
        if self.state is ProcessState.RUNNING:
            self.state = ProcessState.STOPPED

    def resume(self) -> None:
        if self.state is not ProcessState.STOPPED:
            return
        self.state = ProcessState.RUNNING
        waiting, self._waiting = self._waiting, []
        for call, argument in sorted(waiting, key=self._is_timer):
            self.loop.at(self.loop.now, self, call, argument)

    def die(self) -> None:
        self.state = ProcessState.DEAD
        self._waiting.clear()
        self._timers.clear()

    def defer(self, call: Call, argument: Any) -> None:
        """Keep for later what reaches a stopped process; drop what reaches a dead one."""
        if self.state is ProcessState.STOPPED:
            self._waiting.append((call, argument))

    def _is_timer(self, entry: tuple[Call, Any]) -> bool:
        return entry[0] == self._ring

    def _ring(self, number: int) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer[1](timer[2])
