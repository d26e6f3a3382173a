"""Where the event log of a run lies that was given no place: in ~/.minimr/logs, the last twenty.

A run is most often looked into after it went wrong, which nobody planned for. So every run writes a
log, and whoever did not ask for one finds it here for a while.
"""

import re
import secrets
import time
from pathlib import Path

from minimr.observe.log import EventLog

KEPT_MAX = 20
OURS = re.compile(r".+-\d{8}-\d{6}-[0-9a-f]{4}\.log")
"""The names that `new_log` gives. Nothing else in the folder is ever removed."""


def folder() -> Path:
    """Raises RuntimeError for a user without a home."""
    return Path.home() / ".minimr" / "logs"


def new_log(name: str) -> EventLog:
    """Start a log for a run of `name`; of those that were there, the newest ones stay.

    Raises OSError if it cannot be written, RuntimeError for a user without a home.
    """
    place = folder()
    for each in (place.parent, place):
        each.mkdir(mode=0o700, exist_ok=True)
    _remove_oldest(place, KEPT_MAX - 1)
    when = time.strftime("%Y%m%d-%H%M%S")
    return EventLog(place / f"{name}-{when}-{secrets.token_hex(2)}.log")


def _remove_oldest(place: Path, kept: int) -> None:
    """Keep those that were written last; the log of a run that goes on is among them."""
    ours = [path for path in place.iterdir() if OURS.fullmatch(path.name)]
    for path in sorted(ours, key=_written_ns, reverse=True)[kept:]:
        path.unlink(missing_ok=True)


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # Another run removed it at the same moment.
