"""The way in: from a connection file's content to a socket that passed the gate."""

import socket

from minimr.cluster.address import Address
from minimr.cluster.handshake import greet
from minimr.errors import MinimrError, NoCoordinator

CONNECT_TIMEOUT_S = 5.0


def connect(address: Address, role: str) -> socket.socket:
    """A socket that passed the gate. Raises NoCoordinator if there is no way in."""
    try:
        sock = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    except OSError as error:
        again = "start it again with 'minimr coordinator' and its --journal"
        raise NoCoordinator(
            f"no coordinator answers at {address.host}:{address.port} ({error.strerror or error}); "
            + (again if address.resumes else "start one with 'minimr up'")
        ) from None
    try:
        greet(sock, address.secret, role)
    except MinimrError:
        sock.close()
        raise
    return sock
