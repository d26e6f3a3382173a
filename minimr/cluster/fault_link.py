"""One connection through the fault proxy: two sockets, a flow in each direction, and its faults.

Nothing here waits. The proxy's loop calls `Link.advance` when a socket is ready or a time has come,
and `Link.settle` to say what it waits for next.
"""

import random
import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minimr.cluster.fault import CUT, DELAY, FLIP, HALF_OPEN, TRICKLE, TRUNCATE, Fault

READ_BYTES = 1 << 16
QUEUE_BYTES_MAX = 4 << 20
TRICKLE_STEP_S = 0.05
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 seconds: closing the socket sends RST."""

Note = Callable[[str, int, str | None, int | None], None]


@dataclass(eq=False, slots=True)
class _Watch:
    """One fault on one direction of one connection. `victims` is shared by all of the fault's."""

    fault: Fault
    victims: set[int]
    due_s: float
    due_byte: int
    struck_s: float | None = None

    def strikes_at(self, now: float) -> bool:
        """Whether a fault that lasts has begun and is not over."""
        return self.struck_s is not None and now < self.over_s

    @property
    def over_s(self) -> float:
        """When it ends, on the clock of `due_s`; never, if nothing says so."""
        if self.struck_s is None or self.fault.duration_s is None:
            return float("inf")
        return self.struck_s + self.fault.duration_s

    def strike_if_due(self, connection: int, now: float, byte: int) -> bool:
        """True once: when it is due, and not enough other connections were struck already."""
        if self.struck_s is not None or now < self.due_s or byte < self.due_byte:
            return False
        full = self.fault.count is not None and len(self.victims) >= self.fault.count
        if full and connection not in self.victims:
            return False
        self.victims.add(connection)
        self.struck_s = now
        return True


@dataclass(eq=False, slots=True)
class _Flow:
    """One direction of one connection: what was read and is not written yet, and what is wrong."""

    direction: str
    source: socket.socket
    sink: socket.socket
    chance: random.Random
    watches: list[_Watch] = field(default_factory=list)
    passed_bytes: int = 0
    queue: deque[tuple[float, memoryview]] = field(default_factory=deque)
    queued_bytes: int = 0
    blocked: bool = False
    next_write_s: float = 0.0
    at_end: bool = False
    cut_short: bool = False
    sink_shut: bool = False

    def striking(self, kind: str, now: float) -> Fault | None:
        for watch in self.watches:
            if watch.fault.kind == kind and watch.strikes_at(now):
                return watch.fault
        return None

    def wants_to_read(self, now: float) -> bool:
        if self.at_end or self.cut_short:
            return not self.at_end  # What follows a truncation is read and thrown away.
        return self.queued_bytes < QUEUE_BYTES_MAX and not self.striking(HALF_OPEN, now)

    def read_limit(self) -> int:
        """Pieces end where a fault is due, so that it strikes at exactly that byte."""
        ahead = [watch.due_byte - self.passed_bytes for watch in self.watches]
        return min([READ_BYTES, *(distance for distance in ahead if distance > 0)])

    def read(self) -> bytearray:
        """The next piece; empty if there is none now, or none ever again (`at_end`)."""
        try:
            data = bytearray(self.source.recv(self.read_limit()))
        except BlockingIOError:
            return bytearray()
        self.at_end = not data
        return bytearray() if self.cut_short else data

    def enqueue(self, data: bytearray, now: float) -> None:
        due_s = now
        if delay := self.striking(DELAY, now):
            due_s += delay.delay_s + delay.jitter_s * self.chance.random()
        self.queue.append((due_s, memoryview(data)))
        self.queued_bytes += len(data)
        self.passed_bytes += len(data)

    def write(self, now: float) -> None:
        """Pass on what is due, then the end of the stream."""
        while self.queue and not self.blocked and self._next_write(now) <= now:
            due_s, data = self.queue.popleft()
            trickle = self.striking(TRICKLE, now)
            step = max(1, int(trickle.bytes_per_s * TRICKLE_STEP_S)) if trickle else len(data)
            try:
                sent = self.sink.send(data[:step])
            except BlockingIOError:
                sent, self.blocked = 0, True
            if trickle:
                self.next_write_s = now + sent / trickle.bytes_per_s
            self.queued_bytes -= sent
            if sent < len(data):
                self.queue.appendleft((due_s, data[sent:]))
        if not self.queue and (self.at_end or self.cut_short) and not self.sink_shut:
            self.sink.shutdown(socket.SHUT_WR)
            self.sink_shut = True

    def _next_write(self, now: float) -> float:
        slow = self.next_write_s if self.striking(TRICKLE, now) else 0.0
        return max(self.queue[0][0], slow)

    def wakes_at(self, now: float) -> float:
        """When something is to be done without anything having arrived."""
        times = [watch.due_s if watch.struck_s is None else watch.over_s for watch in self.watches]
        if self.queue and not self.blocked:
            times.append(self._next_write(now))
        return min((each for each in times if each > now), default=float("inf"))


class Link:
    """One connection through the proxy: two sockets, two flows."""

    def __init__(
        self, number: int, near: socket.socket, far: socket.socket, seed: int, note: Note
    ) -> None:
        self.number, self._note = number, note
        self.closed = False
        self.flows = tuple(
            _Flow(direction, source, sink, random.Random(f"{seed}/{number}/{direction}"))
            for direction, source, sink in (("up", near, far), ("down", far, near))
        )
        self._interest: dict[socket.socket, int] = {near: 0, far: 0}
        for sock in self._interest:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def watch(self, fault: Fault, victims: set[int], now: float) -> None:
        for flow in self.flows:
            if fault.direction in ("both", flow.direction):
                due_byte = flow.passed_bytes + fault.after_bytes
                flow.watches.append(_Watch(fault, victims, now + fault.after_s, due_byte))

    def advance(self, ready: dict[Any, int], now: float) -> None:
        """Everything that can be done now, `ready` being what the selector found."""
        try:
            for flow in self.flows:
                self._strike(flow, now)
                if ready.get(flow.sink, 0) & selectors.EVENT_WRITE:
                    flow.blocked = False
                if ready.get(flow.source, 0) & selectors.EVENT_READ:
                    self._pass_on(flow, now)
            for flow in self.flows:
                if not self.closed:
                    flow.write(now)
        except OSError:
            self.reset()  # One side broke off, so the other hears of it in the same way.
        if all(flow.at_end and flow.sink_shut for flow in self.flows):
            self.close()

    def _pass_on(self, flow: _Flow, now: float) -> None:
        if self.closed or not flow.wants_to_read(now):
            return
        data = flow.read()
        if not data:
            return
        for watch in flow.watches:
            if watch.fault.kind == FLIP and self._is_struck(watch, flow, now):
                data[0] ^= 1 << flow.chance.randrange(8)
        flow.enqueue(data, now)
        self._strike(flow, now)

    def _strike(self, flow: _Flow, now: float) -> None:
        """Begin the faults that are due; a flip waits for the byte that it changes."""
        for watch in flow.watches:
            kind = watch.fault.kind
            if self.closed or kind == FLIP or not self._is_struck(watch, flow, now):
                continue
            if kind == CUT:
                for each in self.flows:
                    each.write(now)
                self.reset()
            elif kind == TRUNCATE:
                for each in self.flows:
                    each.cut_short = True

    def _is_struck(self, watch: _Watch, flow: _Flow, now: float) -> bool:
        struck = watch.strike_if_due(self.number, now, flow.passed_bytes)
        if struck:
            self._note(watch.fault.kind, self.number, flow.direction, flow.passed_bytes)
        return struck

    def reset(self) -> None:
        """RST to both sides, and what they have not read is lost."""
        for sock in self._interest:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._note("closed", self.number, None, None)

    def settle(self, selector: selectors.BaseSelector, now: float) -> None:
        """Tell the selector what to look for; a socket that nobody asks about may be silent."""
        wanted = dict.fromkeys(self._interest, 0)
        for flow in self.flows:
            if not self.closed:
                wanted[flow.source] |= selectors.EVENT_READ * flow.wants_to_read(now)
                wanted[flow.sink] |= selectors.EVENT_WRITE * flow.blocked
        for sock, before in self._interest.items():
            if before and wanted[sock] != before:
                selector.unregister(sock)
            if wanted[sock] and wanted[sock] != before:
                selector.register(sock, wanted[sock])
            if self.closed:
                sock.close()
        self._interest = wanted
