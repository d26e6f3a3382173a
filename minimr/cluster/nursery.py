"""The nursery: a small process that gives birth to slots.

A slot must start in milliseconds, with numpy and minimr already imported, and it must be a fresh
process for each job's code. `fork` does that, but forking a process with threads copies locks that
nobody will ever release, and the worker has threads. So the worker forks one child before its
first thread: the nursery, which never has any. It imports what slots need, then forks one slot per
request, reaps the dead, and says how they died.

The nursery is also the last to leave: when its worker is gone, even by SIGKILL, it kills the slots
with all processes they started, and removes the worker's directory.
"""

import gc
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# What the worker asks: spawn with two descriptors, or kill; and what it hears.
REQUEST = struct.Struct("!cI")
SPAWN, KILL = b"s", b"k"
REPORT = struct.Struct("!Ii")
PRELOAD = ("minimr.cluster.slot", "minimr.tasks.map_task", "minimr.tasks.reduce_task")
# Jobs over text never need it, and the first slots have it no sooner for waiting until it is here.
PRELOAD_LATER = ("numpy",)
# One thread of linear algebra per slot: the slots are the parallelism, and a sum that always runs
# in one order gives the same bytes everywhere.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

SlotMain = Callable[[socket.socket], None]


class Nursery:
    """The worker's end. `spawn` and `kill` ask; `read_report` waits for the next death, and `sock`
    is readable when there is one."""

    def __init__(self, slot_main: SlotMain, directory: Path) -> None:
        """Fork. Must run while the process has one thread."""
        self.sock, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.sock.close()
                _Keeper(theirs, slot_main, directory).run()
                status = 0
            finally:
                os._exit(status)
        theirs.close()

    def spawn(self, serial: int, sock: socket.socket, output: int) -> None:
        """A new slot that talks through `sock` and prints into the descriptor `output`."""
        request = REQUEST.pack(SPAWN, serial)
        socket.send_fds(self.sock, [request], [sock.fileno(), output])

    def kill(self, serial: int) -> None:
        """End a slot and all that it started. Its death is reported like any other."""
        self.sock.sendall(REQUEST.pack(KILL, serial))

    def read_report(self) -> tuple[int, str] | None:
        """(serial, how it died), or None when the nursery itself is gone."""
        data = self.sock.recv(REPORT.size, socket.MSG_WAITALL)
        if len(data) < REPORT.size:
            return None
        serial, status = REPORT.unpack(data)
        return serial, describe_exit(status)

    def close(self) -> None:
        """The nursery ends every slot, cleans up and leaves; wait for it."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It is gone already.
        os.waitpid(self.pid, 0)
        self.sock.close()


def describe_exit(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.strsignal(number) or "unknown signal"
        return f"killed by signal {number} ({name})"
    return f"left with exit status {os.waitstatus_to_exitcode(status)}"


class _Keeper:
    """The nursery's own half: a loop over requests and deaths, with no thread anywhere."""

    def __init__(self, sock: socket.socket, slot_main: SlotMain, directory: Path) -> None:
        self._sock, self._slot_main, self._directory = sock, slot_main, directory
        self._serials: dict[int, int] = {}
        self._bereaved = False

    def run(self) -> None:
        for name in ONE_THREAD:
            os.environ[name] = "1"
        wakeup, self._wakeup_sender = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(self._wakeup_sender, False)
        signal.signal(signal.SIGCHLD, _wake_up_only)
        signal.set_wakeup_fd(self._wakeup_sender)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # The worker says when to leave.
        _preload(PRELOAD)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if wakeup in ready:
                    os.read(wakeup, 4096)
                    self._reap()
                if self._sock in ready and not self._take_request():
                    break
        self._clean_up()

    def _take_request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._sock, REQUEST.size, 2)
        if len(data) < REQUEST.size:
            return False
        order, serial = REQUEST.unpack(data)
        if order == SPAWN:
            self._fork(serial, *descriptors)
        else:
            for pid in [pid for pid, each in self._serials.items() if each == serial]:
                _kill_group(pid)
        return True

    def _fork(self, serial: int, slot_descriptor: int, output: int) -> None:
        if self._bereaved:
            _preload(PRELOAD_LATER)
        pid = os.fork()
        if pid == 0:
            try:
                self._become_slot(slot_descriptor, output)
            finally:
                os._exit(70)
        os.setpgid(pid, pid)
        self._serials[pid] = serial
        os.close(slot_descriptor)
        os.close(output)

    def _become_slot(self, slot_descriptor: int, output: int) -> None:
        """In the child: a process group of its own, prints into `output`, nothing inherited."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._sock.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        self._slot_main(socket.socket(fileno=slot_descriptor))
        sys.stdout.flush()
        os._exit(0)

    def _reap(self) -> None:
        while self._serials:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (serial := self._serials.pop(pid, None)) is not None:
                self._bereaved = True
                _kill_group(pid)  # What the slot started must not outlive it.
                try:
                    self._sock.sendall(REPORT.pack(serial, status))
                except OSError:
                    return  # The worker is gone; the next request read says so.

    def _clean_up(self) -> None:
        for pid in self._serials:
            _kill_group(pid)
        for pid in self._serials:
            os.waitpid(pid, 0)
        shutil.rmtree(self._directory, ignore_errors=True)


def _preload(names: Sequence[str]) -> None:
    for name in names:
        __import__(name)
    gc.freeze()  # Keeps the pages that slots share with the nursery unwritten.


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # All of the group are gone.


def _wake_up_only(_number: int, _frame: object) -> None:
    """A handler must exist for the wakeup descriptor to be written."""
