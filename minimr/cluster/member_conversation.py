"""What two members of a gang say to each other on one TCP connection, after the gate.

A message is a frame as everywhere (wire.py): its tag, the encoded value, the sizes of its arrays,
and how they come. Between members on one machine, large ones go through memory that both see
(member_memory.py), and behind the frame comes a byte for each piece that is there. All others
travel: their bytes come bare, and behind them a checksum of each. They leave from the sender's own
memory and arrive in the memory where the receiver's arrays stay, so nothing copies them but the
kernel. Sizes are checked before memory is spent on them.

The checksum of an array is the sum of its 64-bit words, which runs as fast as memory is read; a
CRC would take several times as long as the transfer. It finds any flipped bit and most of what else
can happen to a run of bytes, though not words that changed places.

Memory is slower than the processor's cache, so both ends work in pieces that fit it: a piece is
summed and then given to the kernel, which finds it in the cache; a piece that came is summed, and
added to its target if it has one, before the next one is asked for. That is why checksums come
last. The checksum of a sum is taken right after the addition, and travels with it when the sum is
passed on: so damage in the memory of the one who added is found by the next member, too.

A member that waits for another must learn within `silence_s` if that one hangs. So whoever has
nothing to say sends an empty frame now and then (`ping`), and one from whom no byte came for that
long is given up, by the one who reads and by the one whose bytes are not taken.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minimr.cluster.connection import after, no_delay
from minimr.cluster.deadline import Deadline
from minimr.cluster.member_memory import PIECE_BYTES, SHARED_BYTES_MIN, SharedMemory, pieces
from minimr.cluster.wire import Blob, Buffer, FrameTooLarge, Limits, encode_frame, read_frame
from minimr.errors import ProtocolError
from minimr.gang.members import Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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
WORD_MAX = 0xFFFF_FFFF_FFFF_FFFF
TIME = struct.Struct("@ll")
SUM_BYTES = 8
THERE = b"1"


@dataclass(frozen=True, slots=True)
class Announced:
    """A message whose arrays, of these sizes in bytes, are still to be read."""

    tag: str
    head: Buffer
    sizes: list[int]
    is_shared: bool = False


class Conversation:
    """One thread reads, any thread sends. Errors are OSError, EOFError and ProtocolError."""

    def __init__(
        self, sock: socket.socket, silence_s: float, memory: SharedMemory | None = None
    ) -> None:
        """Takes the socket over, and the memory, if the two members share any."""
        no_delay(sock)
        sock.settimeout(None)
        limit = TIME.pack(int(silence_s), int(silence_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
        self._sock, self._memory = sock, memory
        self._silence_s = silence_s
        self._heard_at = time.monotonic()
        self._sending = threading.Lock()
        self._space = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0
        self._scratch: npt.NDArray[np.uint8] | None = None

    def send(
        self,
        tag: str,
        head: bytes,
        buffers: Sequence[memoryview],
        sums: Sequence[int] | None = None,
    ) -> None:
        """Give a whole message to the kernel. `sums` are the buffers' checksums, if known.

        Raises FrameTooLarge if it is over the limits.
        """
        sizes = [buffer.nbytes for buffer in buffers]
        if sum(sizes) > ARRAY_BYTES_MAX or len(sizes) > ARRAYS_MAX:
            raise FrameTooLarge(
                f"{len(sizes)} arrays of {sum(sizes)} bytes in one message to a member; at most "
                f"{ARRAYS_MAX} of {ARRAY_BYTES_MAX} bytes can travel: send them in pieces"
            )
        is_shared = self._memory is not None and sum(sizes) >= SHARED_BYTES_MIN
        frame = encode_frame(MEMBER_KIND, [tag, Blob(head), sizes, is_shared])
        with self._sending:
            deadline = Deadline(sum(map(len, frame)) + sum(sizes))
            if is_shared:
                self._share(frame, buffers, deadline)
                return
            for batch in _batches(frame, buffers, sums):
                self._send(batch, deadline)

    def _share(
        self, frame: list[Buffer], buffers: Sequence[memoryview], deadline: Deadline
    ) -> None:
        """Send a message whose arrays go through memory: a byte for each piece that is there."""
        assert self._memory is not None
        self._send(frame, deadline)
        for buffer in buffers:
            for piece in pieces(buffer):
                while not self._memory.has_free_place():
                    self._check_heard()
                    deadline.left_s()
                self._memory.put(piece)
                self._send([THERE], deadline)

    def ping(self) -> None:
        """Say that we are here, unless somebody is sending anyhow, or what was sent before is still
        on its way: whoever pings must not wait for one of those whom it pings."""
        if self._sending.acquire(blocking=False):
            try:
                ping: list[Buffer] = [b"".join(encode_frame(PING_KIND, None))]
                deadline = Deadline(len(ping[0]))
                with suppress(BlockingIOError):
                    sent = self._sock.sendmsg(ping, [], socket.MSG_DONTWAIT)
                    self._send(after(ping, sent), deadline)
            finally:
                self._sending.release()

    def _send(self, pieces: list[Buffer], deadline: Deadline) -> None:
        while pieces:
            try:
                sent = self._sock.sendmsg(pieces[:PIECES_PER_CALL])
            except BlockingIOError:  # No byte was taken for as long as silence may last.
                self._check_heard()
                sent = 0
            deadline.left_s()
            pieces = after(pieces, sent)

    def receive(self) -> Announced:
        """The next message, whatever pings come before it. Its arrays must be read next."""
        while True:
            frame = read_frame(self._read, LIMITS)
            if frame.kind == MEMBER_KIND:
                announced = _announced(frame.value)
                if announced.is_shared and self._memory is None:
                    raise ProtocolError("arrays came through memory that we do not share")
                return announced
            if frame.kind != PING_KIND:
                raise ProtocolError("a frame of this kind has no place between members")

    def read_arrays(self, announced: Announced) -> list[Buffer]:
        """The arrays of this message, in memory of their own."""
        if announced.is_shared:
            return [self._read_shared(Target(_new(size))).data for size in announced.sizes]
        buffers: list[Buffer] = []
        sums = []
        for size in announced.sizes:
            buffer = _new(size).data
            total = 0
            for piece in pieces(buffer):
                self._fill(piece)
                total += checksum(piece)
            buffers.append(buffer)
            sums.append(total & WORD_MAX)
        self._verify(sums)
        return buffers

    def read_into(self, announced: Announced, target: Target) -> int | None:
        """The one array of this message. Returns the target's checksum, if one was taken.

        If what came was damaged, so is the target, and the conversation is over.
        """
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):  # It is for callers to see.
            if not announced.is_shared:
                return self._read_sent(target)
            self._read_shared(target)
            return None

    def _read_shared(self, target: Target) -> "npt.NDArray[Any]":
        """Work on each piece where it lies, once the sender says that it is there."""
        assert self._memory is not None
        for piece in target.pieces(PIECE_BYTES):
            self._read(len(THERE))
            with self._memory.taken(piece.array.nbytes) as theirs:
                piece.take(theirs.view(piece.array.dtype))
        return target.array

    def _read_sent(self, target: Target) -> int:
        came = now = 0
        for piece in target.pieces(PIECE_BYTES):
            mine = piece.array
            theirs = self._scratch_like(mine) if target.is_sum else mine
            self._fill(theirs.view("u1").data)
            came += checksum(theirs)
            if target.is_sum:
                piece.take(theirs)
                now += checksum(mine)
        self._verify([came & WORD_MAX])
        return (now if target.is_sum else came) & WORD_MAX

    def _scratch_like(self, piece: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
        if self._scratch is None:
            import numpy as np

            self._scratch = np.empty(PIECE_BYTES, np.uint8)
        return self._scratch[: piece.nbytes].view(piece.dtype)

    def _verify(self, sums: list[int]) -> None:
        """Compare with what the sender found. Raises ProtocolError."""
        if sums != _unpack_sums(self._read(SUM_BYTES * len(sums))):
            raise ProtocolError("an array was damaged on its way: its checksum does not match")

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
        if self._memory is not None:
            self._memory.shut()

    def _shut(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # Already gone.

    def close(self) -> None:
        """After `shut`. A thread that was sending has learned of the end, or is about to."""
        with self._sending:
            self._sock.close()
            if self._memory is not None:
                self._memory.close()


def checksum(buffer: "Buffer | npt.NDArray[Any]") -> int:
    """The sum of the 64-bit words of the bytes, and of what is left one by one."""
    import numpy as np

    data = np.frombuffer(buffer, np.uint8)
    whole = len(data) // 8 * 8
    total = int(data[:whole].view(np.uint64).sum())
    if whole < len(data):
        total += int(data[whole:].sum(dtype=np.uint64))
    return total & WORD_MAX


def _new(size: int) -> "npt.NDArray[np.uint8]":
    import numpy as np

    return np.empty(size, np.uint8)


def _batches(
    frame: list[Buffer], buffers: Sequence[memoryview], sums: Sequence[int] | None
) -> Iterator[list[Buffer]]:
    """A message as the kernel gets it: a small one at once, a large one piece by piece."""
    batch, batch_bytes = list(frame), 0
    totals = []
    for buffer in buffers:
        total = 0
        for piece in pieces(buffer):
            if batch_bytes + len(piece) > PIECE_BYTES:
                yield batch
                batch, batch_bytes = [], 0
            if sums is None:
                total += checksum(piece)
            batch.append(piece)
            batch_bytes += len(piece)
        totals.append(total & WORD_MAX)
    yield [*batch, _pack_sums(totals if sums is None else sums)]


def _pack_sums(sums: Sequence[int]) -> bytes:
    return struct.pack(f"!{len(sums)}Q", *sums)


def _unpack_sums(data: Buffer) -> list[int]:
    return list(struct.unpack(f"!{len(data) // SUM_BYTES}Q", data))


def _announced(value: Any) -> Announced:
    """The fields of a message, if they are such. Raises ProtocolError."""
    match value:
        case [str(tag), Blob() | bytes() as head, list(sizes), bool(is_shared)]:
            numbers = all(type(each) is int and each >= 0 for each in sizes)
            fits = len(sizes) <= ARRAYS_MAX and len(tag) <= TAG_CHARACTERS_MAX
            if numbers and fits and sum(sizes) <= ARRAY_BYTES_MAX:
                data = head.data if isinstance(head, Blob) else head
                return Announced(tag, data, sizes, is_shared)
    raise ProtocolError("a message between members is malformed or over the limits")
