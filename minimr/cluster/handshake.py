"""The gate in front of every entry point: both sides prove that they know the token.

    caller -> server   hello      protocol version, role, 32 random bytes
    server -> caller   challenge  32 random bytes
    caller -> server   proof      HMAC-SHA256(token, "caller" + all bytes so far)
    server -> caller   proof      HMAC-SHA256(token, "server" + all bytes so far)

Neither the token nor anything that reveals it travels. The random bytes make every conversation
new, so a recorded proof is worthless. The label makes the two proofs differ, so a server cannot be
tricked into answering its own challenge (the reflection attack), and the server proves itself only
to a caller that already did. A stranger gets small limits and little time.
"""

import hmac
import os
import socket
import time
from contextlib import suppress
from typing import Any

from minimr.cluster.wire import Limits, encode_frame, read_frame
from minimr.errors import NoCoordinator, ProtocolError

HELLO_TIMEOUT_S = 5.0
HELLO_LIMITS = Limits(head_bytes=4096, blobs=0, blob_bytes=0)
HELLO_KIND = 0
NONCE_BYTES = 32

STEPS: dict[str, tuple[type, ...]] = {
    "hello": (str, bytes),
    "challenge": (bytes,),
    "proof": (bytes,),
    "refused": (str,),
}


def greet(sock: socket.socket, token: bytes, role: str) -> None:
    """The caller's half. Raises NoCoordinator, with a message for the user, if refused."""
    talk = _Conversation(sock, token)
    try:
        talk.send("hello", role, os.urandom(NONCE_BYTES))
        talk.receive("challenge")
        talk.send("proof", talk.proof("caller"))
        expected = talk.proof("server")
        (answer,) = talk.receive("proof")
    except (ProtocolError, OSError) as error:
        raise NoCoordinator(f"no conversation with {_name(sock)}: {error}") from None
    if not hmac.compare_digest(answer, expected):
        raise NoCoordinator(f"{_name(sock)} does not know the token; it is not our cluster")
    sock.settimeout(None)


def admit(sock: socket.socket, token: bytes, roles: tuple[str, ...]) -> str:
    """The server's half: the caller's role. Raises ProtocolError after telling the caller why."""
    talk = _Conversation(sock, token)
    try:
        role, _ = talk.receive("hello")
        if role not in roles:
            raise ProtocolError(f"this port has no entry for the role {role[:20]!r}")
        talk.send("challenge", os.urandom(NONCE_BYTES))
        expected = talk.proof("caller")
        (answer,) = talk.receive("proof")
        if not hmac.compare_digest(answer, expected):
            raise ProtocolError("wrong token; use the connection file of the running cluster")
        talk.send("proof", talk.proof("server"))
    except ProtocolError as error:
        talk.refuse(str(error))
        raise
    sock.settimeout(None)
    return str(role)


def turn_away(sock: socket.socket, text: str) -> None:
    """Instead of `admit`: tell the caller why not, without waiting for a word, and hang up."""
    _Conversation(sock, b"").refuse(text)
    sock.close()


class _Conversation:
    """One handshake under way: every byte so far, and a deadline for the whole of it."""

    def __init__(self, sock: socket.socket, token: bytes) -> None:
        self._sock = sock
        self._token = token
        self._transcript = bytearray()
        self._deadline = time.monotonic() + HELLO_TIMEOUT_S

    def proof(self, label: str) -> bytes:
        message = f"minimr {label}".encode() + b"\0" + self._transcript
        return hmac.digest(self._token, message, "sha256")

    def send(self, *step: Any) -> None:
        data = b"".join(encode_frame(HELLO_KIND, list(step)))
        self._transcript += data
        self._arm()
        with suppress(BrokenPipeError, ConnectionResetError):
            # The peer hung up. What it said before may tell why; `receive` finds that, or the end.
            self._sock.sendall(data)

    def receive(self, expected: str) -> list[Any]:
        """The fields of the next step, which must be the expected one."""
        frame = read_frame(self._read, HELLO_LIMITS)
        value = frame.value if frame.kind == HELLO_KIND else None
        name, fields = (value[0], value[1:]) if isinstance(value, list) and value else ("", [])
        if not isinstance(name, str) or tuple(map(type, fields)) != STEPS.get(name):
            raise ProtocolError("the peer does not follow the handshake")
        if name == "refused":
            raise ProtocolError(fields[0][:300])
        if name != expected:
            raise ProtocolError(f"the peer sent {name!r} where {expected!r} was due")
        return fields

    def refuse(self, text: str) -> None:
        try:
            self.send("refused", text)
        except OSError:
            pass  # The caller is gone; there is nobody left to tell.

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._arm()
            piece = self._sock.recv(size - len(data))
            if not piece:
                raise ProtocolError("the peer closed the connection during the handshake")
            data += piece
        self._transcript += data
        return data

    def _arm(self) -> None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise ProtocolError(f"the handshake took more than {HELLO_TIMEOUT_S:g} s")
        self._sock.settimeout(left_s)


def _name(sock: socket.socket) -> str:
    try:
        host, port = sock.getpeername()[:2]
    except (OSError, ValueError):
        return "the peer"
    return f"{host}:{port}"
