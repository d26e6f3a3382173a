"""Peers that are never silent and never done: both ends of a fetch give up in time."""

import socket
import threading

import pytest

from minimr.cluster import deadline
from minimr.cluster import messages as m
from minimr.cluster.connection import encode_messages
from minimr.cluster.deadline import Deadline
from minimr.cluster.fault import Fault
from minimr.cluster.fault_proxy import FaultProxy
from minimr.cluster.fetch import Fetcher, FetchError, Source
from minimr.cluster.handshake import greet
from minimr.cluster.places import output_path
from minimr.cluster.shuffle_server import ShuffleServer
from minimr.scheduler.state import AttemptId
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.segments import write_map_output

TOKEN = bytes(range(32))
PATIENCE_S = 20.0
MADE = AttemptId("job-1", "map", 0, 0)
LARGE_BYTES = 16 << 20


@pytest.fixture
def path(tmp_path):
    path = output_path(tmp_path, MADE)
    path.parent.mkdir(parents=True)
    keys = [f"{number:060}" for number in range(5000)]
    block = encode_pairs(keys, keys)
    write_map_output(path, 1, [(0, block)] * (LARGE_BYTES // len(block)))
    return path


@pytest.fixture
def server(path):
    each = ShuffleServer(TOKEN, {MADE: path}.get)
    each.start()
    yield each
    each.close()


@pytest.fixture
def fetcher(tmp_path):
    each = Fetcher(TOKEN, tmp_path / "here", tmp_path)
    yield each
    each.close()


def fetch(fetcher, address):
    return fetcher.fetch({0: Source(MADE, "other", address)}, 0, "here", 0)


def test_a_holder_that_trickles_is_given_up(server, fetcher, monkeypatch):
    """A byte always comes before a timeout on each read would be over."""
    monkeypatch.setattr(deadline, "REPLY_S", 0.3)
    monkeypatch.setattr(deadline, "BYTES_PER_S_MIN", 100 * LARGE_BYTES)
    with FaultProxy(server.address) as proxy:
        trickle = Fault("trickle", direction="down", after_bytes=4096, bytes_per_s=2000)
        proxy.break_with(trickle)
        with pytest.raises(FetchError, match="timed out") as caught:
            fetch(fetcher, proxy.address)
    assert caught.value.unreached == [MADE]


def test_time_is_given_by_size():
    assert Deadline(100 * deadline.BYTES_PER_S_MIN).left_s() > 100
    assert Deadline().left_s() <= deadline.REPLY_S


def test_a_reducer_that_takes_a_byte_now_and_then_does_not_hold_the_server(server, monkeypatch):
    monkeypatch.setattr(deadline, "REPLY_S", 0.3)
    monkeypatch.setattr(deadline, "BYTES_PER_S_MIN", 100 * LARGE_BYTES)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(server.address)
        greet(sock, TOKEN, "fetch")
        sock.sendall(b"".join(encode_messages([m.Fetch(0, [MADE])])))
        served = [each for each in threading.enumerate() if each.name == "peer"]
        assert served
        sock.settimeout(PATIENCE_S)
        for each in served:
            while each.is_alive():
                sock.recv(1)
                each.join(0.02)


def test_many_silent_holders_do_not_add_up(fetcher, monkeypatch):
    """They take connections, and never say a word; a few waits are enough to report some."""
    from minimr.cluster import fetch as module
    from minimr.cluster import handshake

    monkeypatch.setattr(handshake, "HELLO_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "PATIENCE_S", 0.12)
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(10)]
    try:
        sources = {
            index: Source(AttemptId("job-1", "map", index, 0), "other", each.getsockname())
            for index, each in enumerate(silent)
        }
        with pytest.raises(FetchError) as caught:
            fetcher.fetch(sources, 0, "here", 0)
    finally:
        for each in silent:
            each.close()
    assert 1 <= len(caught.value.unreached) < len(silent)


def test_one_bad_holder_does_not_keep_others_from_answering(server, fetcher, tmp_path):
    """What the good one has is here when the bad one is reported."""
    with socket.create_server(("127.0.0.1", 0)) as refused:
        address = refused.getsockname()
    other = AttemptId("job-1", "map", 1, 0)
    sources = {1: Source(other, "bad", address), 0: Source(MADE, "good", server.address)}
    with pytest.raises(FetchError, match="refused") as caught:
        fetcher.fetch(sources, 0, "here", 0)
    assert caught.value.unreached == [other]
    assert MADE in fetcher._fetched
