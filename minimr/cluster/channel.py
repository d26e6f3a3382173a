"""A connection that a loop owns: messages in, messages out, and never a call that blocks.

What arrives is decoded as far as it goes. What the kernel does not take at once waits in a backlog
until the socket has room; a peer that stops reading and lets it grow too far is cut off.
"""

import select
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from minimr.cluster.connection import after, decode_messages, encode_messages, no_delay
from minimr.cluster.loop import Loop
from minimr.cluster.messages import Message
from minimr.cluster.wire import Buffer, FrameDecoder, FrameTooLarge, Limits
from minimr.errors import ProtocolError

BACKLOG_BYTES_MAX = 1 << 30
PIECES_PER_CALL = 512
READS_PER_TURN = 16


class Channel:
    """Calls `arrived(messages)` for what the peer sends, and `gone(why)` at last, if the peer ends
    the conversation or breaks the protocol (then `arrived` may raise ProtocolError itself).

    All of it happens in the loop's thread.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop[Any],
        arrived: Callable[[list[Message]], None],
        gone: Callable[[str], None],
    ) -> None:
        no_delay(sock)
        sock.setblocking(False)
        self._sock, self._loop = sock, loop
        self._arrived, self._gone = arrived, gone
        self._decoder = FrameDecoder(Limits())
        self._backlog: deque[Buffer] = deque()
        self._backlog_bytes = 0
        self._closed = False
        loop.watch(sock, self._ready)

    def send(self, messages: Sequence[Message]) -> None:
        """Queue messages, as one frame if they fit. A broken connection shows in `gone`."""
        if self._closed:
            return
        try:
            pieces = encode_messages(messages)
        except FrameTooLarge as error:
            # One message that cannot travel must not end the loop, on which everybody depends.
            print(f"a connection is given up: {error}", file=sys.stderr, flush=True)
            self.shut()
            return
        if not self._backlog:
            pieces = after(pieces, self._give(pieces[:PIECES_PER_CALL]))
        if pieces:
            self._defer(pieces)

    def shut(self) -> None:
        """End the conversation. What the peer has sent is still read, then `gone` is called."""
        self._backlog.clear()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # Already gone.

    def close(self) -> None:
        """Be silent from now on and give the descriptor back. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._backlog.clear()
            self._loop.unwatch(self._sock)
            self._sock.close()

    def receive(self) -> bool:
        """Handle what has arrived, to its end or up to a fair share. False: there may be more."""
        for _ in range(READS_PER_TURN):
            if self._closed:
                return True
            space = self._decoder.space()
            try:
                count = self._sock.recv_into(space)
            except BlockingIOError:
                return True
            except OSError as error:
                self._end(str(error))
                return True
            if not count:
                self._end("the peer closed the connection")
                return True
            self._decode(count)
            if count < len(space):
                return True
        return False

    def _ready(self, events: int) -> bool:
        if events & select.EPOLLOUT and not self._closed:
            self._write()
        return events == select.EPOLLOUT or self.receive()

    def _decode(self, count: int) -> None:
        try:
            for frame in self._decoder.received(count):
                self._arrived(decode_messages(frame))
                if self._closed:
                    return
        except ProtocolError as error:
            text = f"it broke the protocol: {error}"
            # The peer only sees the end, and of a client no event log tells.
            print(f"a connection is given up: {text}", file=sys.stderr, flush=True)
            self._end(text)

    def _end(self, text: str) -> None:
        self.close()
        self._gone(text)

    def _give(self, pieces: list[Buffer]) -> int:
        """Offer this to the kernel, which takes some of it: so many bytes."""
        try:
            return self._sock.sendmsg(pieces)
        except BlockingIOError:
            return 0
        except OSError:
            self.shut()
            return 0

    def _defer(self, pieces: list[Buffer]) -> None:
        if not self._backlog:
            self._loop.watch(self._sock, self._ready, writing=True)
        self._backlog.extend(pieces)
        self._backlog_bytes += sum(map(len, pieces))
        if self._backlog_bytes > BACKLOG_BYTES_MAX:
            self.shut()

    def _write(self) -> None:
        """There is room: go on with the backlog."""
        while sent := self._give(list(islice(self._backlog, PIECES_PER_CALL))):
            self._backlog_bytes -= sent
            self._drop(sent)
        if not self._backlog:
            self._loop.watch(self._sock, self._ready)

    def _drop(self, sent: int) -> None:
        """These bytes are on their way."""
        while sent >= len(self._backlog[0]):
            sent -= len(self._backlog.popleft())
            if not self._backlog:
                return
        self._backlog[0] = memoryview(self._backlog[0])[sent:]
