"""One codec for message heads, shuffle files and resident data.

A value becomes a *head* (msgpack) and a list of *buffers*. Small things live in the head; the
bytes of a numpy array stay outside, as a buffer that is sent, written or mapped into memory without
a copy, while the head keeps its dtype, its shape and the buffer's number.

What may be encoded: None, bool, int of any size, float, str (lone surrogates too), bytes, list,
tuple, dict and numeric numpy arrays. Each comes back as the type it was, so that a job gives the
same answer whether or not its values crossed a process. Numpy scalars become Python's numbers.
Nothing here can run code: no pickle, no object arrays.

Decoding trusts nobody. Shapes are multiplied out and compared with the bytes that are really there
*before* anything is allocated: a header of 100 bytes must not ask for a terabyte.

numpy is imported only when an array is met; the coordinator starts faster without it.
"""

import struct
import sys
from math import prod
from typing import TYPE_CHECKING, Any

import msgpack

from minimr.errors import CorruptData

if TYPE_CHECKING:
    import numpy as np

Buffer = bytes | bytearray | memoryview

TUPLE, BIG_INT, ARRAY = 1, 2, 3
"""msgpack extension codes."""

DTYPES = frozenset(
    ["|b1", "|i1", "|u1"]
    + [order + kind for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8")]
    + [order + kind for order in "<>" for kind in ("f2", "f4", "f8", "c8", "c16")]
)
"""The array element types that may travel; never objects, strings or records."""

NESTING_MAX = 8
"""How deep tuples may lie within tuples. In each, msgpack allows a thousand lists within lists, and
all of them stand on C's stack: 20 levels overflow one of 8 MiB."""

LEVELS_MAX = 1024
"""How many lists or dicts, each in the next, a value may lie in. That is what msgpack writes; it
reads one level less where the innermost is a list or dict, and the decoder makes up for that."""

MAPS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])
"""The first bytes that a dict may have in msgpack."""

STR_32, BYTES_32 = 0xDB, 0xC6
"""What stands before the length of a large string in msgpack."""
LARGE_BYTES = 1 << 16
"""From here on msgpack writes a string's length as 32 bits."""

FIRST_BYTES = 1 << 12
"""The room in which a packer begins; it grows. By default it has 256 KiB, which a process with
little of its memory free gets from the kernel and gives back, for every value."""

DIMENSIONS_MAX = 32
ALIGNMENT_BYTES = 64
"""Buffers of a dumped value start at multiples of this, so that mapped arrays are aligned."""

_U32 = struct.Struct("<I")


def pack(value: Any) -> tuple[bytes, list[memoryview]]:
    """Encode a value as a head and buffers. Raises TypeError for what cannot be encoded."""
    encoder = _Encoder()
    try:
        head = encoder.encode(value)
    except (ValueError, OverflowError) as error:
        raise TypeError(f"a value cannot be encoded: {error}") from error
    return head, encoder.buffers


def unpack(head: Buffer, buffers: "list[Buffer] | list[memoryview]") -> Any:
    """Decode what `pack` made; arrays are views of the buffers. Raises CorruptData."""
    try:
        return _Decoder(buffers).decode(head)
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData) as error:
        raise CorruptData(f"A message or file does not decode: {error}") from error


def dumps(value: Any) -> bytes:
    """Encode a value as one byte string, its buffers aligned to 64 bytes from the start.

    Layout: u32 length of the head, the head, u32 number of buffers, a u64 length for each, then
    the buffers, each after padding. Raises TypeError for what cannot be encoded.
    """
    return b"".join(dump_parts(value))


def dump_parts(value: Any) -> list[Buffer]:
    """Return what `dumps` does as parts, the buffers among them uncopied."""
    head, buffers = pack(value)
    parts: list[Buffer] = [_U32.pack(len(head)), head, _U32.pack(len(buffers))]
    if not buffers:
        return parts
    parts.append(struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers)))
    position = 8 + len(head) + 8 * len(buffers)
    for buffer in buffers:
        padding = -position % ALIGNMENT_BYTES
        parts += [bytes(padding), buffer]
        position += padding + buffer.nbytes
    return parts


def dump_strings(strings: list[str] | list[bytes]) -> list[Buffer]:
    """Return what `dumps` makes of a list of str, or of bytes, as parts.

    msgpack would copy a large one three times; here only a str's own bytes are made.
    """
    if max(map(len, strings)) < LARGE_BYTES:
        return [dumps(strings)]
    packer = msgpack.Packer(unicode_errors="surrogatepass")
    parts: list[Buffer] = [packer.pack_array_header(len(strings))]
    for each in strings:
        if len(each) < LARGE_BYTES:
            parts.append(packer.pack(each))
            continue
        kind = STR_32 if isinstance(each, str) else BYTES_32
        data = each.encode("utf-8", "surrogatepass") if isinstance(each, str) else each
        if len(data) >= 1 << 32:
            raise TypeError(f"a string of {len(data):,} bytes is longer than 4 GiB")
        parts += [struct.pack(">BI", kind, len(data)), data]
    return [_U32.pack(sum(map(len, parts))), *parts, _U32.pack(0)]


def loads(data: Any) -> Any:
    """Decode what `dumps` made, from bytes or a mapped file; arrays are views of `data`.

    Raises CorruptData.
    """
    view = memoryview(data)
    try:
        (head_length,) = _U32.unpack_from(view, 0)
        (count,) = _U32.unpack_from(view, 4 + head_length)
        position = 8 + head_length + 8 * count
        if position > len(view):
            raise CorruptData("An encoded value is cut short in its list of buffers.")
        lengths = struct.unpack_from(f"<{count}Q", view, 8 + head_length)
    except struct.error as error:
        raise CorruptData(f"An encoded value is cut short: {error}") from error
    return unpack(view[4 : 4 + head_length], _cut(view, position, lengths))


def _cut(view: memoryview, position: int, lengths: tuple[int, ...]) -> list[memoryview]:
    buffers = []
    for length in lengths:
        start = position + -position % ALIGNMENT_BYTES
        position = start + length
        if position > len(view):
            raise CorruptData(
                f"An encoded value is cut short: {position} bytes announced, {len(view)} there."
            )
        buffers.append(view[start:position])
    return buffers


class _Encoder:
    """One value's way into msgpack; msgpack calls `default` for each type it does not know."""

    def __init__(self) -> None:
        self.buffers: list[memoryview] = []
        self.depth = 0

    def encode(self, value: Any) -> bytes:
        packer = msgpack.Packer(  # a third of the cost of packb, which looks at its arguments
            default=self.default,
            strict_types=True,
            unicode_errors="surrogatepass",
            buf_size=FIRST_BYTES,
        )
        data: bytes = packer.pack(value)
        return data

    def default(self, value: Any) -> Any:
        kind = type(value)
        if kind is tuple:
            return self.tuple(value)
        if kind is int:
            size = value.bit_length() // 8 + 1
            return msgpack.ExtType(BIG_INT, value.to_bytes(size, "little", signed=True))
        numpy = sys.modules.get("numpy")  # if nobody imported numpy, the value is not numpy's
        if numpy is not None and kind in (numpy.ndarray, numpy.memmap):
            return self.array(value)
        if numpy is not None and isinstance(value, numpy.generic):
            plain = value.item()
            if type(plain) in (bool, int, float, str, bytes):
                return plain
        raise TypeError(_cannot_encode(value))

    def tuple(self, value: tuple[Any, ...]) -> msgpack.ExtType:
        if self.depth == NESTING_MAX:
            raise TypeError(f"tuples are nested deeper than {NESTING_MAX}")
        self.depth += 1
        data = self.encode(list(value))
        self.depth -= 1
        return msgpack.ExtType(TUPLE, data)

    def array(self, value: "np.ndarray[Any, Any]") -> msgpack.ExtType:
        dtype = value.dtype.str
        if dtype not in DTYPES:
            raise TypeError(
                f"an array of {value.dtype} cannot be encoded; use bool, int, float or complex"
            )
        flat = value.ravel()  # a view if value is C-contiguous, else a copy in that order
        self.buffers.append(flat.view("u1").data)
        description = [dtype, list(value.shape), len(self.buffers) - 1]
        return msgpack.ExtType(ARRAY, msgpack.Packer(buf_size=FIRST_BYTES).pack(description))


class _Decoder:
    """The way back; msgpack calls `extension` for each extension code."""

    def __init__(self, buffers: "list[Buffer] | list[memoryview]") -> None:
        self.buffers = buffers
        self.depth = 0

    def decode(self, head: Buffer) -> Any:
        try:
            return msgpack.unpackb(head, **self.settings())
        except msgpack.StackError:
            return self.decode_deepest(head)

    def settings(self) -> dict[str, Any]:
        return {
            "ext_hook": self.extension,
            "strict_map_key": False,
            "unicode_errors": "surrogatepass",
        }

    def decode_deepest(self, head: Buffer) -> Any:
        """The outermost list or dict opened here, so that msgpack sees one level less."""
        unpacker = msgpack.Unpacker(max_buffer_size=len(head), **self.settings())
        unpacker.feed(head)
        try:
            if head[0] in MAPS:
                pairs = range(unpacker.read_map_header())
                value: Any = {unpacker.unpack(): unpacker.unpack() for _ in pairs}
            else:
                value = [unpacker.unpack() for _ in range(unpacker.read_array_header())]
        except msgpack.StackError:
            raise CorruptData(
                f"A value is nested deeper than {LEVELS_MAX} lists; flatten it."
            ) from None
        if unpacker.tell() != len(head):
            raise CorruptData("A message or file does not decode: bytes follow the value.")
        return value

    def extension(self, code: int, data: bytes) -> Any:
        if code == TUPLE:
            return self.tuple(data)
        if code == BIG_INT:
            return int.from_bytes(data, "little", signed=True)
        if code == ARRAY:
            return self.array(msgpack.unpackb(data))
        raise CorruptData(f"An encoded value has the unknown extension {code}.")

    def tuple(self, data: bytes) -> tuple[Any, ...]:
        if self.depth == NESTING_MAX:
            raise CorruptData(f"Tuples are nested deeper than {NESTING_MAX}.")
        self.depth += 1
        items = self.decode(data)
        self.depth -= 1
        if type(items) is not list:
            raise CorruptData("An encoded tuple holds no list.")
        return tuple(items)

    def array(self, description: Any) -> "np.ndarray[Any, Any]":
        import numpy as np

        dtype, shape, index = description
        if dtype not in DTYPES:
            raise CorruptData(f"An array has the dtype {dtype!r}, which may not travel.")
        if len(shape) > DIMENSIONS_MAX or any(type(n) is not int or n < 0 for n in shape):
            raise CorruptData(f"An array has the shape {shape!r}, which is none.")
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise CorruptData(f"An array lies in buffer {index!r} of {len(self.buffers)}.")
        buffer = memoryview(self.buffers[index])
        size_bytes = prod(shape) * np.dtype(dtype).itemsize
        if size_bytes != buffer.nbytes:
            raise CorruptData(
                f"An array of shape {shape} takes {size_bytes} bytes; {buffer.nbytes} are there."
            )
        if not size_bytes:
            return np.empty(shape, dtype)
        return np.frombuffer(buffer, dtype).reshape(shape)


def _cannot_encode(value: Any) -> str:
    text = repr(value)
    shown = text if len(text) <= 80 else text[:77] + "..."
    advice = ""
    if isinstance(value, set | frozenset):
        advice = "; sorted(value) would do"
    if isinstance(value, dict):
        advice = "; dict(value) would do"
    return (
        f"a value of type {type(value).__name__} cannot be encoded: {shown}. Use None, bool, int, "
        f"float, str, bytes, list, tuple, dict or a numeric numpy array{advice}"
    )
