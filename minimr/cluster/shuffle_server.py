"""The worker's shuffle server: reducers come here for their segments of the map outputs it holds.

A request names attempts, never paths; what the worker does not hold, or holds damaged, it answers
with -1. Each segment is checked right before it is sent, and goes from the file to the socket
inside the kernel (`sendfile`). Answers go out in groups, so that a reducer need not wait until the
last segment that it asked for has been checked.
"""

import os
import select
import socket
from collections.abc import Callable
from pathlib import Path

from minimr.cluster import messages as m
from minimr.cluster.connection import Connection, encode_messages
from minimr.cluster.deadline import Deadline
from minimr.cluster.held import sound_segment, whole_file
from minimr.cluster.listener import Listener
from minimr.errors import CorruptData, ProtocolError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.segments import Segment

IDLE_S = 60.0
GROUP_BYTES = 1 << 22
PIECE_BYTES = 1 << 20

Held = tuple[Path, Segment]


class ShuffleServer:
    """`find` gives the file that holds an attempt's output, or None; called from any thread."""

    def __init__(
        self, token: bytes, find: Callable[[AttemptId], Path | None], port: int = 0
    ) -> None:
        self._find = find
        self._listener = Listener(token, ("fetch",), self._serve, port=port)
        self.address = self._listener.address

    def start(self) -> None:
        self._listener.start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self, sock: socket.socket, _role: str) -> None:
        connection = Connection(sock)
        try:
            while True:
                sock.settimeout(IDLE_S)
                for message in connection.receive():
                    if not isinstance(message, m.Fetch):
                        raise ProtocolError("only fetches are served here")
                    self._answer(sock, message)
        except (EOFError, OSError, ProtocolError):
            pass  # The reducer is done, dead or confused; it reports what it misses itself.
        finally:
            connection.close()

    def _answer(self, sock: socket.socket, request: m.Fetch) -> None:
        group: list[Held | None] = []
        size_bytes = 0
        for attempt in request.attempts:
            held = self._held(attempt, request.partition)
            group.append(held)
            size_bytes += held[1].length if held else 0
            if size_bytes >= GROUP_BYTES:
                _send_group(sock, group)
                group, size_bytes = [], 0
        if group:
            _send_group(sock, group)

    def _held(self, attempt: AttemptId, partition: int) -> Held | None:
        path = self._find(attempt)
        if path is None:
            return None
        try:
            if attempt.stage == "load":
                return path, whole_file(path)
            return path, sound_segment(path, partition)
        except CorruptData:
            return None  # Damaged or deleted: the map task must run again.


def _send_group(sock: socket.socket, group: list[Held | None]) -> None:
    """Raises OSError or EOFError if not everything could be sent in time."""
    sizes = [-1 if held is None else held[1].length for held in group]
    checksums = [0 if held is None else held[1].crc for held in group]
    deadline = Deadline(sum(max(0, size) for size in sizes))
    sock.settimeout(deadline.left_s())
    sock.sendall(b"".join(encode_messages([m.Segments(sizes, checksums)])))
    for held in group:
        if held is not None:
            _send_segment(sock, *held, deadline)


def _send_segment(sock: socket.socket, path: Path, segment: Segment, deadline: Deadline) -> None:
    """`socket.sendfile` would begin to count anew with every byte that a slow reducer takes."""
    offset, end = segment.offset, segment.offset + segment.length
    writable = select.poll()
    writable.register(sock, select.POLLOUT)
    with path.open("rb") as file:
        while offset < end:
            writable.poll(1000 * deadline.left_s())
            size = min(end - offset, PIECE_BYTES)
            try:
                sent = os.sendfile(sock.fileno(), file.fileno(), offset, size)
            except BlockingIOError:
                continue
            if not sent:
                raise EOFError(f"{path} became shorter")
            offset += sent
