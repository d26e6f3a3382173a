"""The process around a worker: its directory, its signals, and who it follows to the end.

The workers that one process starts together come from one fork server, whose `main` is here: what a
worker imports is imported once, and a worker is born in milliseconds.
"""

import argparse
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from minimr.cluster.address import read_address, read_again
from minimr.cluster.fork_server import ForkServer
from minimr.cluster.listener import check_loopback
from minimr.cluster.nursery import PRELOAD
from minimr.cluster.process_name import name_process
from minimr.cluster.worker import Worker
from minimr.errors import MinimrError, NoCoordinator
from minimr.scheduler.policy import PROGRESS_TIMEOUT_S

STDIN = 0
LET_GO_S = 1.0


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
    """Be a worker until told to stop. SIGTERM finishes or hands back its work first; a second one,
    SIGHUP and the end of the pipe `lifeline` end it at once.
    """
    if advertise is not None:
        check_loopback(advertise[0])
    name_process("worker")
    address = read_address(address_file)
    directory = make_directory(base)
    try:
        worker = Worker(
            address,
            slots,
            directory,
            lambda: read_again(address_file, address),
            slots_here,
            progress_timeout_s,
            shuffle_port,
            advertise,
        )
        signal.signal(signal.SIGTERM, lambda *_: worker.drain())
        if lifeline is not None or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as of nohup
            signal.signal(signal.SIGHUP, lambda *_: worker.leave())
        if lifeline is not None:
            threading.Thread(target=_follow, args=(worker, lifeline), daemon=True).start()
        worker.run(on_joined)
    finally:
        # Its nursery removes it, too; but Ctrl-C may come before there is one.
        shutil.rmtree(directory, ignore_errors=True)


def _follow(worker: Worker, lifeline: int) -> None:
    os.read(lifeline, 1)
    worker.leave()


def main() -> None:
    """The fork server of a launcher's workers, which asks over our standard input; people start
    `minimr worker`. When the launcher is gone, in whatever way, its workers and their directory go.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--slots-here", type=int)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--progress-timeout", type=float, default=PROGRESS_TIMEOUT_S)
    parser.add_argument("--import", dest="modules", nargs="*", default=[])
    options = parser.parse_args()
    name_process("forks")
    asker = socket.socket(fileno=os.dup(STDIN))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    lifeline, held = os.pipe()

    def become_worker(_: list[int]) -> None:
        os.close(held)
        _work(options, lifeline)

    server = ForkServer(asker, become_worker)
    server.run([*PRELOAD, *options.modules])
    os.close(held)
    server.wait_for_all()
    shutil.rmtree(options.base, ignore_errors=True)
    _leave(0)


def preload() -> None:
    """Load already what a worker and its slots need."""
    for name in PRELOAD:
        import_module(name)


def _work(options: argparse.Namespace, lifeline: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The launcher says when to leave.
    status = 0
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
        if not _is_over(lifeline, error):
            if isinstance(error, OSError):
                raise
            print(f"worker: {error}", file=sys.stderr)
            status = error.exit_code
        # Else the launcher let go of us first; what failed then is no news.
    _leave(status)


def _is_over(lifeline: int, error: Exception) -> bool:
    """Whether the launcher has let go of us. Its coordinator may be gone a moment before that."""
    patience_s = LET_GO_S if isinstance(error, NoCoordinator) else 0.0
    return bool(select.select([lifeline], [], [], patience_s)[0])


def _leave(status: int) -> NoReturn:
    """All is cleaned up; to take an interpreter apart, too, takes longer than a small job."""
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
