"""Memory that two members share: pieces pass through it, and only members come to it."""

import fcntl
import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minimr.cluster import member_memory
from minimr.cluster.handshake import admit, greet
from minimr.cluster.member_memory import PIECE_BYTES, PLACES, ROLE, offer, reach, take
from minimr.errors import NoCoordinator, ProtocolError
from tests.cluster.linked import TOKEN, shared_memory


@pytest.fixture
def ends():
    ends = shared_memory(silence_s=0.2)
    yield ends
    for end in ends:
        end.close()


def piece(number, size=100):
    return memoryview(np.full(size, number, np.uint8))


def next_piece(end, size=100):
    with end.taken(size) as there:
        return there.tolist()


def test_pieces_pass_both_ways_in_order(ends):
    one, other = ends
    for number in range(3 * PLACES):
        assert one.has_free_place()
        assert other.has_free_place()
        one.put(piece(number))
        other.put(piece(100 + number, PIECE_BYTES))
        assert next_piece(other) == [number] * 100
        with one.taken(PIECE_BYTES) as there:
            assert (there == 100 + number).all()
            assert there.nbytes == PIECE_BYTES


def test_a_place_is_free_again_when_its_piece_was_taken(ends):
    one, other = ends
    for number in range(PLACES):
        assert one.has_free_place()
        one.put(piece(number))
    assert not one.has_free_place()
    with other.taken(100) as there:
        assert not one.has_free_place()
        assert (there == 0).all()
    assert one.has_free_place()
    one.put(piece(PLACES))
    assert not one.has_free_place()
    assert [next_piece(other)[0] for _ in range(PLACES)] == [1, 2, 3, 4]


@pytest.mark.parametrize("end", ["close", "shut"])
def test_whoever_waits_for_a_place_learns_that_the_other_is_gone(ends, end):
    one, other = ends
    for number in range(PLACES):
        assert one.has_free_place()
        one.put(piece(number))
    getattr(other, end)()
    with pytest.raises(OSError, match="left or died"):
        one.has_free_place()


def test_to_shut_wakes_our_own_who_waits():
    ends = one, _ = shared_memory()
    for number in range(PLACES):
        assert one.has_free_place()
        one.put(piece(number))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.has_free_place)
        one.shut()
        with pytest.raises(OSError, match="left or died"):
            waiting.result(10)
    for end in ends:
        end.shut()
        end.close()


def test_what_one_who_is_gone_put_there_can_still_be_taken(ends):
    one, other = ends
    for number in range(2):
        assert one.has_free_place()
        one.put(piece(number))
    one.close()
    assert [next_piece(other)[0] for _ in range(2)] == [0, 1]


# How it comes to be shared


def test_a_name_is_known_only_while_memory_is_offered():
    with offer() as offered:
        reach(offered.name).close()
    assert reach(offered.name) is None


def test_no_other_names_are_called():
    """A member that is told a name connects to nothing else on its machine."""
    name = "minimr-test-" + os.urandom(16).hex()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        assert reach(name) is None
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_stranger_who_comes_first_is_sent_away():
    talk, other = socket.socketpair()
    with talk, other, offer() as offered, ThreadPoolExecutor(2) as pool:
        stranger = reach(offered.name)
        refused = pool.submit(greet, stranger, bytes(32), ROLE)
        taking = pool.submit(take, reach(offered.name), TOKEN, 1.0)
        given = offered.give(TOKEN, 1.0, talk)
        with pytest.raises(NoCoordinator, match="token"):
            refused.result(10)
        taken = taking.result(10)
    assert given.has_free_place()
    given.put(piece(7))
    assert next_piece(taken) == [7] * 100
    for each in (stranger, given, taken):
        each.close()


def unsealed():
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 2 * PLACES * PIECE_BYTES)
    return [descriptor]


def too_small():
    (descriptor,) = unsealed()
    os.ftruncate(descriptor, 2 * PLACES * PIECE_BYTES - 1)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return [descriptor]


@pytest.mark.parametrize("given", [unsealed, too_small, list])
def test_memory_that_could_end_the_process_is_not_taken(given):
    descriptors = given()

    def give():
        server.listen()
        sock, _ = server.accept()
        with sock:
            admit(sock, TOKEN, (ROLE,))
            socket.send_fds(sock, [b"1"], descriptors)

    name = "minimr-member-" + os.urandom(16).hex()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        giving = threading.Thread(target=give)
        giving.start()
        with reach(name) as sock, pytest.raises(ProtocolError, match="no memory, or too little"):
            take(sock, TOKEN, 1.0)
        giving.join(10)
    for descriptor in descriptors:
        os.close(descriptor)


def test_whoever_offers_waits_only_so_long(monkeypatch):
    monkeypatch.setattr(member_memory, "CONNECT_S", 0.1)
    talk, other = socket.socketpair()
    with talk, other, offer() as offered, pytest.raises(TimeoutError):
        offered.give(TOKEN, 1.0, talk)


def test_nothing_stays_open():
    """The mapped memory has a descriptor of its own, which goes with it."""
    gc.collect()  # What other tests left.
    before = memories()
    ends = shared_memory()
    assert memories() == before + 2
    for end in ends:
        end.close()
        assert end._free.fileno() == -1
    assert memories() == before, "though the ends are still there, for others to refer to"


def memories():
    """How many this process holds."""
    links = Path("/proc/self/fd").iterdir()
    return sum("memfd:minimr-member" in os.path.realpath(link) for link in links)
