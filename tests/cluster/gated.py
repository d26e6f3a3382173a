"""Jobs that stop where a test wants to look, or that do what no job should do."""

import fcntl
import os
import signal
import sys
from pathlib import Path

import minimr as mr


class Gate:
    """A lock on a file: while the test holds it, a job that passes waits. No sleep, no clock."""

    def __init__(self, path):
        self.path = str(path)
        self._file = Path(path).open("w")  # noqa: SIM115
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open()

    def waiting(self):
        """How many processes have come to the gate so far."""
        return len(list(Path(self.path).parent.glob(f"{Path(self.path).name}.*")))


def wait_at(path):
    Path(f"{path}.{os.getpid()}").touch()
    with Path(path).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)


class GatedCount(mr.Job):
    """Counts words; one map task, or the first reduce call of each task or of one, waits at the
    gate."""

    gate: str = ""
    at: str = "map"

    def map(self, offset, line):
        if self.gate and self.at == "map" and self.partition_index == 1:
            wait_at(self.gate)
        for word in line.split():
            yield word, 1.1

    def reduce(self, word, counts):
        if self.gate and self.at in ("reduce", f"reduce-{self.partition_index}"):
            wait_at(self.gate)
        total = 0.0
        for count in counts:
            total += count
        yield word, total


class Misbehaves(mr.Job):
    """Does `deed` at the first record."""

    deed: str

    def map(self, offset, line):
        print("about to", self.deed)
        DEEDS[self.deed]()
        yield line, 1


class Prints(mr.Job):
    def map(self, offset, line):
        print("map sees", line)
        os.system("echo from a child process")
        print("to stderr", file=sys.stderr)
        yield line, 1

    def reduce(self, key, values):
        print("reduce sees", key)
        yield key, sum(values)


def _raise():
    raise ValueError("a bad day")


def _crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def _close_and_stay():
    os.closerange(3, 1000)
    signal.pause()


DEEDS = {
    "raise": _raise,
    "exit": lambda: sys.exit(3),
    "really exit": lambda: os._exit(3),
    "crash": _crash,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "close everything": lambda: os.closerange(3, 1000),
    "close everything and stay": _close_and_stay,
}
