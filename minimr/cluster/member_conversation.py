"""What two members of a gang say to each other on one TCP connection, after the gate.

A message is a frame as everywhere (wire.py): its tag, the encoded value, and the size and checksum
of each of its arrays. Then come the bytes of the arrays, bare. They leave from the sender's own
memory and arrive in the memory where the receiver's arrays stay, so nothing copies them but the
kernel. Sizes are checked before memory is spent on them.

The checksum of an array is the sum of its 64-bit words, which runs as fast as memory is read; a
CRC would take several times as long as the transfer. It finds any flipped bit and most of what else
can happen to a run of bytes, though not words that changed places.

A member that waits for another must learn within `silence_s` if that one hangs. So whoever has
nothing to say sends an empty frame now and then (`ping`), and one from whom no byte came for that
long is given up, by the one who reads and by the one whose bytes are not taken.
"""

import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from minimr.cluster.connection import after, no_delay
from minimr.cluster.deadline import Deadline
from minimr.cluster.wire import Blob, Buffer, FrameTooLarge, Limits, encode_frame, read_frame
from minimr.errors import ProtocolError

MEMBER_KIND = 3
PING_KIND = 4
ARRAY_BYTES_MAX = 1 << 30
"""What the arrays of one message may take."""
ARRAYS_MAX = 10_000
LIMITS = Limits(blobs=1, blob_bytes=1 << 26)
TAG_CHARACTERS_MAX = 200
BUFFER_BYTES = 1 << 16
SOCKET_BYTES = 1 << 20
"""What the kernel may hold of a connection in each direction. On the one machine where it was
measured, an all-reduce took longer with less, and with 4 MiB."""
PIECES_PER_CALL = 512
SPARE_MAX = 4
"""Buffers kept for reuse: memory that was just in use is still in the processor's cache."""
TIME = struct.Struct("@ll")

Message = tuple[str, Buffer, list[Buffer]]
"""Tag, head and buffers: what codec.unpack needs."""


class Conversation:
    """One thread reads, any thread sends. Errors are OSError, EOFError and ProtocolError."""

    def __init__(self, sock: socket.socket, silence_s: float) -> None:
        no_delay(sock)
        sock.settimeout(None)
        limit = TIME.pack(int(silence_s), int(silence_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
        self._sock = sock
        self._silence_s = silence_s
        self._heard_at = time.monotonic()
        self._sending = threading.Lock()
        self._space = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0
        self._spare: list[memoryview] = []
        self._sparing = threading.Lock()

    def send(self, tag: str, head: bytes, buffers: Sequence[memoryview]) -> None:
        """Give a whole message to the kernel. Raises FrameTooLarge if it is over the limits."""
        sizes = [buffer.nbytes for buffer in buffers]
        if sum(sizes) > ARRAY_BYTES_MAX or len(sizes) > ARRAYS_MAX:
            raise FrameTooLarge(
                f"{len(sizes)} arrays of {sum(sizes)} bytes in one message to a member; at most "
                f"{ARRAYS_MAX} of {ARRAY_BYTES_MAX} bytes can travel: send them in pieces"
            )
        sums = [checksum(buffer) for buffer in buffers]
        frame = encode_frame(MEMBER_KIND, [tag, Blob(head), sizes, sums])
        with self._sending:
            self._send([*frame, *(buffer for buffer in buffers if buffer.nbytes)])

    def ping(self) -> None:
        """Say that we are here, unless somebody is sending anyhow."""
        if self._sending.acquire(blocking=False):
            try:
                self._send([b"".join(encode_frame(PING_KIND, None))])
            finally:
                self._sending.release()

    def _send(self, pieces: list[Buffer]) -> None:
        deadline = Deadline(sum(map(len, pieces)))
        while pieces:
            try:
                sent = self._sock.sendmsg(pieces[:PIECES_PER_CALL])
            except BlockingIOError:  # No byte was taken for as long as silence may last.
                self._check_heard()
                sent = 0
            deadline.left_s()
            pieces = after(pieces, sent)

    def receive(self) -> Message:
        """The next message, whatever pings come before it."""
        while True:
            frame = read_frame(self._read, LIMITS)
            if frame.kind == MEMBER_KIND:
                return self._message(frame.value)
            if frame.kind != PING_KIND:
                raise ProtocolError("a frame of this kind has no place between members")

    def _message(self, value: Any) -> Message:
        tag, head, sizes, sums = _checked(value)
        buffers: list[Buffer] = []
        for size, expected in zip(sizes, sums, strict=True):
            buffer = self._allocate(size)
            self._fill(buffer)
            if checksum(buffer) != expected:
                raise ProtocolError("an array was damaged on its way: its checksum does not match")
            buffers.append(buffer)
        return tag, head, buffers

    def reuse(self, buffer: memoryview) -> None:
        """Nobody looks at these bytes any more: a message of that size may have them."""
        with self._sparing:
            self._spare = [*self._spare, buffer][-SPARE_MAX:]

    def _allocate(self, size: int) -> memoryview:
        """Memory that nobody has cleared, for it is filled at once."""
        with self._sparing:
            for place, spare in enumerate(self._spare):
                if len(spare) == size:
                    return self._spare.pop(place)
        return _new(size)

    def _read(self, size: int) -> Buffer:
        """Small things pass through one buffer, many with one call to the kernel."""
        if size > BUFFER_BYTES:
            large = memoryview(bytearray(size))
            self._fill(large)
            return large
        if self._end - self._start < size:
            rest = self._space[self._start : self._end]
            self._start, self._end = 0, len(rest)
            self._space[: len(rest)] = bytes(rest)
            while self._end < size:
                self._end += self._receive_into(self._space[self._end :])
        start, self._start = self._start, self._start + size
        return bytes(self._space[start : self._start])

    def _fill(self, target: memoryview) -> None:
        """What is here already, and the rest from the kernel straight into its place."""
        filled = min(len(target), self._end - self._start)
        target[:filled] = self._space[self._start : self._start + filled]
        self._start += filled
        while filled < len(target):
            filled += self._receive_into(target[filled:], socket.MSG_WAITALL)

    def _receive_into(self, view: memoryview, flags: int = 0) -> int:
        while True:
            try:
                count = self._sock.recv_into(view, 0, flags)
            except BlockingIOError:  # No byte came for as long as silence may last.
                raise TimeoutError(f"nothing was heard for {self._silence_s:g} s") from None
            if not count:
                raise EOFError("it has left or died")
            self._heard_at = time.monotonic()
            return count

    def _check_heard(self) -> None:
        if time.monotonic() - self._heard_at > self._silence_s:
            raise TimeoutError(f"nothing was heard or taken for {self._silence_s:g} s")

    def finish(self) -> None:
        """Nothing more will be sent; what the peer sends is still read."""
        self._shut(socket.SHUT_WR)

    def shut(self) -> None:
        """End it now; whoever reads or sends wakes up."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # Already gone.

    def close(self) -> None:
        self._sock.close()


def checksum(buffer: Buffer) -> int:
    """The sum of the 64-bit words of the bytes, and of what is left one by one."""
    import numpy as np

    data = np.frombuffer(buffer, np.uint8)
    whole = len(data) // 8 * 8
    total = int(data[:whole].view(np.uint64).sum())
    return (total + int(data[whole:].sum(dtype=np.uint64))) & 0xFFFF_FFFF_FFFF_FFFF


def _new(size: int) -> memoryview:
    import numpy as np

    return np.empty(size, np.uint8).data


def _checked(value: Any) -> tuple[str, Buffer, list[int], list[int]]:
    """The fields of a message, if they are such. Raises ProtocolError."""
    match value:
        case [str(tag), Blob() | bytes() as head, list(sizes), list(sums)]:
            numbers = all(type(each) is int and each >= 0 for each in [*sizes, *sums])
            fits = len(sizes) == len(sums) <= ARRAYS_MAX and len(tag) <= TAG_CHARACTERS_MAX
            if numbers and fits and sum(sizes) <= ARRAY_BYTES_MAX:
                return tag, head.data if isinstance(head, Blob) else head, sizes, sums
    raise ProtocolError("a message between members is malformed or over the limits")
