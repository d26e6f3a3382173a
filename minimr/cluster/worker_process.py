"""The process around a worker: its directory, its signals, and who it follows to the end."""

import argparse
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from minimr.cluster.address import read_address
from minimr.cluster.launcher import COORDINATOR_THERE
from minimr.cluster.listener import check_loopback
from minimr.cluster.worker import Worker
from minimr.errors import MinimrError
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S


def make_directory(base: Path | None) -> Path:
    """A directory of this worker's own, for outputs and datasets."""
    return Path(tempfile.mkdtemp(prefix="minimr-worker-", dir=base))


def serve(
    address_file: Path,
    slots: int = 1,
    base: Path | None = None,
    lifeline: int | None = None,
    on_joined: Callable[[str], None] = lambda _: None,
    slots_here: int | None = None,
    progress_timeout_s: float = PROGRESS_TIMEOUT_S,
    shuffle_port: int = 0,
    advertise: tuple[str, int] | None = None,
) -> None:
    """Be a worker until told to stop. SIGTERM finishes or hands back its work first; a second one
    and SIGHUP end it at once.

    The end of the pipe `lifeline` ends the worker, too. If no last word came before it, the
    launcher was killed, and its directory `base` is ours to remove.
    """
    if advertise is not None:
        check_loopback(advertise[0])
    worker = Worker(
        read_address(address_file),
        slots,
        make_directory(base),
        lambda: read_address(address_file),
        slots_here,
        progress_timeout_s,
        shuffle_port,
        advertise,
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.drain())
    signal.signal(signal.SIGHUP, lambda *_: worker.leave())
    orphaned = threading.Event()
    if lifeline is not None:
        follower = threading.Thread(target=_follow, args=(worker, lifeline, orphaned), daemon=True)
        follower.start()
    try:
        worker.run(on_joined)
    finally:
        if orphaned.is_set() and base is not None:
            shutil.rmtree(base, ignore_errors=True)


def _follow(worker: Worker, lifeline: int, orphaned: threading.Event) -> None:
    dismissed = False
    while os.read(lifeline, 1024):
        dismissed = True
    if not dismissed:
        orphaned.set()
    worker.leave()


def main() -> None:
    """The process that a launcher starts; people start `minimr worker`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--slots-here", type=int)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--progress-timeout", type=float, default=PROGRESS_TIMEOUT_S)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The launcher says when to leave.
    lifeline = sys.stdin.fileno()
    if (word := os.read(lifeline, 1)) != COORDINATOR_THERE:
        if not word and options.base is not None:
            shutil.rmtree(options.base, ignore_errors=True)  # The launcher was killed.
        return
    try:
        serve(
            options.address,
            options.slots,
            options.base,
            lifeline=lifeline,
            slots_here=options.slots_here,
            progress_timeout_s=options.progress_timeout,
        )
    except (MinimrError, OSError) as error:
        if select.select([sys.stdin], [], [], 0)[0]:
            return  # The launcher let go of us first; what failed then is no news.
        if isinstance(error, OSError):
            raise
        print(f"worker: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    # All is cleaned up; to take an interpreter apart, too, takes longer than a small job.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
