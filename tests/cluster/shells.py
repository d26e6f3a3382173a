"""A coordinator with a journal and its workers, each started as a user starts them in a shell."""

import contextlib
import os
import select
import signal
import subprocess
import sys

from minimr.cluster.launcher import environment

PATIENCE_S = 60


class Shells:
    def __init__(self, folder):
        self.folder, self.address = folder, folder / "cluster.json"
        self.processes = []

    def start(self, *words):
        command = [sys.executable, "-m", "cli.main", *words, "--address", str(self.address)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment(), "TMPDIR": str(self.folder)},
        )
        self.processes.append(process)
        return process

    def coordinator(self):
        process = self.start("coordinator", "--journal", str(self.folder / "journal"))
        assert "minimr worker" in read_line(process.stdout), process.stderr.read()
        return process

    def worker(self, *options):
        process = self.start("worker", *options)
        while "this is worker" not in (line := read_line(process.stderr)):
            assert line, "the worker ended"
        return process

    def kill(self, process):
        """As `kill -9` does, and gone when this returns."""
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        self.processes.remove(process)

    def end(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self.processes = []


def read_line(stream):
    ready, _, _ = select.select([stream], [], [], PATIENCE_S)
    assert ready, "nothing was said"
    return stream.readline()


@contextlib.contextmanager
def shells_in(folder):
    each = Shells(folder)
    try:
        yield each
    finally:
        each.end()


def parts(path):
    return {each.name: each.read_bytes() for each in sorted(path.glob("part-*"))}
