"""A client's way back to a coordinator that was restarted from its journal, or that it lost."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minimr.cluster.address import Address, OtherCluster, read_again
from minimr.cluster.client import Client
from minimr.errors import NoCoordinator
from minimr.scheduler.policy import PATIENCE_S

PAUSE_S = 0.2


def come_back(address_file: Path, before: Address) -> Client:
    """A new conversation with the same cluster. Raises NoCoordinator if nobody has answered for
    `PATIENCE_S`, or at once if the file is another cluster's."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return Client(read_again(address_file, before))
        except OtherCluster:
            raise
        except NoCoordinator:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(PAUSE_S)


class NewsOnly:
    """Passes on each line of a job's log once. Whoever comes back is told the whole log again; a
    coordinator that was started again begins another one."""

    def __init__(self, on_events: Callable[..., object]) -> None:
        self._on_events = on_events
        self._first: dict[str, Any] | None = None
        self._heard = self._known = 0
        """How many lines were passed on since the first, and how many of them are to come again."""
        self._joined: list[dict[str, Any]] = []
        """Workers that joined since the last of those, some of them by an introduction."""
        self._returned = False

    def begin_again(self) -> None:
        """All that comes from now on was told by another conversation."""
        self._returned = self._first is not None
        self._known = 0

    def __call__(self, *lines: dict[str, Any]) -> None:
        if news := [line for line in lines if self._is_new(line)]:
            self._on_events(*news)

    def _is_new(self, line: dict[str, Any]) -> bool:
        if line["event"] == "worker_joined":  # It may be an introduction, which is in no log.
            if self._returned or self._known or line in self._joined:
                return False
            self._joined.append(line)
            return True
        if self._returned:
            self._returned, self._known = False, self._heard if line == self._first else 0
        if self._known:
            self._known -= 1
            return False
        if self._first is None or line["event"] == "coordinator_started":
            self._first, self._heard = line, 0
        self._heard += 1
        self._joined.clear()
        return True
