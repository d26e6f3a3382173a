"""Arrays that are expected, over TCP: where they go, and what is found on the way."""

import socket
import threading

import numpy as np
import pytest

import minimr as mr
from minimr.cluster import member_seat
from minimr.cluster.member_conversation import Conversation
from minimr.cluster.member_seat import Seat
from minimr.gang import ring
from minimr.gang.in_process import InProcessGang
from minimr.gang.members import Target
from minimr.shuffle import codec


@pytest.fixture
def small_segments(monkeypatch, small_pieces):
    monkeypatch.setattr(ring, "SEGMENT_BYTES", 160)
    monkeypatch.setattr(ring, "SWAP_BYTES", 160)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int16])
@pytest.mark.usefixtures("small_segments", "way")
def test_all_reduce_does_what_threads_do(gang_of, size, dtype):
    """The same bytes and the same traffic, with several pieces a segment and segments a chunk."""

    def program(members):
        chance = np.random.default_rng(members.rank)
        arrays = [(100 * chance.normal(size=n)).astype(dtype) for n in (0, 1, 20, 21, 401)]
        return [mr.all_reduce(members, array).tobytes() for array in arrays]

    gang, threads = gang_of(size), InProcessGang(size)
    assert gang.run(program) == threads.run(program)
    assert [link.sent for link in gang.links] == [each.sent for each in threads.members]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.usefixtures("small_segments", "way")
def test_what_is_no_number_is_the_same_everywhere(gang_of, size):
    """To the bit, though which of two such values a sum becomes depends on how it is added."""

    def program(link):
        bits = np.full(401, 0x7FF8_0000_0000_0000 + link.rank, np.uint64)
        return mr.all_reduce(link, bits.view(np.float64)).tobytes()

    assert len(set(gang_of(size).run(program))) == 1


@pytest.mark.parametrize("length", [20, 401])
@pytest.mark.usefixtures("small_segments")
def test_damage_stops_an_all_reduce(gang_of, monkeypatch, length):
    """Of two members that swap, and on the ring: a bit is flipped in each piece that comes."""
    fill = Conversation._fill

    def damage(self, target):
        fill(self, target)
        target[len(target) // 2] ^= 1

    monkeypatch.setattr(Conversation, "_fill", damage)

    def program(link):
        with pytest.raises(mr.MemberLost) as caught:
            mr.all_reduce(link, np.ones(length))
        return str(caught.value)

    assert any("damaged on its way" in why for why in gang_of(2).run(program))


def test_damage_after_an_addition_is_found_by_the_next(gang_of):
    """What is passed on has the checksum that was taken when it was written."""

    def program(link):
        if link.rank == 0:
            link.receive(1, "go on")
            link.send(1, "x", np.ones(1000))
        elif link.rank == 1:
            with link.expect(0, "x", [Target(np.ones(1000), is_sum=True)]) as arrivals:
                link.send(0, "go on", None)
                (arrived,) = arrivals
            assert arrived.checksum is not None
            link.pass_on(2, "x", arrived)
            arrived.array[500] = 5
            link.pass_on(2, "x", arrived)
        else:
            assert (link.receive(1, "x") == 2).all()
            with pytest.raises(mr.MemberLost, match="damaged on its way"):
                link.receive(1, "x")

    gang_of(3).run(program)


def test_what_came_before_it_was_expected_and_what_comes_after(gang_of, way):
    """A checksum is there only for what came, not through memory, and when it was expected."""

    def program(link):
        if link.rank == 0:
            link.send(1, "x", np.full(3, 1.0))
            link.send(1, "x", np.full(3, 2.0))
            link.send(1, "ready", None)
            link.receive(1, "go on")
            link.send(1, "x", np.full(3, 3.0))
            link.send(1, "x", "more")
            return None
        link.receive(0, "ready")
        arrays = [np.ones(3) for _ in range(3)]
        with link.expect(0, "x", [Target(array, is_sum=True) for array in arrays]) as arrivals:
            link.send(0, "go on", None)
            met = [arrived.checksum is not None for arrived in arrivals]
        return [array.tolist() for array in arrays], met, link.receive(0, "x")

    _, (arrays, has_checksum, more) = gang_of(2).run(program)
    assert arrays == [[2.0] * 3, [3.0] * 3, [4.0] * 3]
    assert has_checksum == [False, False, way == "sent"]
    assert more == "more"


@pytest.mark.parametrize("other", [np.ones(4), np.ones(3, np.float32), "text", [np.ones(3)]])
@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.usefixtures("way")
def test_what_is_no_such_array_is_an_error(gang_of, other, is_early):
    def program(link):
        if link.rank == 0:
            if not is_early:
                link.receive(1, "go on")
            link.send(1, "x", other)
            link.send(1, "ready", None)
            return None
        if is_early:
            link.receive(0, "ready")
        mine = np.ones(3)
        with link.expect(0, "x", [Target(mine)]) as arrivals:
            link.send(0, "go on", None)
            with pytest.raises(mr.UsageError, match="same shape and dtype"):
                next(arrivals)
        return mine.tolist()

    assert gang_of(2).run(program)[1] == [1.0] * 3


@pytest.mark.parametrize("array", [np.ones((2, 2)).T, np.frombuffer(bytes(8))])
def test_what_cannot_be_written_is_no_target(array):
    with pytest.raises(mr.UsageError, match="may be changed"):
        Target(array)


@pytest.mark.usefixtures("way")
def test_nothing_is_written_behind_the_block(gang_of):
    def program(link):
        if link.rank == 0:
            link.receive(1, "go on")
            link.send(1, "x", np.full(3, 7.0))
            return None
        mine = np.ones(3)
        with link.expect(0, "x", [Target(mine)]):
            pass
        link.send(0, "go on", None)
        return link.receive(0, "x").tolist(), mine.tolist()

    assert gang_of(2).run(program)[1] == ([7.0] * 3, [1.0] * 3)


@pytest.fixture
def seat():
    """A seat, the other end of its connection, and the bytes of a message with 1000 sevens."""
    ours, theirs = socket.socketpair()
    sent = []
    sender = Conversation(theirs, 20.0)
    sender._send = lambda batch, _: sent.extend(map(bytes, batch))
    sender.send("x", *codec.pack(np.full(1000, 7.0)))
    seat = Seat(0, 1, Conversation(ours, 20.0))
    yield seat, theirs, b"".join(sent)
    seat.lose("it is over")
    seat._thread.join()
    ours.close()
    theirs.close()


def leave_the_block(seat, theirs, first):
    """From the thread that is returned: leave it while the target is half written."""
    mine, begun = np.zeros(1000), threading.Event()

    def program():
        with seat.expect("x", [Target(mine)]):
            theirs.sendall(first)
            with seat.changed:
                seat.changed.wait_for(lambda: seat._filling)
            begun.set()

    seat_begins(seat)
    thread = threading.Thread(target=program)
    thread.start()
    assert begun.wait(10)
    return thread, mine


def seat_begins(seat):
    """Let the reader say that it has begun, for nobody else needs to know."""
    read_into = seat.conversation.read_into

    def telling(announced, target):
        with seat.changed:
            seat.changed.notify_all()
        return read_into(announced, target)

    seat.conversation.read_into = telling


def test_what_is_half_written_is_waited_for(seat):
    seat, theirs, message = seat
    thread, mine = leave_the_block(seat, theirs, message[:-4000])
    thread.join(0.1)
    assert thread.is_alive()
    theirs.sendall(message[-4000:])
    thread.join(10)
    assert not thread.is_alive()
    assert (mine == 7).all()


def test_what_is_half_written_when_the_other_dies(seat):
    seat, theirs, message = seat
    thread, _ = leave_the_block(seat, theirs, message[:-4000])
    theirs.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not thread.is_alive()
    with (
        pytest.raises(mr.MemberLost, match="left or died"),
        seat.expect("x", [Target(np.zeros(3))]) as arrivals,
    ):
        next(arrivals)


def test_what_waits_for_space_in_the_inbox_is_taken_when_it_is_expected(seat):
    seat, theirs, message = seat
    asked, mine = threading.Event(), np.zeros(1000)
    seat._has_space = asked.set  # Which is as good as no.
    theirs.sendall(message)
    assert asked.wait(10)

    def program():
        with seat.expect("x", [Target(mine)]) as arrivals:
            next(arrivals)

    thread = threading.Thread(target=program, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert (mine == 7).all()


@pytest.mark.parametrize("is_expected", [False, True])
@pytest.mark.usefixtures("way")
def test_what_stands_behind_more_than_may_be_unread_is_received(gang_of, monkeypatch, is_expected):
    """As between threads: nothing is promised about the order of different tags."""
    monkeypatch.setattr(member_seat, "UNREAD_BYTES_MAX", 1)

    def program(link):
        if link.rank == 0:
            for number in range(4):
                link.send(1, "first", np.full(3, number))
            link.send(1, "second", np.full(3, 7))
            return None
        array = np.zeros(3, int)
        if is_expected:
            with link.expect(0, "second", [Target(array)]) as arrivals:
                next(arrivals)
        else:
            array = link.receive(0, "second")
        return [array[0], *(link.receive(0, "first")[0] for _ in range(4))]

    assert gang_of(2).run(program)[1] == [7, 0, 1, 2, 3]
