"""What can go wrong with a connection, as data: the faults of `fault_proxy.py`."""

from dataclasses import dataclass

from minimr.errors import UsageError

DELAY, CUT, HALF_OPEN = "delay", "cut", "half-open"
FLIP, TRUNCATE, TRICKLE = "flip", "truncate", "trickle"
KINDS = (DELAY, CUT, HALF_OPEN, FLIP, TRUNCATE, TRICKLE)
LASTING = (DELAY, HALF_OPEN, TRICKLE)
DIRECTIONS = ("up", "down", "both")


def check_kind(kind: str) -> None:
    """Raise UsageError for a fault that there is not."""
    if kind not in KINDS:
        raise UsageError(f"no fault is called {kind!r}; there are: {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the connections through a proxy.

    delay      bytes arrive `delay_s` later, plus up to `jitter_s` of chance
    cut        the connection ends with RST on both sides, whatever is under way
    half-open  nothing passes any more, nothing is said, both sockets stay open
    flip       one bit of the next byte changes
    truncate   both sides see the end of the stream (FIN)
    trickle    `bytes_per_s` pass

    "up" is from the one who connected to the target. A fault strikes a connection once both
    `after_s` seconds and `after_bytes` bytes in its direction have passed, counted from
    `break_with` or from the connection's beginning, whichever is later. `count` is the number of
    connections it strikes (None: all), and `duration_s` ends a delay, a half-open or a trickle.
    """

    kind: str
    direction: str = "both"
    after_s: float = 0.0
    after_bytes: int = 0
    count: int | None = None
    duration_s: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if self.direction not in DIRECTIONS:
            raise UsageError(f"{self.direction!r} is no direction; say up, down or both")
        amounts = (self.after_s, self.after_bytes, self.delay_s, self.jitter_s, self.bytes_per_s)
        if not all(0 <= amount < float("inf") for amount in (*amounts, self.duration_s or 0)):
            raise UsageError(f"a {self.kind} with an amount that is negative or no number")
        if self.count is not None and self.count < 1:
            raise UsageError(f"a {self.kind} of {self.count} connections; at least one is needed")
        if self.duration_s is not None and self.kind not in LASTING:
            raise UsageError(f"a {self.kind} has no duration; {', '.join(LASTING)} have")
        if self.kind != DELAY and self.delay_s + self.jitter_s:
            raise UsageError(f"a {self.kind} does not take a time to wait; a delay does")
        if self.kind != TRICKLE and self.bytes_per_s:
            raise UsageError(f"a {self.kind} does not take bytes per second; a trickle does")
        if self.kind == DELAY and not self.delay_s + self.jitter_s:
            raise UsageError("a delay needs to know how long: delay:0.2s")
        if self.kind == TRICKLE and not self.bytes_per_s:
            raise UsageError("a trickle needs to know how many bytes per second: trickle:100B")
