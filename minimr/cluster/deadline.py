"""Until when a piece of bulk data must have passed.

A timeout on each read or write is not enough: a peer that lets one byte pass every second is never
silent, and holds whoever waits for it for ever. So a request has an end that grows with its size:
so long for the first byte, and from there a rate that any healthy disk and network keeps.
"""

import time

REPLY_S = 20.0
BYTES_PER_S_MIN = 100_000


class Deadline:
    """For `size_bytes` that pass from now on."""

    def __init__(self, size_bytes: int = 0) -> None:
        self._size_bytes = size_bytes
        self._allowed_s = REPLY_S + size_bytes / BYTES_PER_S_MIN
        self._ends_at = time.monotonic() + self._allowed_s

    def left_s(self) -> float:
        """How long one may wait. Raises TimeoutError when the time is up."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            what = f"{self._size_bytes} bytes" if self._size_bytes else "an answer"
            raise TimeoutError(f"timed out: {what} did not pass within {self._allowed_s:.3g} s")
        return left_s
