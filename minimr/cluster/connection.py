"""One connection after the handshake, for those who have nothing to do but wait: messages in,
messages out. (A loop, which must not wait, has channels.)

Reading blocks and belongs to one thread. Writing never blocks the caller: what the kernel does not
take at once goes to a backlog that a writer thread drains.
"""

import socket
import threading
from collections import deque
from collections.abc import Sequence

from minimr.cluster.message_codec import from_wire, to_wire
from minimr.cluster.messages import Message
from minimr.cluster.wire import Buffer, Frame, FrameTooLarge, Limits, encode_frame, read_frame
from minimr.errors import ProtocolError

MESSAGES_KIND = 1
BACKLOG_BYTES_MAX = 1 << 30
PIECES_PER_CALL = 512
BIG_READ_BYTES = 1 << 16


class Connection:
    """Send and receive lists of messages. Errors of the socket are OSError, of the peer's bytes
    ProtocolError, the end of the stream EOFError."""

    def __init__(self, sock: socket.socket) -> None:
        no_delay(sock)
        self.sock = sock
        self._file = sock.makefile("rb")
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._backlog: deque[Buffer] = deque()
        self._backlog_bytes = 0
        self._writer: threading.Thread | None = None
        self._closed = False

    def receive(self) -> list[Message]:
        return decode_messages(read_frame(self.read, Limits()))

    def read(self, size: int) -> Buffer:
        """Exactly `size` raw bytes."""
        if size < BIG_READ_BYTES:
            data = self._file.read(size)
            if len(data) < size:
                raise EOFError("the peer closed the connection")
            return data
        buffer = memoryview(bytearray(size))
        filled = 0
        while filled < size:
            got = self._file.readinto(buffer[filled:])
            if not got:
                raise EOFError("the peer closed the connection")
            filled += got
        return buffer

    def send(self, messages: Sequence[Message]) -> None:
        """Queue messages, as one frame if they fit. A broken connection shows at the reader."""
        pieces = encode_messages(messages)
        with self._lock:
            if self._closed:
                return
            views: list[Buffer] = [piece for piece in pieces if len(piece)]
            if not self._backlog:
                views = self._send_now(views)
            if views:
                self._defer(views)

    def _send_now(self, views: list[Buffer]) -> list[Buffer]:
        """Give the kernel what it takes without waiting; return the rest."""
        while views:
            try:
                sent = self.sock.sendmsg(views[:PIECES_PER_CALL], [], socket.MSG_DONTWAIT)
            except BlockingIOError:
                return views
            except OSError:
                self._shut()
                return []
            views = after(views, sent)
        return views

    def _defer(self, views: list[Buffer]) -> None:
        self._backlog.extend(views)
        self._backlog_bytes += sum(map(len, views))
        if self._backlog_bytes > BACKLOG_BYTES_MAX:
            self._shut()
        if self._writer is None:
            self._writer = threading.Thread(target=self._drain, name="writer", daemon=True)
            self._writer.start()
        self._work.notify()

    def _drain(self) -> None:
        """The writer thread: wait for backlog, send it with blocking calls, in order."""
        while True:
            with self._lock:
                while not self._backlog and not self._closed:
                    self._work.wait()
                if self._closed:
                    return
                view = self._backlog[0]
            try:
                self.sock.sendall(view)
            except OSError:
                with self._lock:
                    self._shut()
                return
            with self._lock:
                if self._backlog:
                    self._backlog.popleft()
                    self._backlog_bytes -= len(view)

    def shut(self) -> None:
        """From any thread: end the conversation. Whoever reads gets EOFError, and then closes."""
        with self._lock:
            self._shut()

    def _shut(self) -> None:
        """Under the lock: end both directions, so that reader and writer wake up."""
        self._closed = True
        self._backlog.clear()
        self._work.notify_all()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # Already gone.

    def close(self) -> None:
        """From the thread that reads: give the descriptor back."""
        self.shut()
        self._file.close()
        self.sock.close()


def no_delay(sock: socket.socket) -> None:
    """Messages are whole and wanted now: TCP must not wait for more to send with them."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def decode_messages(frame: Frame) -> list[Message]:
    """What `encode_messages` put into a frame. Raises ProtocolError."""
    if frame.kind != MESSAGES_KIND or not isinstance(frame.value, list):
        raise ProtocolError("a frame of this kind has no place here")
    return [from_wire(each) for each in frame.value]


def encode_messages(messages: Sequence[Message]) -> list[Buffer]:
    """The pieces of one frame, or of several if one would be over the limits of its head."""
    try:
        return encode_frame(MESSAGES_KIND, [to_wire(each) for each in messages])
    except FrameTooLarge:
        if len(messages) < 2:
            raise
        half = len(messages) // 2
        return encode_messages(messages[:half]) + encode_messages(messages[half:])


def after(pieces: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of the pieces behind the bytes that were sent."""
    for index, piece in enumerate(pieces):
        if sent < len(piece):
            return [memoryview(piece)[sent:], *pieces[index + 1 :]]
        sent -= len(piece)
    return []
