"""What two members say to each other: one end of it, and a bare socket."""

import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from minimr.cluster import member_conversation
from minimr.cluster.member_conversation import MEMBER_KIND, Announced, Conversation, checksum
from minimr.cluster.wire import Blob, encode_frame
from minimr.errors import ProtocolError
from minimr.gang.members import Target
from tests.cluster.linked import shared_memory


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
    announced = conversation.receive()
    assert announced == Announced("x", b"head", [], is_shared=False)
    assert conversation.read_arrays(announced) == []


def test_a_ping_waits_for_nobody(pair):
    """What the other has not taken yet will tell it as well that we are here."""
    conversation, theirs = pair
    with suppress(BlockingIOError):
        while True:
            conversation._sock.send(bytes(1 << 16), socket.MSG_DONTWAIT)
    conversation.ping()
    theirs.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            assert not any(theirs.recv(1 << 16))  # No part of a ping.


class Watched:
    """A lock that notes whether the socket is open as it is taken, and as it is released."""

    def __init__(self, conversation):
        self.conversation, self.open = conversation, []

    def __enter__(self):
        self.open.append(self.conversation._sock.fileno() != -1)

    def __exit__(self, *_):
        self.open.append(self.conversation._sock.fileno() != -1)


def test_nothing_is_given_back_while_a_thread_sends(pair):
    conversation, _ = pair
    lock = conversation._sending = Watched(conversation)
    conversation.shut()
    conversation.close()
    assert lock.open == [True, False]


@pytest.mark.parametrize(
    "value",
    [
        "no list",
        ["x", b""],
        ["x", b"", [8]],
        ["x", b"", [8], [0]],
        ["x", b"", [8], False, 0],
        [1, b"", [8], False],
        ["x", "text", [8], False],
        ["x", b"", 8, False],
        ["x", b"", [-8], False],
        ["x", b"", [8.0], False],
        ["x", b"", [1 << 40], False],
        ["x", b"", [0] * 10_001, False],
        ["x" * 201, b"", [8], False],
    ],
)
def test_malformed_messages_and_those_over_the_limits(pair, value):
    conversation, theirs = pair
    theirs.sendall(b"".join(encode_frame(MEMBER_KIND, value)))
    with pytest.raises(ProtocolError, match="malformed or over"):
        conversation.receive()


def message(array):
    """As it stands on the wire."""
    frame = b"".join(encode_frame(MEMBER_KIND, ["x", b"", [array.nbytes], False]))
    return frame + array.tobytes() + struct.pack("!Q", checksum(array))


def test_the_one_that_is_well_formed(pair):
    conversation, theirs = pair
    theirs.sendall(message(np.arange(9, dtype="u1")))
    announced = conversation.receive()
    assert announced == Announced("x", b"", [9], is_shared=False)
    (buffer,) = conversation.read_arrays(announced)
    assert bytes(buffer) == bytes(range(9))


@pytest.mark.parametrize("sizes", [[], [0], [63], [64, 64], [65, 0, 1], [1000, 7, 128]])
@pytest.mark.usefixtures("small_pieces")
def test_arrays_of_any_size_cross_piece_by_piece(pair, sizes):
    conversation, theirs = pair
    arrays = [os.urandom(size) for size in sizes]
    Conversation(theirs, 0.2).send("x", b"head", list(map(memoryview, arrays)))
    announced = conversation.receive()
    assert announced == Announced("x", b"head", sizes, is_shared=False)
    assert list(map(bytes, conversation.read_arrays(announced))) == arrays


@pytest.mark.parametrize("dtype", ["u1", "f2", "i4", "f8", "c16"])
@pytest.mark.parametrize("length", [0, 1, 5, 8, 100])
@pytest.mark.parametrize("is_sum", [True, False])
@pytest.mark.usefixtures("small_pieces")
def test_an_array_goes_to_its_target_piece_by_piece(pair, dtype, length, is_sum):
    conversation, theirs = pair
    array, came = np.full(length, 3, dtype), np.arange(length).astype(dtype)
    expected = came + array if is_sum else came
    theirs.sendall(message(came))
    announced = conversation.receive()
    assert conversation.read_into(announced, Target(array, is_sum)) == checksum(array)
    assert array.tobytes() == expected.tobytes()


def read_arrays(conversation, announced):
    conversation.read_arrays(announced)


def read_sum(conversation, announced):
    conversation.read_into(announced, Target(np.ones(20), is_sum=True))


def read_copy(conversation, announced):
    conversation.read_into(announced, Target(np.ones(20)))


@pytest.mark.parametrize("read", [read_arrays, read_sum, read_copy])
@pytest.mark.parametrize("place", [-1, -8, -9, -100, -168])
@pytest.mark.usefixtures("small_pieces")
def test_damage_is_found_wherever_an_array_goes(pair, read, place):
    """In its last piece, in one before, and in the checksum itself."""
    conversation, theirs = pair
    sent = bytearray(message(np.arange(20.0)))
    sent[place] ^= 1
    theirs.sendall(sent)
    announced = conversation.receive()
    assert announced.sizes == [160]
    with pytest.raises(ProtocolError, match="damaged"):
        read(conversation, announced)


def test_a_checksum_that_is_known_is_not_taken_again(pair):
    """So what was damaged since is found by the one who receives it."""
    conversation, theirs = pair
    array = np.arange(20.0)
    known = checksum(array)
    array[3] = -1
    Conversation(theirs, 0.2).send("x", b"", [array.view("u1").data], [known])
    announced = conversation.receive()
    with pytest.raises(ProtocolError, match="damaged"):
        conversation.read_arrays(announced)


# Through memory that both share


@pytest.fixture
def sharing(way):
    """Two conversations with each other; how arrays pass is for the fixture `way` to say."""
    assert way == "shared"
    sockets = socket.socketpair()
    pair = [
        Conversation(sock, 0.2, memory)
        for sock, memory in zip(sockets, shared_memory(0.2), strict=True)
    ]
    yield pair
    for each in pair:
        each.close()


def in_the_background(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


only_shared = pytest.mark.parametrize("way", ["shared"], indirect=True)


@only_shared
@pytest.mark.parametrize("sizes", [[64], [63, 2], [64, 64], [65, 0, 1], [1000, 7, 128]])
@pytest.mark.usefixtures("small_pieces")
def test_arrays_of_any_size_pass_through_memory(sharing, sizes):
    """In more pieces than there are places, so the sender waits for the one who takes them."""
    sender, receiver = sharing
    arrays = [os.urandom(size) for size in sizes]
    sending = in_the_background(sender.send, "x", b"head", list(map(memoryview, arrays)))
    announced = receiver.receive()
    assert announced == Announced("x", b"head", sizes, is_shared=True)
    assert list(map(bytes, receiver.read_arrays(announced))) == arrays
    sending.join(10)
    assert not sending.is_alive()


@only_shared
@pytest.mark.parametrize("dtype", ["u1", "f2", "i4", "f8", "c16"])
@pytest.mark.parametrize("length", [1, 5, 8, 100])
@pytest.mark.parametrize("is_sum", [True, False])
@pytest.mark.usefixtures("small_pieces")
def test_a_target_takes_its_array_from_memory(sharing, dtype, length, is_sum):
    sender, receiver = sharing
    array, came = np.full(length, 3, dtype), np.arange(length).astype(dtype)
    expected = came + array if is_sum else came
    sending = in_the_background(sender.send, "x", b"", [came.view("u1").data])
    announced = receiver.receive()
    assert announced.is_shared
    assert receiver.read_into(announced, Target(array, is_sum)) is None
    assert array.tobytes() == expected.tobytes()
    sending.join(10)


@only_shared
def test_small_arrays_and_none_are_sent(sharing, monkeypatch):
    sender, receiver = sharing
    monkeypatch.setattr(member_conversation, "SHARED_BYTES_MIN", 100)
    for size in (0, 99, 100):
        sender.send("x", b"", [memoryview(bytes(size))])
        announced = receiver.receive()
        assert announced.is_shared is (size == 100)
        assert bytes(*receiver.read_arrays(announced)) == bytes(size)


@only_shared
@pytest.mark.usefixtures("small_pieces")
def test_one_who_takes_no_piece_is_noticed(sharing):
    with pytest.raises(TimeoutError, match="heard or taken"):
        sharing[0].send("x", b"", [memoryview(bytes(1000))])


@only_shared
@pytest.mark.usefixtures("small_pieces")
def test_whoever_waits_for_a_place_wakes_up_when_it_is_over(sharing):
    sender, receiver = sharing
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sender.send, "x", b"", [memoryview(bytes(1000))])
        receiver.receive()
        sender.shut()
        with pytest.raises(OSError, match=r"left or died|Broken pipe"):
            sending.result(10)


@only_shared
@pytest.mark.usefixtures("small_pieces")
def test_a_sender_that_dies_between_two_pieces(sharing):
    sender, receiver = sharing
    read = receiver._read

    def die(size):
        sender.shut()
        receiver._read = read
        return read(size)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sender.send, "x", b"", [memoryview(bytes(1000))])
        announced = receiver.receive()
        receiver._read = die
        with pytest.raises(EOFError, match="left or died"):
            receiver.read_into(announced, Target(np.zeros(1000, "u1")))
        assert isinstance(sending.exception(10), OSError)


def test_arrays_in_memory_that_is_not_shared(pair):
    conversation, theirs = pair
    theirs.sendall(b"".join(encode_frame(MEMBER_KIND, ["x", b"", [1 << 20], True])))
    with pytest.raises(ProtocolError, match="memory that we do not share"):
        conversation.receive()


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
