"""What a peer sends: frames, the handshake, messages."""

import io
import socket
import zlib
from contextlib import contextmanager
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints
from unittest import mock

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from minimr.cluster import handshake, wire
from minimr.cluster import messages as m
from minimr.cluster.connection import decode_messages, encode_messages
from minimr.cluster.handshake import admit, greet
from minimr.cluster.message_codec import from_wire, to_wire
from minimr.cluster.wire import (
    Blob,
    FrameDecoder,
    FrameTooLarge,
    Limits,
    encode_frame,
    read_frame,
)
from minimr.errors import NoCoordinator, ProtocolError
from minimr.scheduler.state import AttemptId
from tests.fuzz.bad_bytes import JSON_VALUES, bad_bytes, damaged, fuzz, judge

LIMITS = Limits(head_bytes=4096, blobs=8, blob_bytes=1 << 16)
LIMIT_BYTES = LIMITS.head_bytes + 8 * LIMITS.blobs + LIMITS.blob_bytes
FLOOR_BYTES = 4 * wire.BUFFER_BYTES + 160 * LIMITS.head_bytes + 3 * LIMIT_BYTES
"""A frame may take what the limits say before a byte of it has come."""

ATTEMPT = AttemptId("job-1", "map", 3, 1000)
MESSAGES = [
    m.Register(2, "127.0.0.1", 4711, 99, "worker-1", 2, [ATTEMPT], [ATTEMPT], ["job-1"]),
    m.Beat(),
    m.Done(ATTEMPT, [Blob(b"x" * 600), Blob(b"small")], {"s": 0.5}, {"n": 3}, None, "said"),
    m.Failed(ATTEMPT, "user", "Traceback", "file:10", ""),
    m.FetchMissed(ATTEMPT, [ATTEMPT, ATTEMPT], "cut"),
    m.Fetch(1, [ATTEMPT]),
    m.Segments([10, -1], [10, -1]),
    m.Reply(7, {"workers": [{"name": "worker-1"}]}, None),
    m.Events("job-1", [{"t": 0.5, "event": "note", "text": "hello"}]),
]
FRAMES = [b"".join(encode_messages([each])) for each in MESSAGES]
FRAMES.append(b"".join(encode_messages(MESSAGES)))
TOKEN = b"t" * 32
ROLE = "worker"


class Ended(Exception):
    """The stream ended where the parser wanted more."""


def reader(data):
    stream = io.BytesIO(data)

    def read(size):
        assert size <= LIMIT_BYTES, "more than the limits allow"
        piece = stream.read(size)
        if len(piece) < size:
            raise Ended("the stream ends")
        return piece

    return read


def read_all(data):
    """All frames of a stream, and why it ended."""
    read, frames = reader(data), []
    try:
        while True:
            frames.append(read_frame(read, LIMITS))
    except Ended:
        return frames, None
    except ProtocolError as error:
        return frames, str(error)


def decode_all(data, sizes):
    """The same through the decoder, fed with pieces of these sizes, over and over."""
    decoder, frames, turn = FrameDecoder(LIMITS), [], 0
    try:
        while data:
            space = decoder.space()
            assert len(space) > 0
            piece = data[: min(sizes[turn % len(sizes)], len(space))]
            space[: len(piece)] = piece
            frames.extend(decoder.received(len(piece)))
            data, turn = data[len(piece) :], turn + 1
    except ProtocolError as error:
        return frames, str(error)
    return frames, None


def sealed(data):
    """A frame with the checksum that its bytes have now."""
    fixed = wire.HEADER.size + wire.CHECKSUM.size
    crc = zlib.crc32(data[fixed:], zlib.crc32(data[: wire.HEADER.size]))
    return data[: wire.HEADER.size] + wire.CHECKSUM.pack(crc) + data[fixed:]


# Frames


@fuzz
@given(data=bad_bytes(FRAMES), sizes=st.lists(st.integers(1, 700), min_size=1, max_size=3))
def test_a_stream_gives_the_same_whole_or_in_pieces(data, sizes):
    whole = judge(read_all, data, (), floor_bytes=FLOOR_BYTES)
    pieces = judge(lambda data: decode_all(data, sizes), data, (), floor_bytes=FLOOR_BYTES)
    assert whole == pieces


@fuzz
@given(data=damaged(FRAMES).map(sealed), sizes=st.lists(st.integers(1, 700), min_size=1))
def test_frames_damaged_under_their_checksum(data, sizes):
    whole = judge(read_all, data, (), floor_bytes=FLOOR_BYTES)
    assert whole == judge(lambda data: decode_all(data, sizes), data, (), floor_bytes=FLOOR_BYTES)
    for frame in whole[0]:
        judge(decode_messages, frame, ProtocolError, size_bytes=len(data), floor_bytes=FLOOR_BYTES)


REFERENCES = [b"", b"\0", b"\0\0", b"\0\1", b"\0\2", b"\xff\xff", b"\0\0\0"]
HEADS = [each[wire.HEADER.size + wire.CHECKSUM.size :] for each in FRAMES[3:]]
HEADS += [msgpack.packb([msgpack.ExtType(wire.BLOB_CODE, each)]) for each in REFERENCES]


@fuzz
@given(
    head=st.sampled_from(HEADS) | bad_bytes(HEADS),
    blobs=st.lists(st.binary(max_size=20), max_size=3),
)
def test_any_head_in_a_right_frame(head, blobs):
    header = wire.HEADER.pack(wire.MAGIC, wire.PROTOCOL_VERSION, 1, len(blobs), len(head))
    lengths = b"".join(wire.LENGTH.pack(len(blob)) for blob in blobs)
    data = sealed(header + bytes(4) + lengths + head + b"".join(blobs))
    frames, _ = judge(read_all, data, (), floor_bytes=FLOOR_BYTES)
    for frame in frames:
        judge(decode_messages, frame, ProtocolError, size_bytes=len(data), floor_bytes=FLOOR_BYTES)


def test_heads_that_ask_for_much_get_little():
    for head in (
        b"\x91" * 4096,
        b"\x81\xc0" * 2048,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdc\x0f\xf0" + b"\x80" * 4080,
    ):
        header = wire.HEADER.pack(wire.MAGIC, wire.PROTOCOL_VERSION, 1, 0, len(head))
        data = sealed(header + bytes(4) + head)
        judge(read_all, data, (), floor_bytes=FLOOR_BYTES)


# The handshake


@contextmanager
def known_numbers():
    """The random bytes of a handshake are zeros, so that a conversation can be recorded."""
    with mock.patch.object(handshake.os, "urandom", bytes):
        yield


def talk(half, says):
    """Let one half of the handshake hear `says` and then the end. Returns what it said, too."""
    ours, theirs = socket.socketpair()
    with ours, theirs, known_numbers():
        theirs.sendall(says)
        theirs.shutdown(socket.SHUT_WR)
        try:
            result, error = half(ours), None
        except (ProtocolError, NoCoordinator) as refused:
            result, error = None, refused
        ours.close()
        return result, error, theirs.recv(1 << 16)


def server(sock):
    return admit(sock, TOKEN, (ROLE, "client"))


def caller(sock):
    greet(sock, TOKEN, ROLE)
    return ROLE


def said(half, hears):
    _, _, words = talk(half, hears)
    return words


def without_refusal(words):
    """Drop the refusal that a server sends when it hears no more."""
    marker = words.rfind(wire.MAGIC)
    return words[:marker] if b"refused" in words[marker:] else words


HELLO = said(caller, b"")
CHALLENGE = without_refusal(said(server, HELLO))
CALLERS_WORDS = said(caller, CHALLENGE)
SERVERS_WORDS = said(server, CALLERS_WORDS)


def test_the_recorded_conversation_is_a_good_one():
    assert talk(server, CALLERS_WORDS)[:2] == (ROLE, None)
    assert talk(caller, SERVERS_WORDS)[:2] == (ROLE, None)


@fuzz
@given(data=bad_bytes([CALLERS_WORDS, HELLO]))
def test_a_server_admits_nobody_who_says_anything_else(data):
    role, error, _ = judge(lambda data: talk(server, data), data, ())
    assert (role is None) == (error is not None)
    assert role is None or data.startswith(CALLERS_WORDS)


@fuzz
@given(data=bad_bytes([SERVERS_WORDS, CHALLENGE]))
def test_a_caller_trusts_nobody_who_says_anything_else(data):
    role, error, _ = judge(lambda data: talk(caller, data), data, ())
    assert (role is None) == (error is not None)
    assert role is None or data.startswith(SERVERS_WORDS)
    assert error is None or isinstance(error, NoCoordinator)


def all_sealed(data):
    """Frames with the checksums that their bytes have now."""
    parts = [wire.MAGIC + part for part in data.split(wire.MAGIC)[1:]]
    return b"".join(sealed(part) for part in parts if len(part) >= 16)


@fuzz
@given(
    half=st.sampled_from([(server, CALLERS_WORDS), (caller, SERVERS_WORDS)]),
    at=st.integers(0, 200),
    bit=st.integers(0, 7),
)
def test_right_checksums_admit_nobody_either(half, at, bit):
    listener, words = half
    at %= len(words)
    says = all_sealed(words[:at] + bytes([words[at] ^ 1 << bit]) + words[at + 1 :])
    role, error, _ = judge(lambda says: talk(listener, says), says, ())
    assert (role is None) == (error is not None)
    # The frame around the last proof is under no proof itself; changing it proves nothing less.
    around_last_proof = range(words.rfind(wire.MAGIC), len(words) - handshake.NONCE_BYTES)
    assert role is None or says == words or at in around_last_proof


# Messages


def travel(value):
    """A value as it arrives at the other end, or None if it cannot be sent."""
    try:
        pieces = encode_frame(1, value)
    except (TypeError, ValueError, FrameTooLarge):
        return None
    return read_frame(reader(b"".join(map(bytes, pieces))), Limits()).value


PLAIN = [travel(to_wire(each)) for each in MESSAGES]
VALUES = JSON_VALUES | st.binary(max_size=4) | st.builds(Blob, st.binary(max_size=4))


@st.composite
def changed_messages(draw):
    """A message as it travels, with some fields or items of its lists replaced, or one too many."""
    value = list(draw(st.sampled_from(PLAIN)))
    if draw(st.integers(0, 4)) == 0:
        return [*value, draw(VALUES)] if draw(st.booleans()) else value[:-1]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(value) - 1))
        inner = value[at]
        if isinstance(inner, list | tuple) and inner and draw(st.booleans()):
            inner = list(inner)
            inner[draw(st.integers(0, len(inner) - 1))] = draw(VALUES)
            value[at] = inner
        else:
            value[at] = draw(VALUES)
    return value


def fits(value, hint):
    """Whether a value is what the annotation of its field says."""
    if hint is Any:
        return True
    if hint is AttemptId:
        return type(value) is AttemptId and tuple(map(type, value)) == (str, str, int, int)
    if get_origin(hint) is UnionType:
        return any(fits(value, each) for each in get_args(hint))
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return type(value) is list and all(fits(each, item) for each in value)
    return type(value) is (get_origin(hint) or hint)


@fuzz
@given(value=changed_messages() | VALUES | st.lists(VALUES, max_size=4))
def test_messages(value):
    message = judge(from_wire, travel(value), ProtocolError, size_bytes=1000)
    if message is not None:
        hints = get_type_hints(type(message))
        assert all(fits(getattr(message, name), hint) for name, hint in hints.items())
        assert repr(from_wire(travel(to_wire(message)))) == repr(message)


def test_every_message_travels_unchanged():
    assert [from_wire(travel(to_wire(each))) for each in MESSAGES] == MESSAGES
