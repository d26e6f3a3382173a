"""The reducer's end of a conversation with one holder of map output.

Unlike a `Connection` it needs no writer thread, for a request is small and the holder always reads,
and it gives every answer an end (see deadline.py). After any error it is closed: once a stream is
damaged nobody knows where in it anything begins.
"""

import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from minimr.cluster import messages as m
from minimr.cluster.connection import decode_messages, encode_messages, no_delay
from minimr.cluster.deadline import Deadline
from minimr.cluster.handshake import greet
from minimr.cluster.wire import Limits, read_frame
from minimr.errors import CorruptData, MinimrError, ProtocolError
from minimr.scheduler.state import AttemptId

CONNECT_TIMEOUT_S = 5.0
BUFFER_BYTES = 1 << 16
PIECE_BYTES = 1 << 18

Address = tuple[str, int]


class Holder:
    """Raises OSError, EOFError, ProtocolError or CorruptData if the conversation broke."""

    def __init__(self, address: Address, token: bytes) -> None:
        self._sock = socket.create_connection(address, CONNECT_TIMEOUT_S)
        try:
            greet(self._sock, token, "fetch")
        except MinimrError as error:
            self._sock.close()
            raise ProtocolError(str(error)) from None
        no_delay(self._sock)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0  # What came and was not taken yet.
        self._deadline = Deadline()

    def ask(self, partition: int, attempts: list[AttemptId]) -> Iterator["Arrival"]:
        """Yield, in the same order, what the holder has. Each is to be read before the next."""
        self._deadline = Deadline()
        self._sock.settimeout(self._deadline.left_s())
        self._sock.sendall(b"".join(encode_messages([m.Fetch(partition, attempts)])))
        answered = 0
        while answered < len(attempts):
            answer = self._answer(len(attempts) - answered)
            for size_bytes, checksum in zip(answer.sizes, answer.checksums, strict=True):
                yield Arrival(self, attempts[answered], size_bytes, checksum)
                answered += 1

    def _answer(self, expected: int) -> m.Segments:
        """The next part of an answer: so many segments, which follow, and no more than expected."""
        self._deadline = Deadline()
        match decode_messages(read_frame(self._read, Limits())):
            case [m.Segments(sizes, checksums) as answer]:
                if 0 < len(sizes) <= expected and len(sizes) == len(checksums):
                    self._deadline = Deadline(sum(size for size in sizes if size > 0))
                    return answer
        raise ProtocolError("the shuffle server answered with something else")

    def is_stale(self) -> bool:
        """Between two requests: whether the holder has closed the connection, or said too much."""
        self._sock.settimeout(0)  # With another timeout Python waits for it, whatever the flags.
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        self._sock.close()

    def _read(self, size_bytes: int) -> bytearray:
        data = bytearray(size_bytes)
        self.read_into(memoryview(data))
        return data

    def read_into(self, view: memoryview) -> None:
        """Fill the view: from the buffer, by way of the buffer, or, if it is large, straight."""
        filled = 0
        while filled < len(view):
            rest = view[filled:]
            if self._start < self._end:
                filled += self._take(rest)
            elif len(rest) >= BUFFER_BYTES:
                filled += self._receive(rest)
            else:
                self._start, self._end = 0, self._receive(self._buffer)

    def _take(self, view: memoryview) -> int:
        size = min(len(view), self._end - self._start)
        view[:size] = self._buffer[self._start : self._start + size]
        self._start += size
        return size

    def _receive(self, view: memoryview) -> int:
        self._sock.settimeout(self._deadline.left_s())
        received = self._sock.recv_into(view)
        if not received:
            raise EOFError("the peer closed the connection")
        return received


@dataclass(frozen=True, slots=True)
class Arrival:
    """One segment, announced; its bytes stand next in the stream. Without any, it is not there."""

    holder: Holder
    attempt: AttemptId
    size_bytes: int
    checksum: int

    @property
    def is_there(self) -> bool:
        return self.size_bytes >= 0

    def pieces(self, view: memoryview) -> Iterator[memoryview]:
        """Receive into the view, over and over, what fills it or is left; yield that.

        Raises CorruptData behind the last piece if they are not what was sent.
        """
        checksum, left_bytes = 0, self.size_bytes
        while left_bytes:
            piece = view[: min(left_bytes, len(view))]
            self.holder.read_into(piece)
            checksum = zlib.crc32(piece, checksum)
            left_bytes -= len(piece)
            yield piece
        if checksum != self.checksum:
            raise CorruptData(f"{self.attempt} was damaged on its way: the checksum is wrong")
