"""The simulated network: which messages arrive, when, and which never do.

A connection is TCP's: two streams, each of which keeps its order. So a partition does not lose a
message, it holds it until the partition heals, unless an end gives up before; and a stream that
lost one message loses all that follow. What TCP rules out but an application that repeats itself
after a reconnect does not, is a fault of its own: a message that arrives twice, or overtakes.
"""

import random
from dataclasses import dataclass, field
from math import inf
from typing import Any

from minimr.simulator.loop import Call, Loop, Process

COORDINATOR = -1
"""The coordinator's place among the machines; workers are 0, 1, ..."""

Path = tuple[int, int]
"""From one machine to another; each direction has its own faults."""


@dataclass(slots=True)
class Trouble:
    """What is wrong with one direction, and until when."""

    blocked_until: float = 0.0
    slow_until: float = 0.0
    extra_s: float = 0.0
    disorder_until: float = 0.0
    repeats: list[float] = field(default_factory=list)
    """For each message that is to arrive twice: how much later the second time."""


class Network:
    """All faults of all directions. `transit_s` says how long a message takes right now."""

    def __init__(self, loop: Loop, chance: random.Random, latency_s: float) -> None:
        self.loop = loop
        self.chance = chance
        self.latency_s = latency_s
        self.troubles: dict[Path, Trouble] = {}

    def trouble(self, path: Path) -> Trouble:
        return self.troubles.setdefault(path, Trouble())

    def block(self, path: Path, until: float) -> None:
        trouble = self.trouble(path)
        trouble.blocked_until = max(trouble.blocked_until, until)

    def heal(self) -> None:
        """Every fault of the network is over, for what is sent from now on."""
        self.troubles.clear()

    def transit_s(self, path: Path) -> float:
        """Seconds until a message sent now arrives; infinite if it never does."""
        delay_s = self.latency_s * (1.0 + self.chance.random())
        trouble = self.troubles.get(path)
        if trouble is None:
            return delay_s
        now = self.loop.now
        if trouble.slow_until > now:
            delay_s += trouble.extra_s
        if trouble.disorder_until > now:
            delay_s += self.chance.random()
        return delay_s + max(0.0, trouble.blocked_until - now)

    def round_trip_s(self, here: int, there: int) -> float:
        return self.transit_s((here, there)) + self.transit_s((there, here))


class Stream:
    """One direction of a connection. `heard((tag, message))` and `ended(tag)` run at the far end.

    The tag tells the far end which of its connections speaks.
    """

    def __init__(
        self, network: Network, path: Path, process: Process, heard: Call, ended: Call
    ) -> None:
        self._network = network
        self._path = path
        self._process = process
        self._heard, self._ended = heard, ended
        self.tag: Any = None
        self.last_at = 0.0
        """When the last message arrives that keeps the order."""
        self.empty_at = 0.0
        """When the last of all messages arrives."""
        self._closed = False
        self._has_begun = False  # Nothing overtakes the first message, a registration.
        self.lost = False
        """Nothing that is sent from now on arrives, not even the end of the stream."""

    def send(self, message: Any) -> None:
        if self._closed or self.lost:
            return
        loop, trouble = self._network.loop, self._network.troubles.get(self._path)
        at = self._arrival(trouble if self._has_begun else None)
        self._has_begun = True
        if at == inf:
            self.lost = True
            return
        loop.at(at, self._process, self._heard, (self.tag, message))
        if trouble is not None and trouble.repeats:
            late_s = trouble.repeats.pop()
            loop.at(at + late_s, self._process, self._heard, (self.tag, message))

    def close(self) -> None:
        """The sender is done or dead: the far end learns it behind everything that was sent."""
        if self._closed or self.lost:
            return
        self._closed = True
        at = self._arrival(None)
        if at < inf:
            self._network.loop.at(at, self._process, self._ended, self.tag)

    def break_off(self) -> None:
        """The far end learns at once, whatever was under way."""
        self.lost = True
        self._network.loop.at(self._network.loop.now, self._process, self._ended, self.tag)

    def _arrival(self, trouble: Trouble | None) -> float:
        now = self._network.loop.now
        at = max(self.last_at, now + self._network.transit_s(self._path))
        if trouble is None or trouble.disorder_until <= now:
            self.last_at = at
        self.empty_at = max(self.empty_at, at)
        return at


@dataclass(slots=True, eq=False)
class Line:
    """A connection between a worker (below) and the coordinator (above), as both ends see it."""

    up: Stream
    down: Stream
    name: str = ""
    """The worker's, once it is registered."""
    beat_at: float = 0.0
    """When the worker's last heartbeat came, by the coordinator's clock."""
