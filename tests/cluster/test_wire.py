"""Frames: what is written comes back, however it is cut, and nothing else gets through."""

import itertools
import random
import struct
from io import BytesIO

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimr.cluster import wire
from minimr.cluster.wire import (
    Blob,
    FrameDecoder,
    FrameTooLarge,
    Limits,
    encode_frame,
    read_frame,
)
from minimr.errors import ProtocolError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def encoded(kind, value):
    return b"".join(bytes(piece) for piece in encode_frame(kind, value))


def reader(data):
    file = BytesIO(data)

    def read(size):
        piece = file.read(size)
        if len(piece) < size:
            raise EOFError
        return piece

    return read


def framed(head):
    """A frame whose outside is right, with this head."""
    header = wire.HEADER.pack(wire.MAGIC, wire.PROTOCOL_VERSION, 1, 0, len(head))
    return header + wire.CHECKSUM.pack(wire._checksum([header, head])) + head


def decoded(data, limits=None):
    return read_frame(reader(data), limits or Limits())


@given(PLAIN, st.integers(0, 255))
def test_what_is_written_comes_back(value, kind):
    frame = decoded(encoded(kind, value))
    assert (frame.kind, frame.value) == (kind, value)


@given(st.lists(st.integers(0, 2 * wire.SMALL_BLOB_BYTES), max_size=5))
def test_blobs_come_back_in_their_places(sizes):
    """Small ones inside the head, as plain bytes; large ones behind it."""
    blobs = [bytes([index]) * size for index, size in enumerate(sizes)]
    frame = decoded(encoded(1, {"blobs": [Blob(each) for each in blobs]}))
    found = [each.data if isinstance(each, Blob) else each for each in frame.value["blobs"]]
    assert [bytes(each) for each in found] == blobs


def test_the_limit_of_a_blob_inside_the_head():
    at, above = wire.SMALL_BLOB_BYTES, wire.SMALL_BLOB_BYTES + 1
    assert len(encode_frame(1, Blob(bytes(at)))) == 1
    assert len(encode_frame(1, Blob(bytes(above)))) == 2


def test_small_blobs_that_would_burst_the_head_travel_beside_it():
    """As the results of a round over thousands of partitions do."""
    blobs = [number.to_bytes(4, "big") * 125 for number in range(3000)]
    frame = decoded(encoded(1, [Blob(each) for each in blobs]))
    assert [bytes(each.data) for each in frame.value] == blobs


def test_more_blobs_than_a_frame_may_refer_to_are_our_own_error(monkeypatch):
    monkeypatch.setattr(wire, "BLOBS_MAX", 3)
    assert len(encode_frame(1, [Blob(bytes(1000))] * 4)) == 4, "the last is in the head"
    monkeypatch.setattr(wire, "HEAD_BYTES_MAX", 999)
    with pytest.raises(FrameTooLarge):
        encode_frame(1, [Blob(bytes(1000))] * 4)


def test_frames_follow_each_other():
    read = reader(encoded(1, ["first", Blob(b"xy")]) + encoded(1, ["second"]))
    assert read_frame(read, Limits()).value[0] == "first"
    assert read_frame(read, Limits()).value == ["second"]


def test_lone_surrogates_travel():
    assert decoded(encoded(1, "caf\udce9")).value == "caf\udce9"


@pytest.mark.parametrize("seed", range(20))
def test_every_flipped_bit_is_noticed(seed):
    chance = random.Random(seed)
    data = bytearray(encoded(1, ["run", {"text": "x" * 50}, Blob(b"payload" * 10)]))
    for _ in range(50):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises((ProtocolError, EOFError)):
            decoded(bytes(damaged))


@given(st.binary(max_size=300))
def test_garbage_is_an_error_and_nothing_else(data):
    with pytest.raises((ProtocolError, EOFError)):
        decoded(data)


@given(st.binary(max_size=100))
def test_garbage_behind_a_good_header_is_too(head):
    try:
        decoded(framed(head))
    except ProtocolError:
        return
    msgpack.unpackb(head, strict_map_key=True, unicode_errors="surrogatepass")


def test_a_stranger_is_told_what_this_port_is():
    with pytest.raises(ProtocolError, match="right port"):
        decoded(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_another_version_is_named():
    data = bytearray(encoded(1, "x"))
    data[4] = 9
    with pytest.raises(ProtocolError, match="speaks protocol 9, this minimr speaks 1"):
        decoded(bytes(data))


@pytest.mark.parametrize(
    "header",
    [
        wire.HEADER.pack(wire.MAGIC, 1, 1, 0, wire.HEAD_BYTES_MAX + 1) + bytes(4),
        wire.HEADER.pack(wire.MAGIC, 1, 1, 65535, 10)
        + bytes(4)
        + struct.pack("!Q", 1 << 40) * 65535,
    ],
    ids=["head", "blobs"],
)
def test_a_frame_over_the_limits_is_refused_before_memory_is_spent(header):
    file = BytesIO(header)

    def read(size):
        assert size <= len(header), "it asks for what the header announced"
        return file.read(size)

    with pytest.raises(ProtocolError, match="over the limit"):
        read_frame(read, Limits())


def test_strangers_get_less():
    data = encoded(0, "x" * 5000)
    decoded(data)
    with pytest.raises(ProtocolError, match="over the limit"):
        decoded(data, Limits(head_bytes=4096, blobs=0, blob_bytes=0))


def test_a_reference_to_a_blob_that_is_not_there():
    head = msgpack.packb(msgpack.ExtType(wire.BLOB_CODE, b"\0\7"))
    with pytest.raises(ProtocolError, match="does not carry"):
        decoded(framed(head))


@pytest.mark.parametrize(("code", "data"), [(2, b"\0\0"), (wire.BLOB_CODE, b"\0"), (5, b"")])
def test_any_other_extension_is_refused(code, data):
    with pytest.raises(ProtocolError, match="unknown extension"):
        decoded(framed(msgpack.packb(msgpack.ExtType(code, data))))


def test_too_many_bytes_beside_the_head_are_our_own_error_too(monkeypatch):
    monkeypatch.setattr(wire, "BLOB_BYTES_MAX", 2000)
    encode_frame(1, [Blob(bytes(1000)), Blob(bytes(1000))])
    with pytest.raises(FrameTooLarge, match="2001 bytes in one message"):
        encode_frame(1, [Blob(bytes(1000)), Blob(bytes(1001))])


def test_a_message_that_is_too_large_is_our_own_error():
    with pytest.raises(FrameTooLarge):
        encode_frame(1, "x" * (wire.HEAD_BYTES_MAX + 1))


def test_deep_nesting_is_refused():
    head = b"\x91" * 10_000 + b"\xc0"
    with pytest.raises(ProtocolError, match="not valid msgpack"):
        decoded(framed(head))


def fed(data, cuts, limits=None):
    """The frames that a decoder finds in `data`, which comes in pieces cut at `cuts`."""
    decoder, frames = FrameDecoder(limits or Limits()), []
    for start, stop in itertools.pairwise(sorted({0, *cuts, len(data)})):
        piece = data[start:stop]
        while piece:
            space = decoder.space()
            count = min(len(space), len(piece))
            space[:count] = piece[:count]
            piece = piece[count:]
            frames += decoder.received(count)
    return frames


STREAM = b"".join(
    encoded(kind, [kind, Blob(bytes([kind]) * size)])
    for kind, size in enumerate([0, 10, 1000, wire.BUFFER_BYTES + 1, 3, 3 * wire.BUFFER_BYTES, 5])
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_frames_are_the_same_wherever_the_stream_is_cut(cuts):
    read = reader(STREAM)
    wanted = [read_frame(read, Limits()) for _ in range(7)]
    assert fed(STREAM, cuts) == wanted


def test_a_stream_that_comes_byte_by_byte():
    data = encoded(1, ["first", Blob(b"x" * 600)]) + encoded(2, "second")
    frames = fed(data, range(len(data)))
    assert [frame.kind for frame in frames] == [1, 2]
    assert bytes(frames[0].value[1].data) == b"x" * 600


def test_a_large_blob_is_received_where_it_stays():
    """No copy: what `space` gave out for it is what the frame holds."""
    data = encoded(1, Blob(b"y" * (2 * wire.BUFFER_BYTES)))
    decoder = FrameDecoder(Limits())
    head = len(data) - 2 * wire.BUFFER_BYTES
    decoder.space()[:head] = data[:head]
    assert list(decoder.received(head)) == []
    space = decoder.space()
    assert len(space) == 2 * wire.BUFFER_BYTES
    space[:] = data[head:]
    (frame,) = decoder.received(len(space))
    space[:3] = b"abc"
    assert bytes(frame.value.data[:4]) == b"abcy"


def test_a_decoder_refuses_what_is_over_the_limits_before_memory_is_spent():
    header = wire.HEADER.pack(wire.MAGIC, 1, 1, 1, 10) + bytes(4) + struct.pack("!Q", 1 << 40)
    with pytest.raises(ProtocolError, match="over the limit"):
        fed(header, [])
    with pytest.raises(ProtocolError, match="over the limit"):
        fed(encoded(0, "x" * 5000)[:20], [], Limits(head_bytes=4096, blobs=0, blob_bytes=0))
