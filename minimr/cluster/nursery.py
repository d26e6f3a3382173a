"""The nursery: a worker's fork server, which gives birth to its slots.

A slot must start in milliseconds, with minimr already imported, and it must be a fresh process for
each job's code. So the worker forks one child before its first thread: the nursery.

The nursery is also the last to leave: when its worker is gone, even by SIGKILL, it kills the slots
with all processes they started, and removes the worker's directory. When it is killed itself, its
worker kills them; and when both are killed at once, the kernel kills the slots.
"""

import ctypes
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from minimr.cluster.fork_server import Forks, ForkServer
from minimr.cluster.process_name import name_process

PRELOAD = ("minimr.cluster.slot", "minimr.tasks.map_task", "minimr.tasks.reduce_task")
# Jobs over text never need it, and the first slots have it no sooner for waiting until it is here.
PRELOAD_LATER = ("numpy",)
PR_SET_PDEATHSIG = 1
"""Of prctl(2): which signal a process gets when its parent dies."""

SlotMain = Callable[[socket.socket], None]


class Nursery:
    """The worker's end; slots are asked for with `forks`."""

    def __init__(self, slot_main: SlotMain, directory: Path) -> None:
        """Fork. Must run while the process has one thread."""
        ours, theirs = socket.socketpair()
        self.forks = Forks(ours)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                _keep(theirs, slot_main, directory)
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()

    def spawn(self, serial: int, sock: socket.socket, output: int) -> None:
        """A new slot that talks through `sock` and prints into the descriptor `output`."""
        self.forks.spawn(serial, [sock.fileno(), output])

    def close(self) -> None:
        """The nursery ends every slot, cleans up and leaves; wait for it."""
        self.forks.dismiss()
        os.waitpid(self.pid, 0)
        self.forks.sock.close()


def _keep(sock: socket.socket, slot_main: SlotMain, directory: Path) -> None:
    """The nursery's own half. Its process group is not the worker's, whose end it must survive."""
    os.setpgid(0, 0)
    name_process("nursery")
    nursery = os.getpid()
    server = ForkServer(
        sock, lambda given: _become_slot(slot_main, nursery, *given), late=PRELOAD_LATER
    )
    try:
        server.run(PRELOAD)
    finally:
        server.kill_all()
        shutil.rmtree(directory, ignore_errors=True)


def _become_slot(slot_main: SlotMain, nursery: int, slot_descriptor: int, output: int) -> None:
    """In the child: prints go into `output`, and nothing is left of our standard input."""
    name_process("slot")
    _die_with(nursery)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    slot_main(socket.socket(fileno=slot_descriptor))
    sys.stdout.flush()
    os._exit(0)


def _die_with(parent: int) -> None:
    """End when the parent ends. User code may run for ever, and does not notice that all who would
    end it are gone. Where the kernel is not Linux, it has no such thing."""
    if hasattr(libc := ctypes.CDLL(None), "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # It was gone before the kernel knew.
