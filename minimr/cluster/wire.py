"""Frames: how a stream of bytes becomes messages again.

TCP is a stream. What one `send` wrote may arrive in pieces or glued to its neighbours, so every
message travels as a frame that says how long it is:

    header   magic "MiMR", protocol version, kind, number of blobs, head length, checksum
    lengths  one 8-byte length per blob
    head     msgpack; a blob stands in it as a reference to its place, a small one as it is
    blobs    raw bytes, received straight into a buffer of their own

The checksum (CRC-32 over everything else) finds what TCP's 16 bits let through. A
frame that breaks a rule or a limit closes the connection: after damage nobody knows where the next
frame starts. Limits hold before memory is spent, since a few bytes of msgpack can ask for a lot.

Nothing here touches a socket. The parser is a generator that asks for a number of bytes and is sent
exactly those, so it can stop anywhere: who reads with blocking calls feeds it from `read`, and a
loop that takes what is there feeds it through a `FrameDecoder`.
"""

import struct
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from minimr.errors import ProtocolError

PROTOCOL_VERSION = 1
MAGIC = b"MiMR"
HEADER = struct.Struct("!4sBBHI")
CHECKSUM = struct.Struct("!I")
LENGTH = struct.Struct("!Q")
BLOB_CODE = 1
SMALL_BLOB_BYTES = 512
REFERENCE_BYTES = 4
"""What a reference takes in the head."""

HEAD_BYTES_MAX = 1 << 20
BLOBS_MAX = 65_535
BLOB_BYTES_MAX = 1 << 30
ITEMS_MAX = 200_000

BUFFER_BYTES = 1 << 16
FIRST_BYTES = 1 << 12
"""The room in which a head is packed at first; msgpack's default is 256 KiB."""


class FrameTooLarge(ProtocolError):
    """A message of ours is over the limits; it must be cut or written to a file."""


Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may ask for. Strangers get much less than peers that proved the token."""

    head_bytes: int = HEAD_BYTES_MAX
    blobs: int = BLOBS_MAX
    blob_bytes: int = BLOB_BYTES_MAX


@dataclass(slots=True)
class Blob:
    """Bytes that travel beside the head, uncopied and unread by those who only pass them on."""

    data: Buffer

    def __len__(self) -> int:
        return len(self.data)


@dataclass(slots=True)
class Frame:
    kind: int
    value: Any


def encode_frame(kind: int, value: Any) -> list[Buffer]:
    """The pieces of one frame, in order. `value` is msgpack data with `Blob`s in it."""
    head, blobs = _packed(value, SMALL_BLOB_BYTES)
    if len(head) > HEAD_BYTES_MAX:
        head, blobs = _packed(value, REFERENCE_BYTES)  # Many small blobs are too much for a head.
    _check_outgoing(head, blobs)
    lengths = b"".join(LENGTH.pack(len(blob)) for blob in blobs)
    header = HEADER.pack(MAGIC, PROTOCOL_VERSION, kind, len(blobs), len(head))
    checksum = CHECKSUM.pack(_checksum((header, lengths, head, *blobs)))
    return [header + checksum + lengths + head, *blobs]


def _packed(value: Any, small_bytes: int) -> tuple[bytes, list[Buffer]]:
    """The head, and the blobs to which it refers: those that are not small."""
    blobs: list[Buffer] = []

    def refer(item: Any) -> bytes | msgpack.ExtType:
        if type(item) is int:
            raise FrameTooLarge("a number of more than 64 bits cannot travel in a message")
        if not isinstance(item, Blob):
            raise TypeError(f"{type(item).__name__} cannot travel in a frame")
        if len(item.data) <= small_bytes or len(blobs) == BLOBS_MAX:
            return bytes(item.data)
        blobs.append(item.data)
        return msgpack.ExtType(BLOB_CODE, struct.pack("!H", len(blobs) - 1))

    packer = msgpack.Packer(default=refer, unicode_errors="surrogatepass", buf_size=FIRST_BYTES)
    return packer.pack(value), blobs


def _check_outgoing(head: bytes, blobs: list[Buffer]) -> None:
    if len(head) > HEAD_BYTES_MAX or len(blobs) > BLOBS_MAX:
        raise FrameTooLarge(f"message too large: {len(head)} bytes of head, {len(blobs)} blobs")
    total = sum(map(len, blobs))
    if total > BLOB_BYTES_MAX:
        raise FrameTooLarge(
            f"{total} bytes in one message; at most {BLOB_BYTES_MAX} can travel. "
            "Large results go to files with output=...; what is sent to every task, as a model's "
            "parameters are, must be smaller"
        )


def _checksum(pieces: Iterable[Buffer]) -> int:
    value = 0
    for piece in pieces:
        value = zlib.crc32(piece, value)
    return value


def read_frame(read: Callable[[int], Buffer], limits: Limits) -> Frame:
    """One frame from `read(n)`, which returns exactly n bytes or raises.

    Raises ProtocolError for anything that is no frame or over `limits`.
    """
    parser = _parse(limits)
    wanted = next(parser)
    while True:
        try:
            wanted = parser.send(read(wanted))
        except StopIteration as end:
            frame: Frame = end.value
            return frame


class FrameDecoder:
    """Frames from a stream that comes in pieces of any size.

    Receive into `space()`, then tell `received` how many bytes came. Small things pass through one
    buffer; what is larger is received into a buffer of its own, where it stays.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shared = memoryview(bytearray(BUFFER_BYTES))
        self._own: memoryview | None = None
        # The bytes that came and that nobody took are [start, end) of the shared or own buffer.
        self._start = self._end = 0
        self._wanted = 0
        self._begin()

    def space(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        return (self._shared if self._own is None else self._own)[self._end :]

    def received(self, count: int) -> Iterator[Frame]:
        """Yield the frames that `count` more bytes make whole. Raises ProtocolError.

        To be used up before the next call.
        """
        self._end += count
        while self._end - self._start >= self._wanted:
            try:
                self._wanted = self._parser.send(self._take())
            except StopIteration as end:
                self._begin()
                yield end.value
        self._make_room()

    def _begin(self) -> None:
        self._parser = _parse(self._limits)
        self._wanted = next(self._parser)

    def _take(self) -> Buffer:
        if self._own is not None:
            whole, self._own = self._own, None
            self._start = self._end = 0
            return whole
        start, self._start = self._start, self._start + self._wanted
        return bytes(self._shared[start : self._start])

    def _make_room(self) -> None:
        """Move what is left to the front of a buffer that holds all that the parser waits for."""
        if self._own is not None:
            return
        rest = self._shared[self._start : self._end]
        self._start, self._end = 0, len(rest)
        if self._wanted > BUFFER_BYTES:
            self._own = memoryview(bytearray(self._wanted))
            self._own[: len(rest)] = rest
        elif rest:
            self._shared[: len(rest)] = rest


def _parse(limits: Limits) -> Generator[int, Buffer, Frame]:
    """Yield how many bytes to send next; return the frame. Raises ProtocolError."""
    start = bytes((yield HEADER.size + CHECKSUM.size))
    header, (checksum,) = start[: HEADER.size], CHECKSUM.unpack(start[HEADER.size :])
    magic, version, kind, count, head_bytes = HEADER.unpack(header)
    if magic != MAGIC:
        raise ProtocolError("the peer does not speak minimr's protocol; is this the right port?")
    if version != PROTOCOL_VERSION:
        raise ProtocolError(
            f"the peer speaks protocol {version}, this minimr speaks {PROTOCOL_VERSION}; "
            "install the same minimr on both sides"
        )
    if count > limits.blobs or head_bytes > limits.head_bytes:
        raise ProtocolError(f"frame over the limit: {head_bytes} bytes of head, {count} blobs")
    lengths = bytes((yield LENGTH.size * count)) if count else b""
    sizes = [size for (size,) in LENGTH.iter_unpack(lengths)]
    if sum(sizes) > limits.blob_bytes:
        raise ProtocolError(f"frame over the limit: {sum(sizes)} bytes in blobs")
    head = bytes((yield head_bytes))
    blobs: list[Buffer] = []
    for size in sizes:
        blob = yield size
        blobs.append(blob)
    if _checksum((header, lengths, head, *blobs)) != checksum:
        raise ProtocolError("frame damaged on its way: the checksum does not match")
    return Frame(kind, _decode_head(head, blobs))


def _decode_head(head: bytes, blobs: list[Buffer]) -> Any:
    def resolve(code: int, data: bytes) -> Blob:
        if code != BLOB_CODE or len(data) != 2:
            raise ProtocolError(f"unknown extension {code} in a frame")
        (index,) = struct.unpack("!H", data)
        if index >= len(blobs):
            raise ProtocolError("a frame refers to a blob that it does not carry")
        return Blob(blobs[index])

    try:
        return msgpack.unpackb(
            head,
            ext_hook=resolve,
            unicode_errors="surrogatepass",
            strict_map_key=True,
            max_array_len=ITEMS_MAX,
            max_map_len=ITEMS_MAX,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError(f"a frame's head is not valid msgpack: {error}") from None
