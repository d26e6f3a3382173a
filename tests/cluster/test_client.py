"""A client whose coordinator says nothing, or nothing whole."""

import errno
import os
import signal
import threading
from collections import deque
from dataclasses import replace
from queue import Empty

import pytest

from minimr.cluster import client as client_module
from minimr.cluster import messages as m
from minimr.cluster.client import Client
from minimr.cluster.coordinator import Coordinator
from minimr.cluster.fault import Fault
from minimr.cluster.fault_proxy import FaultProxy
from minimr.cluster.joined import joined
from minimr.cluster.wire import Blob
from minimr.errors import NoCoordinator, UsageError
from tests.cluster.processes import heard


@pytest.fixture
def coordinator():
    each = Coordinator()
    each.start()
    yield each
    each.stop()


def test_a_silent_coordinator_is_taken_for_gone(coordinator, monkeypatch):
    monkeypatch.setattr(client_module, "SILENCES_MAX", 2)
    address = coordinator.address(1)
    with FaultProxy((address.host, address.port), seed=1) as proxy:
        client = Client(replace(address, port=proxy.address[1]))
        client.ask(m.GetStatus(client.next_request()))
        proxy.break_with(Fault("half-open"))
        with pytest.raises(NoCoordinator, match=r"said nothing for 2 s\); start it again"):
            client.ask(m.GetStatus(client.next_request()))
        client.close()


def test_the_child_of_a_fork_is_told_that_the_cluster_is_not_its_own(coordinator):
    """As in a pool of processes; it waited for ever, for its parent got the answer."""
    client = Client(coordinator.address(1))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.ask(m.GetStatus(client.next_request()))
        except UsageError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            said = heard(pipe)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert b"forked cannot use the cluster of its parent" in said
    assert client.ask(m.GetStatus(client.next_request()))["jobs"] == []
    client.close()


def test_one_that_has_nothing_to_say_is_asked_and_answers(coordinator, monkeypatch):
    """A wait may be longer than the patience, here a second: signs of life count."""
    monkeypatch.setattr(client_module, "SILENCES_MAX", 100)
    monkeypatch.setattr(client_module, "SILENCE", client_module.struct.pack("ll", 0, 10_000))
    client = Client(coordinator.address(1))
    answers = []

    def wait():
        try:
            client.ask(m.AwaitWorkers(client.next_request(), 1))
        except UsageError as error:
            answers.append(str(error))

    waiting = threading.Thread(target=wait)
    heard = count_beats(client)
    waiting.start()
    assert heard.wait(20)
    assert waiting.is_alive(), "it waits on, for more than its patience"
    coordinator.expect_at_most(0, "enough")
    waiting.join(20)
    assert answers == ["enough"]
    with pytest.raises(UsageError, match="enough"):
        client.ask(m.AwaitWorkers(client.next_request(), 1))
    client.close()


def test_whoever_waits_for_an_answer_looks_up_now_and_then():
    """A signal that another thread of the process takes does not end the wait for a lock."""
    answers, waits = client_module._Answers(), []

    class Wake:
        def get(self, timeout=None):
            waits.append(timeout)
            if len(waits) < 3:
                raise Empty
            answers._came.append(None)

    answers._wake = Wake()
    assert answers.next() is None
    assert waits == [client_module.LOOK_UP_S] * 3


def test_lines_that_came_together_keep_their_order(coordinator):
    client = Client(coordinator.address(1))
    arrived = deque()
    one, other = client_module._Answers(arrived), client_module._Answers(arrived)
    client._watching.update({"round-1": one, "round-2": other})
    lines = [m.Events(f"round-{round}", [{"t": t}]) for t, round in enumerate((1, 2, 1))]
    client._sort(lines)
    assert [line["t"] for line in arrived] == [0, 1, 2]
    assert [one.next(), other.next(), one.next()] == lines
    client.close()


def test_a_client_remembers_nothing_of_jobs_that_it_does_not_watch(coordinator):
    client = Client(coordinator.address(1))
    inputs = Blob(joined([b""]))
    names = []
    for _ in range(3):
        request = client.next_request()
        names.append(
            client.submit(
                m.Submit(
                    request, "x", "job", 1, 1, None, "c", Blob(b""), inputs, None, False, False
                )
            ).job
        )
    assert names == ["job-1", "job-2", "job-3"]
    assert (client._watching, client._waiting) == ({}, {})
    client.close()


def count_beats(client, wanted=110):
    """Set when so many signs of life came."""
    heard, seen, sort = threading.Event(), [], client._sort

    def counting(messages):
        seen.extend(each for each in messages if isinstance(each, m.Beat))
        if len(seen) >= wanted:
            heard.set()
        sort(messages)

    client._sort = counting
    return heard


def test_one_that_was_closed_here_says_so(coordinator):
    """It was told to start the coordinator again, which may be there."""
    client = Client(coordinator.address(1))
    client.ask(m.GetStatus(client.next_request()))
    client.close()
    with pytest.raises(NoCoordinator, match="closed here; use it and its datasets before"):
        client.ask(m.GetStatus(client.next_request()))


def test_a_connection_that_broke_is_told_without_its_number(coordinator, monkeypatch):
    """[Errno 104] stood before the words."""

    def broken(*_):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(Client, "_receive", broken)
    client = Client(coordinator.address(1))
    with pytest.raises(NoCoordinator, match=r"gone \(Connection reset by peer\); start it again"):
        client.ask(m.GetStatus(client.next_request()))
