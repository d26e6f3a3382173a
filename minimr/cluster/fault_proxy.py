"""A proxy that breaks TCP on purpose: it stands between two ends and spoils what passes.

The end-to-end argument (Saltzer, Reed and Clark, 1984) says that a function which needs the
knowledge of the two ends can only be done there; what the network does of it is an optimisation.
This proxy shows what TCP therefore leaves to the ends:

- Silence. A peer without power, or behind a pulled cable, sends no FIN and no RST, and TCP by
  itself never asks. Such a half-open connection looks like one where nobody has anything to say.
  So silence must be given a meaning: heartbeats in both directions, a lease, and a deadline on
  every read and write. MapReduce's master pings its workers for that reason (OSDI 2004, 3.3).
- Damage. TCP's checksum is a sum of 16-bit words. It misses words that changed places and errors
  that cancel out, and lets one in 65,536 of random damages through; and whatever ends a connection
  on the way makes it anew. Stone and Partridge ("When the CRC and TCP checksum disagree", 2000) met
  far more damage than the links' own checks should let through. A bit that flips in here travels
  on under a correct TCP checksum, so only the ends can find it.
- The ends of messages. TCP is a stream, and a connection may end at any byte of it.

One thread runs one selector loop over all connections. What is left to chance (the bit that flips,
the jitter) comes from the seed, the connection's number and the direction alone; how a stream falls
into pieces is up to the kernel.
"""

import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from minimr.cluster.fault import Fault
from minimr.cluster.fault_link import RESET, Link
from minimr.errors import UsageError

CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ProxyEvent:
    """Something that a proxy did: `what` is a fault's kind, "opened", "closed", "refused" or
    "healed". `t` is in seconds since the proxy began, `at_byte` what had passed in `direction`."""

    t: float
    what: str
    connection: int | None = None
    direction: str | None = None
    at_byte: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class FaultProxy:
    """Listens on loopback and forwards every connection to `target`; thread-safe.

    It begins when it is created; `close()`, or leaving its `with` block, ends it and every
    connection through it. `on_event` is called in the proxy's thread, for each of `events`.
    Raises UsageError if `port` cannot be had.
    """

    def __init__(
        self,
        target: tuple[str, int],
        seed: int = 0,
        port: int = 0,
        on_event: Callable[[ProxyEvent], None] = lambda _: None,
    ) -> None:
        self._target, self._seed, self._on_event = target, seed, on_event
        self.events: list[ProxyEvent] = []
        self._began_s = time.monotonic()
        self._lock = threading.RLock()
        self._faults: list[tuple[Fault, set[int]]] = []
        self._links: list[Link] = []
        self._accepted = 0
        self._closing = False
        self._listening = _listen(port)
        self.address: tuple[str, int] = self._listening.getsockname()
        self._alarm, self._bell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()

    def break_with(self, fault: Fault) -> None:
        """From now on, in addition to what is broken already."""
        with self._lock:
            victims: set[int] = set()
            self._faults.append((fault, victims))
            for link in self._links:
                link.watch(fault, victims, time.monotonic())
            self._ring()

    def heal(self) -> None:
        """Forward faithfully again. What was held back goes on; what was cut stays cut."""
        with self._lock:
            self._faults = []
            for link in self._links:
                for flow in link.flows:
                    flow.watches = []
            self._note("healed")
            self._ring()

    def close(self) -> None:
        with self._lock:
            self._closing = True
            self._ring()
        self._thread.join()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ring(self) -> None:
        if self._thread.is_alive():
            self._bell.send(b".")

    def _note(
        self,
        what: str,
        connection: int | None = None,
        direction: str | None = None,
        at_byte: int | None = None,
    ) -> None:
        t = round(time.monotonic() - self._began_s, 6)
        event = ProxyEvent(t, what, connection, direction, at_byte)
        self.events.append(event)
        self._on_event(event)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._alarm, selectors.EVENT_READ)
            try:
                timeout_s: float | None = None
                while not self._closing:
                    found = selector.select(timeout_s)
                    with self._lock:
                        timeout_s = self._turn(selector, {key.fileobj: got for key, got in found})
            finally:
                for link in self._links:
                    link.close()
                    link.settle(selector, time.monotonic())
                for sock in (self._listening, self._alarm, self._bell):
                    sock.close()

    def _turn(self, selector: selectors.BaseSelector, ready: dict[Any, int]) -> float | None:
        """Do all that can be done; the seconds until there is more, None if only events tell."""
        if self._alarm in ready:
            self._alarm.recv(4096)
        now = time.monotonic()
        if self._listening in ready:
            self._accept(now)
        for link in self._links:
            link.advance(ready, now)
            link.settle(selector, now)
        self._links = [link for link in self._links if not link.closed]
        flows = [flow for link in self._links for flow in link.flows]
        wake_s = min((flow.wakes_at(now) for flow in flows), default=float("inf"))
        return None if wake_s == float("inf") else max(0.0, wake_s - time.monotonic())

    def _accept(self, now: float) -> None:
        near, _ = self._listening.accept()
        self._accepted += 1
        try:
            far = socket.create_connection(self._target, CONNECT_TIMEOUT_S)
        except OSError:
            self._note("refused", self._accepted)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            near.close()
            return
        link = Link(self._accepted, near, far, self._seed, self._note)
        self._note("opened", self._accepted)
        for fault, victims in self._faults:
            link.watch(fault, victims, now)
        self._links.append(link)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used: {error.strerror}; choose another, or 0 for any"
        ) from None
