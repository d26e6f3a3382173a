"""Births and deaths, as the asker of a fork server hears of them, and what is left: nothing."""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from minimr.cluster.fork_server import ONE_THREAD, Born, Died, Forks, ForkServer
from tests.cluster.processes import PATIENCE_S, has_children, heard, wait_for

KILLED = "killed by signal 9 (Killed)"


class Server:
    """A fork server in a process of its own, which is to leave in peace and without children."""

    def __init__(self, become, modules, late):
        ours, theirs = socket.socketpair()
        self.forks, self.pipes, self.born = Forks(ours), [], []
        self.pid = os.fork()
        if self.pid == 0:
            try:
                ours.close()
                server = ForkServer(theirs, become, late)
                server.run(modules)
                server.kill_all()
                os._exit(has_children())
            finally:
                os._exit(1)
        theirs.close()
        self._end, self._killed = os.pidfd_open(self.pid), False

    def spawn(self, *serials):
        """New children with one end of a pipe; the other end hears when nobody has theirs."""
        reading, writing = os.pipe()
        for serial in serials:
            self.forks.spawn(serial, [writing])
        os.close(writing)
        self.pipes.append(os.fdopen(reading, "rb", buffering=0))
        return self.pipes[-1]

    def report(self):
        wait_for(self.forks.sock)
        report = self.forks.read_report()
        if isinstance(report, Born):
            with suppress(ProcessLookupError):
                self.born.append(os.pidfd_open(report.pid))
        return report

    def stop(self):
        """What is asked from now on waits until it goes on."""
        os.kill(self.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self._killed = True
        wait_for(self._end)

    def end(self):
        self.forks.dismiss()
        wait_for(self._end)
        assert os.waitpid(self.pid, 0)[1] == (signal.SIGKILL if self._killed else 0)

    def clean_up(self):
        for pidfd in (*self.born, self._end):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        for each in (*self.pipes, self.forks.sock):
            each.close()


@pytest.fixture
def start():
    """Starts fork servers; what they leave behind fails the test."""
    servers = []

    def start(become, modules=(), late=()):
        servers.append(Server(become, modules, late))
        return servers[-1]

    yield start
    try:
        for server in servers:
            server.end()
    finally:
        for server in servers:
            server.clean_up()


def sleep_for_ever(_descriptors):
    signal.pause()


def say_hello(descriptors):
    os.write(descriptors[0], b"hello")
    signal.pause()


def test_a_child_gets_descriptors_and_its_end_is_reported(start):
    def say_hello_and_leave(descriptors):
        os.write(descriptors[0], b"hello")
        os._exit(3)

    server = start(say_hello_and_leave)
    pipe = server.spawn(7)
    assert (heard(pipe), heard(pipe)) == (b"hello", b"")
    born, died = server.report(), server.report()
    assert isinstance(born, Born)
    assert (born.serial, died) == (7, Died(7, "left with exit status 3"))


def test_who_is_killed_goes_with_all_that_it_started(start):
    def have_a_child(descriptors):
        if os.fork() == 0:
            signal.pause()
        say_hello(descriptors)

    server = start(have_a_child)
    pipe = server.spawn(1)
    assert heard(pipe) == b"hello"
    server.forks.kill(1)
    assert heard(pipe) == b"", "the grandchild is not dead"
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, KILLED)


def test_who_dies_by_itself_leaves_nothing_running(start):
    def leave_a_child_behind(_):
        if os.fork() == 0:
            signal.pause()
        os._exit(0)

    assert heard(start(leave_a_child_behind).spawn(1)) == b""


def test_only_who_is_meant_is_killed(start):
    def answer(descriptors):
        os.write(descriptors[1], os.read(descriptors[0], 1))
        signal.pause()

    server = start(answer)
    asked, ask = os.pipe()
    answers, answering = os.pipe()
    for serial in (1, 2):
        server.forks.spawn(serial, [asked, answering])
        server.report()
    server.forks.kill(1)
    assert server.report() == Died(1, KILLED)
    os.write(ask, b"?")
    wait_for(answers)
    assert os.read(answers, 1) == b"?"
    for each in (asked, ask, answers, answering):
        os.close(each)


@pytest.mark.parametrize("late", ["child", "server"])
def test_a_child_is_in_its_group_whoever_is_faster(start, monkeypatch, late):
    """It may be killed, and may have children, before one of the two has come so far."""
    said, say = os.pipe()

    def set_group(pid, group, really=os.setpgid):
        if late == "child" and not pid:
            signal.pause()
        if late == "server" and pid:
            os.read(said, 1)
        really(pid, group)

    def tell_group(descriptors):
        os.write(descriptors[0], b"own" if os.getpgid(0) == os.getpid() else b"the server's")
        os.write(say, b"!")
        signal.pause()

    monkeypatch.setattr(os, "setpgid", set_group)
    server = start(tell_group)
    pipe = server.spawn(1)
    if late == "server":
        assert heard(pipe) == b"own"
    server.forks.kill(1)
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, KILLED)
    os.close(said)
    os.close(say)


def test_children_die_with_their_fork_server(start):
    server = start(sleep_for_ever)
    pipe = server.spawn(0, 1, 2)
    server.forks.dismiss()
    assert heard(pipe) == b""


def test_children_die_when_the_asker_is_gone_before_their_birth(start):
    server = start(sleep_for_ever)
    server.stop()
    pipe = server.spawn(1)
    server.forks.sock.close()
    server.go_on()
    assert heard(pipe) == b""


def test_children_die_when_the_asker_has_not_read_all_reports(start):
    """Unread reports make another end of a connection: it is reset."""
    server = start(sleep_for_ever)
    pipe = server.spawn(1)
    wait_for(server.forks.sock)
    server.forks.sock.close()
    assert heard(pipe) == b""


def test_the_asker_hears_that_a_fork_server_was_killed_whose_children_live(start):
    server = start(say_hello)
    assert heard(server.spawn(1)) == b"hello"
    assert isinstance(server.report(), Born)
    server.kill()
    assert server.report() is None


def test_the_asker_hears_that_a_fork_server_was_killed_that_had_not_read_all(start):
    server = start(sleep_for_ever)
    server.stop()
    server.spawn(1)
    server.kill()
    assert server.report() is None


def test_two_deaths_at_once_are_two(start):
    server = start(sleep_for_ever)
    server.spawn(1, 2)
    pids = [server.report().pid for _ in range(2)]
    server.stop()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pidfd in server.born:
        wait_for(pidfd)
    server.go_on()
    died = {server.report().serial for _ in range(2)}
    assert died == {1, 2}


def test_a_fork_server_sleeps_when_a_child_has_died(start):
    server = start(lambda _: os._exit(0))
    server.spawn(1)
    assert [type(server.report()) for _ in range(2)] == [Born, Died]
    give_up_at = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < give_up_at, "it is busy"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_fork_server_leaves_when_its_asker_says_so_and_not_before(start, name):
    server = start(say_hello)
    assert heard(server.spawn(1)) == b"hello"
    os.kill(server.pid, signal.Signals[name])
    assert heard(server.spawn(2)) == b"hello"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT"])
def test_a_child_does_what_signals_ask(start, name, capfd):
    server = start(say_hello)
    pipe = server.spawn(1)
    born = server.report()
    assert heard(pipe) == b"hello"
    os.kill(born.pid, signal.Signals[name])
    ends = {"SIGTERM": "killed by signal 15 (Terminated)", "SIGKILL": KILLED}
    assert server.report() == Died(1, ends.get(name, "left with exit status 70"))
    assert ("KeyboardInterrupt" in capfd.readouterr().err) == (name == "SIGINT")


def test_a_child_hears_of_its_own_children_as_any_process_does(start):
    def tell(descriptors):
        fresh = signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        os.write(descriptors[0], repr((fresh, signal.set_wakeup_fd(-1))).encode())

    assert heard(start(tell).spawn(1)) == b"(True, -1)"


def test_a_child_does_linear_algebra_in_one_thread(start, monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)

    def tell(descriptors):
        os.write(descriptors[0], ",".join(map(os.environ.get, ONE_THREAD)).encode())

    assert heard(start(tell).spawn(1)) == b"1,1,1"


UNKNOWN = "this"
"""The one module that nobody imports in earnest."""


def test_modules_are_imported_before_the_first_child_is_born(start, monkeypatch):
    monkeypatch.delitem(sys.modules, UNKNOWN, raising=False)
    server = start(lambda _: os._exit(UNKNOWN in sys.modules), [UNKNOWN])
    server.spawn(1)
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, "left with exit status 1")


def test_some_modules_are_imported_when_a_child_has_died(start, monkeypatch):
    monkeypatch.delitem(sys.modules, UNKNOWN, raising=False)
    server = start(lambda _: os._exit(UNKNOWN in sys.modules), late=[UNKNOWN])
    statuses = []
    for serial in range(2):
        server.forks.spawn(serial)
        assert isinstance(server.report(), Born)
        statuses.append(server.report().text[-1])
    assert statuses == ["0", "1"]


def test_a_child_that_raises_says_so_and_is_no_second_fork_server(start, capfd):
    server = start(lambda _: 1 / 0)
    server.spawn(1)
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, "left with exit status 70")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_child_that_raises_holds_what_it_has_until_it_is_gone(start):
    """Whoever sees its socket close kills it, and that would be told as the cause."""

    class Socket:
        def __init__(self, descriptor):
            self._descriptor = descriptor

        def __del__(self):
            os.write(self._descriptor, b"closed")

    def fail(descriptors):
        held = Socket(descriptors[0])
        raise ValueError(held)

    server = start(fail)
    assert heard(server.spawn(1)) == b""
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, "left with exit status 70")


def test_a_child_that_comes_to_its_end_is_no_second_fork_server(start):
    server = start(lambda _: None)
    server.spawn(1)
    assert isinstance(server.report(), Born)
    assert server.report() == Died(1, "left with exit status 70")
