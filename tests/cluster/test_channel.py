"""Channels in a loop: what arrives however it is cut, peers that do not read, timers and pauses."""

import select
import socket
import threading
import time

import pytest

from minimr.cluster import channel as channel_module
from minimr.cluster import messages as m
from minimr.cluster.channel import Channel
from minimr.cluster.connection import Connection, encode_messages
from minimr.cluster.loop import GRACE_S, LATE_S, Loop
from minimr.cluster.wire import Blob
from minimr.scheduler.state import AttemptId

ATTEMPT = AttemptId("job-1", "map", 0, 0)


class Heard:
    """A loop with one channel, and what both said, in order; the loop stops at the peer's end."""

    def __init__(self):
        self.items = []
        self.loop = Loop(self.handle, lambda: self.items.append("flush"))
        ours, self.peer = socket.socketpair()
        self.channel = Channel(ours, self.loop, self.items.extend, self.gone)

    def handle(self, item):
        self.items.append(item)
        if callable(item):
            item()

    def gone(self, text):
        self.items.append(f"gone: {text}")
        self.loop.stop()

    @property
    def events(self):
        return [item for item in self.items if item != "flush"]


@pytest.fixture
def heard():
    each = Heard()
    yield each
    each.channel.close()
    each.loop.close()
    each.peer.close()


def wire(*messages):
    return b"".join(bytes(piece) for piece in encode_messages(messages))


def test_messages_and_the_end_are_heard_in_order(heard):
    heard.peer.sendall(wire(m.Beat(), m.Cancel(ATTEMPT)) + wire(m.Forget("job-1")))
    heard.peer.close()
    heard.loop.run()
    assert heard.events == [
        m.Beat(),
        m.Cancel(ATTEMPT),
        m.Forget("job-1"),
        "gone: the peer closed the connection",
    ]


def test_half_a_frame_keeps_nobody_waiting(heard):
    data = wire(m.Beat())
    heard.peer.sendall(data[:10])

    def more():
        heard.peer.sendall(data[10:])
        heard.peer.close()

    heard.loop.post(more)
    heard.loop.run()
    assert heard.events == [more, m.Beat(), "gone: the peer closed the connection"]


def test_a_large_message_comes_through(heard):
    data = bytes(range(256)) * (1 << 14)
    sender = threading.Thread(
        target=lambda: (heard.peer.sendall(wire(m.Run(ATTEMPT, Blob(data)))), heard.peer.close())
    )
    sender.start()
    heard.loop.run()
    sender.join()
    assert bytes(heard.events[0].cargo.data) == data


def test_a_peer_that_breaks_the_protocol_is_cut_off(heard, capsys):
    heard.peer.sendall(wire(m.Beat()) + b"GET / HTTP/1.1\r\n\r\n")
    heard.loop.run()
    assert heard.events[0] == m.Beat()
    assert heard.events[1].startswith("gone: it broke the protocol: the peer does not speak")
    assert "given up: it broke the protocol: the peer does not" in capsys.readouterr().err


def test_a_peer_that_does_not_read_does_not_block_and_misses_nothing(heard):
    sent = [m.Run(AttemptId("job-1", "map", index, 0), Blob(bytes(100_000))) for index in range(50)]
    for message in sent:
        heard.channel.send([message])
    received, looked = [], []

    def read():
        connection = Connection(heard.peer)
        while len(received) < len(sent):
            received.extend(connection.receive())
        heard.loop.post(lambda: (looked.append(look()), connection.close()))

    def look():
        """Nothing waits, so nobody asks for room: the loop would never sleep."""
        assert heard.channel._backlog_bytes == len(heard.channel._backlog) == 0
        assert not any(ready & select.EPOLLOUT for _, ready in heard.loop._epoll.poll(0))

    reader = threading.Thread(target=read)
    reader.start()
    heard.loop.run()
    reader.join()
    assert looked == [None]
    assert [each.attempt for each in received] == [each.attempt for each in sent]


def test_a_peer_that_never_reads_is_cut_off(heard, monkeypatch):
    monkeypatch.setattr(channel_module, "BACKLOG_BYTES_MAX", 1 << 20)
    while len(heard.channel._backlog) or not heard.channel._backlog_bytes:
        heard.channel.send([m.Run(ATTEMPT, Blob(bytes(100_000)))])
    heard.loop.run()
    assert heard.events == ["gone: the peer closed the connection"]


def test_a_message_that_cannot_travel_ends_its_connection_and_not_the_loop(heard, capsys):
    heard.channel.send([m.Failed(ATTEMPT, "user", "x" * (2 << 20), None, "")])
    heard.loop.run()
    assert heard.events == ["gone: the peer closed the connection"]
    assert "message too large" in capsys.readouterr().err


def test_what_is_sent_after_the_end_is_dropped(heard):
    heard.peer.close()
    heard.channel.send([m.Beat()])
    heard.loop.run()
    heard.channel.send([m.Beat()])
    assert len(heard.events) == 1


def test_a_closed_channel_is_silent(heard):
    heard.peer.sendall(wire(m.Beat()))
    heard.loop.post(heard.channel.close)
    heard.loop.post(heard.loop.stop)
    heard.channel.close()
    heard.loop.run()
    assert heard.events == [heard.channel.close, heard.loop.stop]


def test_who_closes_a_channel_hears_no_more_of_it(heard):
    """Not even of frames that came together with the one that was too much."""
    heard.channel._arrived = lambda messages: (heard.items.extend(messages), heard.channel.close())
    heard.peer.sendall(wire(m.Beat()) + wire(m.Beat()))
    heard.loop.at(time.monotonic(), heard.loop.stop)
    heard.loop.run()
    heard.loop._stopped = False
    heard.loop.at(time.monotonic(), heard.loop.stop)
    heard.loop.run()
    assert heard.events.count(m.Beat()) == 1


def test_posts_of_other_threads_wake_the_loop_once(heard):
    thread = threading.Thread(target=heard.loop.post, args=(heard.loop.stop,))
    thread.start()
    heard.loop.run()
    thread.join()
    assert heard.events == [heard.loop.stop]
    with pytest.raises(BlockingIOError):
        heard.loop._bell.recv(1)


def test_each_batch_is_flushed(heard):
    heard.peer.sendall(wire(m.Beat()) + wire(m.Beat()))
    heard.loop.post(heard.loop.stop)
    heard.loop.run()
    assert heard.items == [m.Beat(), m.Beat(), heard.loop.stop, "flush"]


def test_what_is_posted_too_late_comes_back(heard):
    assert heard.loop.post("late")
    assert heard.loop.close() == ["late"]
    assert not heard.loop.post("later")
    heard.loop = Loop(heard.handle, lambda: None)
    heard.channel._closed = True
    heard.channel._sock.close()


class Clock:
    """A stand-in for the module `time`, which moves when told."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    each = Clock()
    monkeypatch.setattr("minimr.cluster.loop.time", each)
    return each


def test_timers_fire_in_the_order_of_their_times(heard, clock):
    heard.loop.at(clock.now - 0.1, "second")
    heard.loop.at(clock.now - 0.2, "first")
    heard.loop.at(clock.now, heard.loop.stop)
    heard.loop.at(clock.now + 1, "not yet")
    heard.loop.run()
    assert heard.events == ["first", "second", heard.loop.stop]


def test_what_has_arrived_comes_before_timers(heard, clock):
    heard.loop.at(clock.now, heard.loop.stop)
    heard.peer.sendall(wire(m.Beat()))
    heard.loop.run()
    assert heard.events == [m.Beat(), heard.loop.stop]


def test_no_timer_is_believed_before_a_long_message_is_read_to_its_end(heard, clock, monkeypatch):
    monkeypatch.setattr(channel_module, "READS_PER_TURN", 1)
    heard.loop.at(clock.now, heard.loop.stop)
    run = m.Run(ATTEMPT, Blob(bytes(100_000)))
    heard.peer.sendall(wire(run, m.Beat()))
    heard.loop.run()
    assert heard.events == [run, m.Beat(), heard.loop.stop]


def test_a_timer_may_be_further_away_than_the_kernel_counts(heard):
    heard.loop.at(time.monotonic() + 1e9, "not yet")
    heard.loop.post(heard.loop.stop)
    heard.loop.run()
    assert heard.events == [heard.loop.stop]


def test_a_loop_that_slept_gives_its_peers_time(heard, clock):
    """Its timers are late: they wait for another while, in which the peers can speak."""
    heard.loop.at(clock.now, "lease")
    clock.now += LATE_S + 0.1
    flushes = 0

    def flush():
        nonlocal flushes
        flushes += 1
        if flushes == 1:
            assert heard.events == []
            clock.now += GRACE_S
            heard.loop.post(heard.loop.stop)

    heard.loop._flush = flush
    heard.loop.run()
    assert heard.events == [heard.loop.stop, "lease"]
    assert time.monotonic() != clock.now


def test_a_loop_that_slept_brings_no_timer_forward(heard, clock):
    """Who asked for a later time, as the end of a worker's exclusion, is not called before it."""
    heard.loop.at(clock.now, "lease")
    heard.loop.at(clock.now + 60, "exclusion over")
    clock.now += LATE_S + 0.1
    flushed = []

    def flush():
        flushed.append(clock.now)
        clock.now += GRACE_S
        if len(flushed) == 2:
            heard.loop.stop()
        heard.loop.post("another turn")

    heard.loop._flush = flush
    heard.loop.post("a turn")
    heard.loop.run()
    assert "lease" in heard.events
    assert "exclusion over" not in heard.events
