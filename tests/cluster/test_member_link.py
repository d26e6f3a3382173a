"""Members of a gang over TCP: in threads where that is enough, once between processes."""

import gc
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

import minimr as mr
from minimr.cluster import member_link, member_memory, member_seat
from minimr.cluster.connection import encode_messages
from minimr.cluster.gang_messages import MemberNotes
from minimr.cluster.gang_task import NOTE_CHARACTERS_MAX
from minimr.cluster.handshake import HELLO_LIMITS, admit, greet
from minimr.cluster.member_link import HELLO_KIND, ROLE, MemberLink, _read_exactly
from minimr.cluster.wire import encode_frame, read_frame
from minimr.errors import NoCoordinator
from minimr.gang.in_process import InProcessGang
from minimr.gang.members import Target
from minimr.scheduler.state import AttemptId
from minimr.shuffle import codec
from tests.cluster.linked import TOKEN
from tests.gang.regression import alone, training


@pytest.mark.usefixtures("way")
def test_it_does_what_threads_do(gang_of):
    """The same bytes and the same traffic as the in-process gang."""

    def program(members):
        array = np.random.default_rng(members.rank).normal(size=1001)
        return mr.all_reduce(members, array).tobytes(), mr.all_gather(members, {"a": members.rank})

    gang, threads = gang_of(3), InProcessGang(3)
    assert gang.run(program) == threads.run(program)
    assert [link.sent for link in gang.links] == [each.sent for each in threads.members]


@pytest.mark.usefixtures("way")
def test_large_arrays_cross_without_waiting_for_each_other(gang_of):
    def program(members):
        mine = np.full(4_000_000, members.rank + 0.5)
        members.send(1 - members.rank, "large", [mine, np.arange(3), mine[:0]])
        theirs, small, none = members.receive(1 - members.rank, "large")
        theirs += 1
        return theirs[0], theirs[-1], len(theirs), small.tolist(), len(none)

    size = 4_000_000
    assert gang_of(2).run(program) == [
        (2.5, 2.5, size, [0, 1, 2], 0),
        (1.5, 1.5, size, [0, 1, 2], 0),
    ]


@pytest.mark.usefixtures("way")
def test_the_parameter_server_over_tcp(gang_of):
    expected, _ = alone()
    assert [each.tobytes() for each, *_ in gang_of(3).run(training(0))] == [expected.tobytes()] * 3


@pytest.mark.parametrize("rank", [0, 2, -1])
def test_a_member_talks_to_none_but_the_others(gang_of, rank):
    """A ring of one member sends to itself; that ended in a KeyError, and in threads it went on."""

    def program(members):
        if members.rank == 1:
            return
        with pytest.raises(mr.UsageError, match=f"member 0 of 2 .* {rank} is none of them"):
            members.send(rank, "x", 1)
        with pytest.raises(mr.UsageError, match="none of them"):
            members.receive(rank, "x")
        with pytest.raises(mr.UsageError, match="none of them"):
            members.await_member(rank)
        with (
            pytest.raises(mr.UsageError, match="none of them"),
            members.expect(rank, "x", [Target(np.zeros(1))]) as arrivals,
        ):
            next(arrivals)

    gang_of(2).run(program)
    InProcessGang(2).run(program)


def test_notes_and_what_is_saved(gang_of):
    notes, kept = [], []
    gang = gang_of(1, notes=notes.extend, keep=kept.append, saved=codec.dumps([1]))
    (link,) = gang.links
    link.note(what="x")
    link.save({"clock": 3})
    assert link.saved == [1]
    assert codec.loads(kept[0]) == {"clock": 3}
    link.close()
    assert notes == [{"event": "member_note", "rank": 0, "epoch": 1, "what": "x"}]


def test_many_notes_at_once_travel_in_several_messages(gang_of):
    """The thread that gives them died of it, and with it the signs of life for the others."""
    told = []
    (link,) = gang_of(1, notes=told.append).links
    longest = "x" * (NOTE_CHARACTERS_MAX - len('{"what": ""}'))
    for _ in range(1000):
        link.note(what=longest)
    link.close()
    assert sum(map(len, told)) == 1000
    for lines in told:
        encode_messages([MemberNotes(AttemptId("gang-1", "gang", 0, 0), lines)])


@pytest.mark.usefixtures("way")
def test_what_was_sent_before_leaving_is_received(gang_of):
    gang = gang_of(2)
    gang.links[0].send(1, "x", np.arange(500_000))
    closing = gang.pool.submit(gang.links[0].close)
    assert gang.links[1].receive(0, "x")[-1] == 499_999
    with pytest.raises(mr.MemberLost) as caught:
        gang.links[1].receive(0, "x")
    assert caught.value.rank == 0
    closing.result(10)


def test_whoever_leaves_waits_until_all_that_it_sent_was_read(gang_of, monkeypatch):
    """The other takes nothing for a while; then the last must not have got lost on its way."""
    monkeypatch.setattr(member_seat, "UNREAD_BYTES_MAX", 1)
    monkeypatch.setattr(member_link, "CLOSE_S", 0.1)
    left, other = gang_of(2).links
    for number in range(4):
        left.send(1, "x", number)
    assert not left.leave(0.1)
    assert [other.receive(0, "x") for _ in range(4)] == [0, 1, 2, 3]
    assert left.leave(10)
    with pytest.raises(mr.MemberLost):
        left.send(1, "x", 4)


@pytest.mark.parametrize("lost", [0, 2])
@pytest.mark.usefixtures("way")
def test_one_member_is_started_again(gang_of, lost):
    """The others lose it at once, and go on with the new one after `await_member`."""
    gang = gang_of(3)
    gang.links[lost].close()
    others = [link for link in gang.links if link.rank != lost]
    for link in others:
        with pytest.raises(mr.MemberLost):
            link.receive(lost, "x")
    new = gang.links[lost] = MemberLink(lost, 3, TOKEN)
    for link in others:
        link.replace(lost, new.address)
    connecting = gang.pool.submit(new.connect, gang.addresses(), 2)
    for link in others:
        link.await_member(lost)
        link.send(lost, "x", link.rank)
    connecting.result(30)
    assert [new.receive(link.rank, "x") for link in others] == [link.rank for link in others]


def test_one_that_was_started_again_twice_and_answers_twice(gang_of, monkeypatch):
    """The first of them answers late, when the second is connected already."""
    gang = gang_of(2)
    gang.links[0].close()
    other = gang.links[1]
    with pytest.raises(mr.MemberLost):
        other.receive(0, "x")
    late, new = MemberLink(0, 2, TOKEN), MemberLink(0, 2, TOKEN)
    asked, go_on = threading.Event(), threading.Event()
    introduce = late._introduce

    def introduce_late(sock, name):
        asked.set()
        go_on.wait(10)
        introduce(sock, name)

    monkeypatch.setattr(late, "_introduce", introduce_late)
    other.replace(0, late.address)
    assert asked.wait(10)
    other.replace(0, new.address)
    new.connect([new.address, other.address], 3)
    other.await_member(0)
    go_on.set()
    late.connect([late.address, other.address], 2)
    assert isinstance(gang.pool.submit(late.receive, 1, "x").exception(10), mr.MemberLost)
    other.send(0, "x", 7)
    assert new.receive(1, "x") == 7
    gang.links[0] = new
    late.close()


def test_one_who_will_not_come_back(gang_of):
    gang = gang_of(2)
    gang.links[0].close()
    awaiting = gang.pool.submit(gang.links[1].await_member, 0)
    with pytest.raises(mr.MemberLost):
        gang.links[1].receive(0, "x")
    gang.links[1].gone(0)
    later = gang.pool.submit(gang.links[1].await_member, 0)
    assert isinstance(later.exception(10), mr.MemberLost)
    awaiting.exception(10)


@pytest.fixture
def stopped(gang_of, monkeypatch):
    """A link that has lost the other member, and whose clock may jump, as for a stopped process."""
    gang = gang_of(2)
    link, other = gang.links
    other.close()
    with pytest.raises(mr.MemberLost):
        link.receive(1, "x")
    stopped = SimpleNamespace(link=link, pool=gang.pool, later_s=0.0, told=threading.Event())
    link._notes = lambda _: stopped.told.set()
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + stopped.later_s, sleep=time.sleep)
    with monkeypatch.context() as context:
        context.setattr(member_link, "time", clock)
        yield stopped


def test_one_that_was_stopped_for_too_long_waits_for_nobody(stopped):
    """The others have given it up, and wait for it to be started again."""
    stopped.link.note(what="it goes on")
    assert stopped.told.wait(10)
    awaiting = stopped.pool.submit(stopped.link.await_member, 1)
    stopped.later_s = 100.0
    stopped.link.note(what="it was stopped")
    with pytest.raises(mr.MemberLost):
        awaiting.result(10)


def test_one_that_was_stopped_while_it_gave_its_notes(stopped):
    def tell(_):
        stopped.later_s = 100.0
        stopped.told.set()

    stopped.link._notes = tell
    stopped.link.note(what="it is stopped")
    assert stopped.told.wait(10)
    stopped.link.note(what="it goes on")
    with pytest.raises(mr.MemberLost):
        stopped.pool.submit(stopped.link.await_member, 1).result(10)


def test_nobody_answers():
    link = MemberLink(1, 2, TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = server.getsockname()[:2]
    with pytest.raises(mr.MemberLost, match="nobody answers"):
        link.connect([nobody, link.address], 1)
    link.close()


def test_one_that_dies_before_it_took_the_memory_is_not_waited_for(monkeypatch):
    """It has said that it will come for it, and there may be others who wait for ours."""
    monkeypatch.setattr(member_memory, "CONNECT_S", 1.0)
    link = MemberLink(1, 2, TOKEN)

    def promise():
        sock, _ = server.accept()
        with sock:
            admit(sock, TOKEN, (ROLE,))
            *_, name = read_frame(lambda size: _read_exactly(sock, size), HELLO_LIMITS).value
            sock.sendall(b"".join(encode_frame(HELLO_KIND, [0, 2, 0, name])))

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        promised = pool.submit(promise)
        with pytest.raises(mr.MemberLost, match="left or died"):
            link.connect([server.getsockname()[:2], link.address], 1)
        promised.result(10)
    link.close()


def test_a_stranger_is_not_let_in():
    link = MemberLink(0, 2, TOKEN)
    with socket.create_connection(link.address) as sock, pytest.raises(NoCoordinator):
        greet(sock, b"wrong" * 8, ROLE)
    link.close()


@pytest.mark.parametrize(
    "said",
    [
        [0, 2, 1, ""],
        [5, 2, 1, ""],
        [1, 3, 1, ""],
        [1, 2, -1, ""],
        ["1", 2, 1, ""],
        [1, 2, 1, 7],
        [1, 2, 1],
        "x",
    ],
)
def test_whoever_is_no_member_is_sent_away(said):
    link = MemberLink(0, 2, TOKEN)
    with socket.create_connection(link.address) as sock:
        greet(sock, TOKEN, ROLE)
        sock.sendall(b"".join(encode_frame(HELLO_KIND, said)))
        sock.settimeout(10)
        assert sock.recv(1) == b""
    link.close()


def test_an_epoch_that_is_over_is_sent_away(gang_of):
    gang = gang_of(2)
    with socket.create_connection(gang.links[0].address) as sock:
        greet(sock, TOKEN, ROLE)
        sock.sendall(b"".join(encode_frame(HELLO_KIND, [1, 2, 1, ""])))
        sock.settimeout(10)
        while sock.recv(100):
            pass  # Its own introduction, and then the end.
    assert gang.run(lambda link: mr.all_gather(link, link.rank)) == [[0, 1], [0, 1]]


def test_whoever_is_sent_away_leaves_no_memory_open(gang_of):
    """One of an epoch that is over dials, and gets as far as to share memory."""
    gang = gang_of(2)
    late = MemberLink(1, 2, TOKEN)
    late.connect(gang.addresses(), 1)
    with pytest.raises(mr.MemberLost):
        late.receive(0, "x")
    late.close()
    gc.collect()  # A socket that is still open would say so, and warnings are errors.
    assert gang.run(lambda link: mr.all_gather(link, link.rank)) == [[0, 1], [0, 1]]


# Between processes

CHILD = """
import os
import sys
import numpy as np
import minimr as mr
from minimr.cluster.member_link import MemberLink
from minimr.cluster.member_memory import SharedMemory
from tests.cluster.linked import TOKEN
from tests.gang.regression import training

rank, silence_s, signal, pieces = int(sys.argv[1]), *map(float, sys.argv[2:])
if rank == 2 and pieces:
    put, left = SharedMemory.put, iter(range(int(pieces)))
    def put_or_end(self, piece):
        if next(left, None) is None:
            os.kill(os.getpid(), int(signal))
        put(self, piece)
    SharedMemory.put = put_or_end
link = MemberLink(rank, 3, bytes(range(32)), silence_s=silence_s)
print(*link.address, flush=True)
fields = sys.stdin.readline().split()
link.connect([(host, int(port)) for host, port in zip(fields[::2], fields[1::2])], 1)
try:
    total = mr.all_reduce(link, np.full(3_000_001, rank + 1.0))
    parameters, *_ = training(0)(link)
    print(total.min(), total.max(), parameters.tobytes().hex(), flush=True)
    link.receive(2, "never")
except mr.MemberLost as lost:
    print("lost", lost.rank, flush=True)
link.close()
"""


@contextmanager
def three_processes(end, silence_s, pieces=0):
    """They have met, and work; the last one ends itself in this way after so many pieces."""
    arguments = [str(silence_s), str(int(end)), str(pieces)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(rank), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    guard = threading.Timer(60, lambda: [child.kill() for child in children])
    guard.start()
    try:
        addresses = " ".join(child.stdout.readline().strip() for child in children)
        for child in children:
            child.stdin.write(addresses + "\n")
            child.stdin.flush()
        yield children
        children[2].kill()
        assert [child.wait() for child in children[:2]] == [0, 0]
    finally:
        guard.cancel()
        for child in children:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()


ENDS = [(signal.SIGKILL, 20.0), (signal.SIGSTOP, 3.0)]
"""Whoever hangs is found by its silence; on a busy machine those who live may be silent, too, so it
is long enough for that."""


@pytest.mark.slow
@pytest.mark.parametrize(("end", "silence_s"), ENDS)
def test_between_processes_and_one_dies_or_hangs(end, silence_s):
    with three_processes(end, silence_s) as children:
        expected = f"6.0 6.0 {alone()[0].tobytes().hex()}\n"
        assert [child.stdout.readline() for child in children] == [expected] * 3
        children[2].send_signal(end)
        assert [child.stdout.readline() for child in children[:2]] == ["lost 2\n"] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("end", "silence_s"), ENDS)
def test_one_dies_or_hangs_between_two_pieces_of_shared_memory(end, silence_s):
    """Whoever notices it leaves, and may be the one whom the other loses first."""
    with three_processes(end, silence_s, pieces=20) as children:
        told = [child.stdout.readline() for child in children[:2]]
        assert told in (["lost 2\n"] * 2, ["lost 1\n", "lost 2\n"], ["lost 2\n", "lost 0\n"])
