"""What two members say to each other: one end of it, and a bare socket."""

import os
import socket
import struct

import numpy as np
import pytest

from minimr.cluster import member_conversation
from minimr.cluster.member_conversation import MEMBER_KIND, Announced, Conversation, checksum
from minimr.cluster.wire import Blob, encode_frame
from minimr.errors import ProtocolError
from minimr.gang.members import Target


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Conversation(ours, 0.2), theirs
    ours.close()
    theirs.close()


def test_silence_is_noticed(pair):
    conversation, _ = pair
    with pytest.raises(TimeoutError, match="nothing was heard"):
        conversation.receive()


def test_a_peer_that_takes_nothing_is_noticed(pair):
    conversation, _ = pair
    with pytest.raises(TimeoutError, match="heard or taken"):
        conversation.send("x", b"", [memoryview(bytes(1 << 26))])


def test_a_ping_breaks_the_silence(pair):
    conversation, theirs = pair
    other = Conversation(theirs, 0.2)
    other.ping()
    other.send("x", b"head", [])
    assert conversation.receive() == Announced("x", b"head", [])
    assert conversation.read_arrays([]) == []


@pytest.mark.parametrize(
    "value",
    [
        "no list",
        ["x", b""],
        ["x", b"", [8], [0]],
        [1, b"", [8]],
        ["x", "text", [8]],
        ["x", b"", 8],
        ["x", b"", [-8]],
        ["x", b"", [8.0]],
        ["x", b"", [1 << 40]],
        ["x", b"", [0] * 10_001],
        ["x" * 201, b"", [8]],
    ],
)
def test_malformed_messages_and_those_over_the_limits(pair, value):
    conversation, theirs = pair
    theirs.sendall(b"".join(encode_frame(MEMBER_KIND, value)))
    with pytest.raises(ProtocolError, match="malformed or over"):
        conversation.receive()


def message(array):
    """As it stands on the wire."""
    frame = b"".join(encode_frame(MEMBER_KIND, ["x", b"", [array.nbytes]]))
    return frame + array.tobytes() + struct.pack("!Q", checksum(array))


def test_the_one_that_is_well_formed(pair):
    conversation, theirs = pair
    theirs.sendall(message(np.arange(9, dtype="u1")))
    assert conversation.receive() == Announced("x", b"", [9])
    (buffer,) = conversation.read_arrays([9])
    assert bytes(buffer) == bytes(range(9))


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(member_conversation, "PIECE_BYTES", 64)


@pytest.mark.parametrize("sizes", [[], [0], [63], [64, 64], [65, 0, 1], [1000, 7, 128]])
@pytest.mark.usefixtures("small_pieces")
def test_arrays_of_any_size_cross_piece_by_piece(pair, sizes):
    conversation, theirs = pair
    arrays = [os.urandom(size) for size in sizes]
    Conversation(theirs, 0.2).send("x", b"head", list(map(memoryview, arrays)))
    assert conversation.receive() == Announced("x", b"head", sizes)
    assert list(map(bytes, conversation.read_arrays(sizes))) == arrays


@pytest.mark.parametrize("dtype", ["u1", "f2", "i4", "f8", "c16"])
@pytest.mark.parametrize("length", [0, 1, 5, 8, 100])
@pytest.mark.parametrize("is_sum", [True, False])
@pytest.mark.usefixtures("small_pieces")
def test_an_array_goes_to_its_target_piece_by_piece(pair, dtype, length, is_sum):
    conversation, theirs = pair
    array, came = np.full(length, 3, dtype), np.arange(length).astype(dtype)
    expected = came + array if is_sum else came
    theirs.sendall(message(came))
    conversation.receive()
    assert conversation.read_into(Target(array, is_sum)) == checksum(array)
    assert array.tobytes() == expected.tobytes()


def read_arrays(conversation):
    conversation.read_arrays([160])


def read_sum(conversation):
    conversation.read_into(Target(np.ones(20), is_sum=True))


def read_copy(conversation):
    conversation.read_into(Target(np.ones(20)))


@pytest.mark.parametrize("read", [read_arrays, read_sum, read_copy])
@pytest.mark.parametrize("place", [-1, -8, -9, -100, -168])
@pytest.mark.usefixtures("small_pieces")
def test_damage_is_found_wherever_an_array_goes(pair, read, place):
    """In its last piece, in one before, and in the checksum itself."""
    conversation, theirs = pair
    sent = bytearray(message(np.arange(20.0)))
    sent[place] ^= 1
    theirs.sendall(sent)
    assert conversation.receive().sizes == [160]
    with pytest.raises(ProtocolError, match="damaged"):
        read(conversation)


def test_a_checksum_that_is_known_is_not_taken_again(pair):
    """So what was damaged since is found by the one who receives it."""
    conversation, theirs = pair
    array = np.arange(20.0)
    known = checksum(array)
    array[3] = -1
    Conversation(theirs, 0.2).send("x", b"", [array.view("u1").data], [known])
    sizes = conversation.receive().sizes
    with pytest.raises(ProtocolError, match="damaged"):
        conversation.read_arrays(sizes)


def test_frames_of_another_kind(pair):
    conversation, theirs = pair
    theirs.sendall(b"".join(encode_frame(MEMBER_KIND + 10, Blob(b""))))
    with pytest.raises(ProtocolError, match="kind"):
        conversation.receive()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100])
def test_the_checksum_finds_any_flipped_bit(size):
    data = bytearray(os.urandom(size))
    right = checksum(data)
    for bit in range(8 * size):
        data[bit // 8] ^= 1 << bit % 8
        assert checksum(data) != right
        data[bit // 8] ^= 1 << bit % 8
