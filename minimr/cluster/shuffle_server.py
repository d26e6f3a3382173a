"""The worker's shuffle server: reducers come here for their segments of the map outputs it holds.

Bulk data goes from the file to the socket inside the kernel (`sendfile`). A request names attempts,
never paths; what the worker does not hold it answers with -1.
"""

import socket
from collections.abc import Callable
from pathlib import Path

from minimr.cluster import messages as m
from minimr.cluster.connection import MESSAGES_KIND, Connection
from minimr.cluster.listener import Listener
from minimr.cluster.wire import encode_frame
from minimr.errors import CorruptData, ProtocolError
from minimr.scheduler.state import AttemptId
from minimr.shuffle.segments import MapOutputFile

IDLE_S = 60.0
Range = tuple[Path, int, int]


class ShuffleServer:
    """`find` gives the file that holds an attempt's output, or None; called from any thread."""

    def __init__(self, token: bytes, find: Callable[[AttemptId], Path | None]) -> None:
        self._find = find
        self._listener = Listener(token, ("fetch",), self._serve)
        self.address = self._listener.address

    def start(self) -> None:
        self._listener.start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self, sock: socket.socket, _role: str) -> None:
        sock.settimeout(IDLE_S)  # A reducer that stops reading must not hold a thread for ever.
        connection = Connection(sock)
        try:
            while True:
                for message in connection.receive():
                    if not isinstance(message, m.Fetch):
                        raise ProtocolError("only fetches are served here")
                    self._answer(sock, message)
        except (EOFError, OSError, ProtocolError):
            pass  # The reducer is done, dead or confused; it reports what it misses itself.
        finally:
            connection.close()

    def _answer(self, sock: socket.socket, request: m.Fetch) -> None:
        ranges = [self._range(attempt, request.partition) for attempt in request.attempts]
        sizes = [-1 if each is None else each[2] for each in ranges]
        frame = encode_frame(MESSAGES_KIND, [m.to_wire(m.Segments(sizes))])
        sock.sendall(b"".join(frame))
        for each in ranges:
            if each is not None and each[2]:
                path, offset, size = each
                with path.open("rb") as file:
                    sock.sendfile(file, offset, size)

    def _range(self, attempt: AttemptId, partition: int) -> Range | None:
        path = self._find(attempt)
        if path is None:
            return None
        try:
            offset, size = MapOutputFile(path).segment_range(partition)
        except (OSError, CorruptData, IndexError):
            return None  # Damaged or deleted: the map task must run again.
        return path, offset, size
