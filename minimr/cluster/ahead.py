"""A fork server that is forked before it is known what for.

An interpreter that starts, and imports what this one has imported already, needs 80 ms. A child of
this process has all that from birth, and loads the rest while we look at the job and load the
coordinator. But `fork` copies locks that other threads hold, and no slot is to begin with the
modules of a user's script. So it is for a program that has done nothing yet but import minimr: the
command line, before it loads a job.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from minimr.cluster import launcher
from minimr.cluster.launcher import environment, home
from minimr.cluster.limits import descriptors_max

LENGTH = struct.Struct("!I")
LOOK_EVERY_S = 0.001
HAS_THREADS = "numpy"
"""A module whose linear algebra has threads that Python does not count."""


@contextmanager
def forked_ahead() -> Iterator[None]:
    """While this is open, the first workers of this process come from a child that is forked now.

    Where that might do harm, it is not done: if other threads run, or may.
    """
    if threading.active_count() == 1 and HAS_THREADS not in sys.modules:
        launcher.waiting.append(ForkedAhead())
    try:
        yield
    finally:
        while launcher.waiting:
            launcher.waiting.pop().close()


class ForkedAhead:
    """A child that waits to `begin`. If we go before that, in whatever way, it goes, too."""

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair()
        self._has_ended = False
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _live(theirs)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        theirs.close()

    def begin(self, arguments: Sequence[str]) -> None:
        """Be the fork server of `worker_process.py` with these arguments, asked over `sock`."""
        data = json.dumps(arguments).encode()
        with suppress(OSError):  # If it is gone, the end of the socket is what is read next.
            self.sock.sendall(LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        """It is not needed after all."""
        self.sock.close()
        self.wait()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for its end. Raises TimeoutExpired, as a Popen does."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._has_ended:
            pid, _ = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            self._has_ended = pid != 0
            if deadline is not None and not self._has_ended:
                if time.monotonic() >= deadline:
                    raise subprocess.TimeoutExpired("the fork server", timeout_s or 0)
                time.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        if not self._has_ended:
            os.kill(self.pid, signal.SIGKILL)


def _live(theirs: socket.socket) -> None:
    """In the child: be what `python -P -m minimr.cluster.worker_process` would be."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # The asker's handlers are for the asker.
    _keep_only(theirs)
    os.environ.update(environment())
    if not sys.flags.safe_path:
        del sys.path[0]  # Where the script is that was started, or the current folder.
    sys.path[:] = [home(), *(folder for folder in sys.path if folder != home())]
    from minimr.cluster.worker_process import main, preload

    preload()
    arguments = _arguments()
    if arguments is not None:
        sys.argv = [sys.argv[0], *arguments]
        main()


def _keep_only(theirs: socket.socket) -> None:
    """The socket becomes our standard input, as `main` expects it; only stderr stays besides."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(theirs.detach(), 0)
    os.closerange(3, descriptors_max())


def _arguments() -> list[str] | None:
    """Wait for those of `begin`; None if the asker is gone."""
    asker = socket.socket(fileno=0)
    prefix = asker.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(prefix) < LENGTH.size:
        return None
    (size_bytes,) = LENGTH.unpack(prefix)
    arguments: list[str] = json.loads(asker.recv(size_bytes, socket.MSG_WAITALL))
    asker.detach()
    return arguments
