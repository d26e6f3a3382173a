"""A client's way back to a coordinator that was restarted from its journal."""

import time
from pathlib import Path

from minimr.cluster.address import read_address
from minimr.cluster.client import Client
from minimr.errors import NoCoordinator
from minimr.scheduler.policy import PATIENCE_S

PAUSE_S = 0.2


def come_back(address_file: Path) -> Client:
    """A new conversation. Raises NoCoordinator if nobody has answered for `PATIENCE_S`."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return Client(read_address(address_file))
        except NoCoordinator:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(PAUSE_S)
