"""Births and deaths, as the asker of a fork server hears of them."""

import os
import signal
import socket
import sys

import pytest

from minimr.cluster.fork_server import Born, Died, Forks, ForkServer


@pytest.fixture
def start():
    """Starts fork servers in processes of their own; what they leave behind fails the test."""
    started = []

    def start(become, late=()):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            server = ForkServer(theirs, become, late)
            server.run()
            server.kill_all()
            os._exit(0)
        theirs.close()
        started.append((pid, Forks(ours)))
        return started[-1][1]

    yield start
    for pid, forks in started:
        forks.dismiss()
        assert os.waitpid(pid, 0)[1] == 0
        forks.sock.close()


def sleep_for_ever(_descriptors):
    signal.pause()


def test_a_child_gets_descriptors_and_its_end_is_reported(start):
    def say_hello(descriptors):
        os.write(descriptors[0], b"hello")
        os._exit(3)

    forks = start(say_hello)
    reading, writing = os.pipe()
    forks.spawn(7, [writing])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"hello"
    born, died = forks.read_report(), forks.read_report()
    assert isinstance(born, Born)
    assert (born.serial, died) == (7, Died(7, "left with exit status 3"))


def test_who_is_killed_goes_with_all_that_it_started(start):
    def have_a_child(descriptors):
        if os.fork() == 0:
            signal.pause()
        os.write(descriptors[0], b"!")
        signal.pause()

    forks = start(have_a_child)
    reading, writing = os.pipe()
    forks.spawn(1, [writing])
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        assert pipe.read(1) == b"!"
        forks.kill(1)
        assert pipe.read(1) == b""  # Nobody has the other end: the grandchild is dead, too.
    assert isinstance(forks.read_report(), Born)
    assert forks.read_report() == Died(1, "killed by signal 9 (Killed)")


def test_who_dies_by_itself_leaves_nothing_running(start):
    def leave_a_child_behind(_):
        if os.fork() == 0:
            signal.pause()
        os._exit(0)

    forks = start(leave_a_child_behind)
    reading, writing = os.pipe()
    forks.spawn(1, [writing])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b""


def test_children_die_with_their_fork_server(start):
    forks = start(sleep_for_ever)
    reading, writing = os.pipe()
    for serial in range(3):
        forks.spawn(serial, [writing])
    os.close(writing)
    forks.dismiss()
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT"])
def test_a_child_does_what_signals_ask(start, name, capfd):
    def say_hello(descriptors):
        os.write(descriptors[0], b"!")
        signal.pause()

    forks = start(say_hello)
    reading, writing = os.pipe()
    forks.spawn(1, [writing])
    os.close(writing)
    born = forks.read_report()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        assert pipe.read(1) == b"!"
    os.kill(born.pid, signal.Signals[name])
    ends = {"SIGTERM": "killed by signal 15 (Terminated)", "SIGKILL": "killed by signal 9 (Killed)"}
    assert forks.read_report() == Died(1, ends.get(name, "left with exit status 70"))


def test_some_modules_are_imported_when_a_child_has_died(start):
    late = "this"  # The one module that nobody imports in earnest.
    sys.modules.pop(late, None)
    forks = start(lambda _: os._exit(late in sys.modules), [late])
    statuses = []
    for serial in range(2):
        forks.spawn(serial)
        assert isinstance(forks.read_report(), Born)
        statuses.append(forks.read_report().text[-1])
    assert statuses == ["0", "1"]


def test_a_child_that_raises_is_no_second_fork_server(start, capfd):
    forks = start(lambda _: 1 / 0)
    forks.spawn(1)
    assert isinstance(forks.read_report(), Born)
    assert forks.read_report() == Died(1, "left with exit status 70")
