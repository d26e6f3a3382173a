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
"""

import struct
import zlib
from collections.abc import Callable, Iterable
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

HEAD_BYTES_MAX = 1 << 20
BLOBS_MAX = 65_535
BLOB_BYTES_MAX = 1 << 30
ITEMS_MAX = 200_000


class FrameTooLarge(ProtocolError):
    """A message of ours is over the limits; it must be cut or written to a file."""


Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may ask for. Strangers get much less than peers that proved the token."""

    head_bytes: int = HEAD_BYTES_MAX
    blobs: int = BLOBS_MAX
    blob_bytes: int = BLOB_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that travel beside the head, uncopied and unread by those who only pass them on."""

    data: Buffer

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    value: Any


def encode_frame(kind: int, value: Any) -> list[Buffer]:
    """The pieces of one frame, in order. `value` is msgpack data with `Blob`s in it."""
    blobs: list[Buffer] = []

    def refer(item: Any) -> bytes | msgpack.ExtType:
        if not isinstance(item, Blob):
            raise TypeError(f"{type(item).__name__} cannot travel in a frame")
        if len(item.data) <= SMALL_BLOB_BYTES:
            return bytes(item.data)
        blobs.append(item.data)
        return msgpack.ExtType(BLOB_CODE, struct.pack("!H", len(blobs) - 1))

    head = msgpack.packb(value, default=refer, unicode_errors="surrogatepass")
    _check_outgoing(head, blobs)
    lengths = b"".join(LENGTH.pack(len(blob)) for blob in blobs)
    header = HEADER.pack(MAGIC, PROTOCOL_VERSION, kind, len(blobs), len(head))
    checksum = CHECKSUM.pack(_checksum((header, lengths, head, *blobs)))
    return [header + checksum + lengths + head, *blobs]


def _check_outgoing(head: bytes, blobs: list[Buffer]) -> None:
    if len(head) > HEAD_BYTES_MAX or len(blobs) > BLOBS_MAX:
        raise FrameTooLarge(f"message too large: {len(head)} bytes of head, {len(blobs)} blobs")
    total = sum(map(len, blobs))
    if total > BLOB_BYTES_MAX:
        raise FrameTooLarge(
            f"{total} bytes in one message; at most {BLOB_BYTES_MAX} can travel. "
            "Write large results to files with output=..."
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
    start = bytes(read(HEADER.size + CHECKSUM.size))
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
    lengths = bytes(read(LENGTH.size * count)) if count else b""
    sizes = [size for (size,) in LENGTH.iter_unpack(lengths)]
    if sum(sizes) > limits.blob_bytes:
        raise ProtocolError(f"frame over the limit: {sum(sizes)} bytes in blobs")
    head = bytes(read(head_bytes))
    blobs = [read(size) for size in sizes]
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
