"""The nursery bears a worker's slots, and is the last to leave, whatever becomes of the worker."""

import os
import signal
import socket
import sys
from contextlib import suppress

import pytest

from minimr.cluster.fork_server import Born, Died
from minimr.cluster.nursery import Nursery
from tests.cluster.processes import descriptors, has_children, heard, wait_for


class Worker:
    """A process that does `work(said)`. It, its nursery and their slots say things into one pipe,
    which ends when none of them is left."""

    def __init__(self, work):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setpgid(0, 0)
                os.close(reading)
                work(writing)
            finally:
                os._exit(70)
        os.close(writing)
        self.pipe = os.fdopen(reading, "rb", buffering=0)

    def clean_up(self):
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pipe.close()


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "worker" / "jobs").mkdir(parents=True)
    return tmp_path / "worker"


@pytest.fixture
def start():
    workers = []

    def start(work):
        workers.append(Worker(work))
        return workers[-1]

    yield start
    for worker in workers:
        worker.clean_up()


def bear(nursery, directory, serial=1):
    """A new slot; returns our end of its socket, and what it prints into."""
    ours, theirs = socket.socketpair()
    output = os.open(directory / f"output-{serial}", os.O_RDWR | os.O_CREAT)
    nursery.spawn(serial, theirs, output)
    theirs.close()
    return ours, output


def report(nursery):
    wait_for(nursery.forks.sock)
    return nursery.forks.read_report()


def stay(said):
    """What a slot does that does not leave with its worker, nor does what it started."""
    if os.fork() == 0:
        signal.pause()
    os.write(said, b"hello")
    signal.pause()


def test_a_slot_ends_with_its_nursery_when_nobody_is_left_who_would_end_it(start, directory):
    def run_for_ever(said):
        os.write(said, b"hello")
        signal.pause()

    def work(said):
        nursery = Nursery(lambda _: run_for_ever(said), directory)
        os.write(said, b"%d" % nursery.pid)
        _kept = bear(nursery, directory)
        signal.pause()

    worker = start(work)
    nursery = int(heard(worker.pipe))
    assert heard(worker.pipe) == b"hello"
    os.kill(worker.pid, signal.SIGSTOP)  # So the nursery is the first to go, and not told to.
    os.kill(nursery, signal.SIGKILL)
    os.kill(worker.pid, signal.SIGKILL)
    assert heard(worker.pipe) == b""


@pytest.mark.parametrize("whom", ["the worker", "its group"])
def test_when_a_worker_is_killed_its_slots_and_its_directory_go(start, directory, whom):
    def work(said):
        nursery = Nursery(lambda _: stay(said), directory)
        _kept = bear(nursery, directory)
        signal.pause()

    worker = start(work)
    assert heard(worker.pipe) == b"hello"
    (os.kill if whom == "the worker" else os.killpg)(worker.pid, signal.SIGKILL)
    assert heard(worker.pipe) == b""
    assert not directory.exists()


def test_a_worker_that_closes_it_keeps_no_process_no_descriptor_no_directory(start, directory):
    def work(said):
        before = descriptors()
        nursery = Nursery(lambda _: stay(said), directory)
        ours, output = bear(nursery, directory)
        assert isinstance(report(nursery), Born)
        nursery.close()
        ours.close()
        os.close(output)
        left = descriptors() - before, directory.exists(), has_children()
        os.write(said, repr(left).encode())

    worker = start(work)
    said = b"".join(iter(lambda: heard(worker.pipe), b""))
    assert said.removeprefix(b"hello") == b"(0, False, False)"


def test_a_nursery_that_fails_says_so_and_takes_its_slots_along(
    start, directory, monkeypatch, capfd
):
    """It may be that the system gives it no more processes, or as here that an import fails."""
    monkeypatch.setattr("minimr.cluster.nursery.PRELOAD_LATER", ("no_such_module",))

    def work(said):
        nursery = Nursery(lambda _: stay(said), directory)
        _kept = bear(nursery, directory, 1), bear(nursery, directory, 2)
        assert [type(report(nursery)) for _ in range(2)] == [Born, Born]
        nursery.forks.kill(1)
        assert isinstance(report(nursery), Died)
        nursery.spawn(3, *_kept[0])
        assert report(nursery) is None
        os._exit(0)

    worker = start(work)
    while heard(worker.pipe):
        pass  # Until the slots are gone, too.
    assert not directory.exists()
    assert "no_such_module" in capfd.readouterr().err


def test_a_worker_hears_that_its_nursery_was_killed(start, directory):
    def work(said):
        nursery = Nursery(lambda _: None, directory)
        os.kill(nursery.pid, signal.SIGKILL)
        os.write(said, repr(report(nursery)).encode())

    assert heard(start(work).pipe) == b"None"


def test_a_slot_prints_into_its_output_and_has_no_input(start, directory):
    """And when it has come to its end it leaves in peace: nothing that it printed is lost."""

    def talk(_sock):
        sys.stdout = os.fdopen(1, "w", closefd=False)
        os.write(2, b"error, ")
        print("input:", os.read(0, 100), end="")

    def work(said):
        reading, writing = os.pipe()
        os.write(writing, b"not for slots")
        os.dup2(reading, 0)
        nursery = Nursery(talk, directory)
        _ours, output = bear(nursery, directory)
        assert isinstance(report(nursery), Born)
        ended = report(nursery).text.encode()
        os.write(said, ended + b"; " + os.pread(output, 100, 0))

    assert heard(start(work).pipe) == b"left with exit status 0; error, input: b''"
