"""A port with a gate: every connection passes the handshake before anybody else sees it.

A process has a limit on its file descriptors, and connections from outside must not use them up:
without any it could not even open a file. So a few are kept back. Whoever would take one of those
is turned away and told why, and the port goes on as soon as others have left.
"""

import errno
import socket
import sys
import threading
from collections.abc import Callable

from minimr.cluster.handshake import admit, turn_away
from minimr.cluster.limits import descriptors_max
from minimr.errors import ProtocolError, UsageError

PENDING_MAX = 64
BACK_OFF_S = 0.2
KEPT_BACK = 32
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Listener:
    """Accepts, admits, and calls `serve(sock, role)` in the thread of the handshake.

    Each handshake has a thread of its own: a stranger who dawdles keeps nobody waiting.
    """

    def __init__(
        self,
        token: bytes,
        roles: tuple[str, ...],
        serve: Callable[[socket.socket, str], None],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._token, self._roles, self._serve = token, roles, serve
        self._pending = threading.BoundedSemaphore(PENDING_MAX)
        self._closing = threading.Event()
        self._is_full = False
        self._sock = _bind(host, port)
        self.address: tuple[str, int] = self._sock.getsockname()[:2]

    def start(self) -> None:
        threading.Thread(target=self._accept, name="accept", daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)  # Wakes the thread that waits in accept.
        except OSError:
            pass  # Some systems refuse to shut a listening socket; closing is enough there.
        self._sock.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._sock.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._say_full()
                    self._closing.wait(BACK_OFF_S)
                    continue
                if self._closing.is_set() or error.errno in (errno.EBADF, errno.EINVAL):
                    return
                continue
            self._meet(sock)

    def _meet(self, sock: socket.socket) -> None:
        """Send a newcomer to the gate, if there is room."""
        most = descriptors_max()
        if sock.fileno() >= most - min(KEPT_BACK, most // 2):  # The kernel gives the lowest free.
            self._say_full()
            turn_away(sock, f"this port has its {most} file descriptors in use; try again later")
            return
        self._is_full = False
        if not self._pending.acquire(blocking=False):
            turn_away(sock, f"{PENDING_MAX} others stand at the gate of this port; try again later")
            return
        try:
            threading.Thread(target=self._admit, args=(sock,), name="peer", daemon=True).start()
        except RuntimeError:  # The system gives us no more threads.
            self._pending.release()
            turn_away(sock, "this port has no thread left; try again later")

    def _say_full(self) -> None:
        """Once, until there is room again."""
        if not self._is_full:
            self._is_full = True
            print(
                f"minimr: port {self.address[1]} turns connections away, for "
                f"{descriptors_max()} file descriptors are not enough; "
                "start this process after 'ulimit -n' with a larger number",
                file=sys.stderr,
            )

    def _admit(self, sock: socket.socket) -> None:
        try:
            try:
                role = admit(sock, self._token, self._roles)
            finally:
                self._pending.release()
        except (ProtocolError, OSError):
            sock.close()  # The caller was told why, if it still listened.
            return
        self._serve(sock, role)


def check_loopback(host: str) -> None:
    """Raise UsageError for an address that other machines could be reached at."""
    if host not in LOOPBACK:
        raise UsageError(f"{host} is not a loopback address; this version talks on loopback only")


def _bind(host: str, port: int) -> socket.socket:
    check_loopback(host)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise UsageError(
            f"port {port} on {host} {reason}; name another, or 0 for any that is free"
        ) from None
    return sock
