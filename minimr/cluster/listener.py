"""A port with a gate: every connection passes the handshake before anybody else sees it."""

import errno
import socket
import threading
from collections.abc import Callable

from minimr.cluster.handshake import admit
from minimr.errors import ProtocolError, UsageError

PENDING_MAX = 64
BACK_OFF_S = 0.2
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
                    self._closing.wait(BACK_OFF_S)
                    continue
                if self._closing.is_set() or error.errno in (errno.EBADF, errno.EINVAL):
                    return
                continue
            if not self._pending.acquire(blocking=False):
                sock.close()  # Too many strangers at the door.
                continue
            threading.Thread(target=self._admit, args=(sock,), name="peer", daemon=True).start()

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


def _bind(host: str, port: int) -> socket.socket:
    if host not in LOOPBACK:
        raise UsageError(f"{host} is not a loopback address; this version talks on loopback only")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise UsageError(
            f"port {port} on {host} {reason}; choose another with --port, or leave it out"
        ) from None
    return sock
