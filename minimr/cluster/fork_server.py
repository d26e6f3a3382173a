"""A fork server: a small process that gives birth to others in milliseconds.

A process that has imported what it needs can be had by `fork` from one that has imported it
already. But forking a process with threads copies locks that nobody will ever release, so the one
that forks never has a thread: it takes requests, reaps the dead, and says how they died. There are
two: the nursery, which bears a worker's slots (`nursery.py`), and the process that bears the
workers of one machine (`worker_process.py`).
"""

import gc
import os
import selectors
import signal
import socket
import struct
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# What is asked: a child that gets some descriptors, or a child's end. What is reported: a birth,
# with the process id, or a death, with the wait status.
REQUEST = struct.Struct("!cI")
SPAWN, KILL = b"s", b"k"
REPORT = struct.Struct("!cIi")
BORN, DIED = b"b", b"d"
DESCRIPTORS_MAX = 2
# One thread of linear algebra per slot: the slots are the parallelism, and a sum that always runs
# in one order gives the same bytes everywhere.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Born:
    serial: int
    pid: int


@dataclass(frozen=True, slots=True)
class Died:
    """`text` is the wait status in words."""

    serial: int
    text: str


class Forks:
    """The asking end. Children are known by serial numbers that the asker chooses."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def spawn(self, serial: int, descriptors: Sequence[int] = ()) -> None:
        """A new child, which gets copies of the descriptors."""
        socket.send_fds(self.sock, [REQUEST.pack(SPAWN, serial)], descriptors)

    def kill(self, serial: int) -> None:
        """End a child and all that it started. Its death is reported like any other."""
        self.sock.sendall(REQUEST.pack(KILL, serial))

    def read_report(self) -> Born | Died | None:
        """Wait for the next one; None when the fork server itself is gone. `sock` is readable when
        there is something to read."""
        try:
            data = self.sock.recv(REPORT.size, socket.MSG_WAITALL)
        except ConnectionError:
            return None  # It was killed before it had read all requests.
        if len(data) < REPORT.size:
            return None
        what, serial, value = REPORT.unpack(data)
        return Born(serial, value) if what == BORN else Died(serial, describe_exit(value))

    def dismiss(self) -> None:
        """No more requests: the fork server is to bring its children to an end and to leave."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It is gone already.


def describe_exit(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.strsignal(number) or "unknown signal"
        return f"killed by signal {number} ({name})"
    return f"left with exit status {os.waitstatus_to_exitcode(status)}"


class ForkServer:
    """The bearing end. A child runs `become(descriptors)`, in a process group of its own, and ends.

    The modules `late` are imported when a child has died, before the next one is born.
    """

    def __init__(
        self,
        sock: socket.socket,
        become: Callable[[list[int]], None],
        late: Sequence[str] = (),
    ) -> None:
        self._sock, self._become, self._late = sock, become, late
        self._serials: dict[int, int] = {}
        self._bereaved = False

    def run(self, modules: Sequence[str] = ()) -> None:
        """Import the modules, then obey until the asker is gone or has no more requests."""
        for name in ONE_THREAD:
            os.environ[name] = "1"
        wakeup, sender = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(sender, False)
        signal.signal(signal.SIGCHLD, _wake_up_only)
        signal.set_wakeup_fd(sender)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # The asker says when to leave.
        _preload(modules)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if wakeup in ready:
                    os.read(wakeup, 4096)
                    self._reap()
                if self._sock in ready and not self._take_request():
                    return

    def kill_all(self) -> None:
        """Every child, with all that it started."""
        for pid in self._serials:
            kill_group(pid)
        self.wait_for_all()

    def wait_for_all(self) -> None:
        while self._serials:
            pid, _ = os.waitpid(-1, 0)
            self._serials.pop(pid, None)

    def _take_request(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, REQUEST.size, DESCRIPTORS_MAX)
        except ConnectionError:
            return False  # The asker is gone, and had not read all reports.
        if len(data) < REQUEST.size:
            return False
        order, serial = REQUEST.unpack(data)
        if order == SPAWN:
            self._fork(serial, descriptors)
        else:
            for pid in [pid for pid, each in self._serials.items() if each == serial]:
                kill_group(pid)
        return True

    def _fork(self, serial: int, descriptors: list[int]) -> None:
        if self._bereaved:
            _preload(self._late)
        pid = os.fork()
        if pid == 0:
            try:
                self._be_born(descriptors)
            except BaseException:  # Also a KeyboardInterrupt, which user code may raise.
                traceback.print_exc()
                os._exit(70)  # Not after it: its sockets would be closed, and it killed.
            finally:
                os._exit(70)
        os.setpgid(pid, pid)
        self._serials[pid] = serial
        for descriptor in descriptors:
            os.close(descriptor)
        self._report(BORN, serial, pid)

    def _be_born(self, descriptors: list[int]) -> None:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._sock.close()
        self._become(descriptors)

    def _reap(self) -> None:
        while self._serials:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (serial := self._serials.pop(pid, None)) is not None:
                self._bereaved = True
                kill_group(pid)  # What the child started must not outlive it.
                self._report(DIED, serial, status)

    def _report(self, what: bytes, serial: int, value: int) -> None:
        try:
            self._sock.sendall(REPORT.pack(what, serial, value))
        except OSError:
            pass  # The asker is gone; the next request read says so.


def _preload(names: Sequence[str]) -> None:
    for name in names:
        __import__(name)
    gc.freeze()  # Keeps the pages that the children share with us unwritten.


def kill_group(pid: int) -> None:
    """A child with all that it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # All of the group are gone.


def _wake_up_only(_number: int, _frame: object) -> None:
    """A handler must exist for the wakeup descriptor to be written."""
