"""A worker's slots as processes: born in the nursery, spoken to over sockets, and mourned.

What they are to do is decided elsewhere (`scheduler/worker_machine.py`). All of it happens in the
loop's thread.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.channel import Channel
from minimr.cluster.fork_server import kill_group
from minimr.cluster.loop import Loop
from minimr.cluster.nursery import Nursery
from minimr.cluster.places import scratch_path
from minimr.cluster.started import read_started
from minimr.cluster.whereabouts import read_position, read_sentence, read_ticks
from minimr.scheduler.worker_machine import SlotDied

READ_BYTES_MAX = 16_384
PRINTED_MAX = 4096
"""Characters that are told."""
OUR_FRAME = f'  File "{Path(__file__).resolve().parent.parent}{os.sep}'
"""How a frame of ours begins in what Python writes when it crashes."""


@dataclass(slots=True)
class SlotProcess:
    """One that lives. `worker` is our name as it knows it; `cargo` and `told` say what of each job
    it has been sent."""

    serial: int
    connection: Channel
    output: int
    pid: int = 0
    worker: str = ""
    cargo: set[str] = field(default_factory=set)
    told: dict[str, int] = field(default_factory=dict)
    outbox: list[m.Message] = field(default_factory=list)


class SlotProcesses:
    """By the number of their slot; `hear(number, message)` is called for what they say."""

    def __init__(
        self,
        nursery: Nursery,
        loop: Loop[Any],
        directory: Path,
        hear: Callable[[int, m.Message], None],
    ) -> None:
        self._nursery, self._loop, self._directory, self._hear = nursery, loop, directory, hear
        self.living: dict[int, SlotProcess] = {}
        # How many have died in a row that had not begun.
        self.stillborn = 0
        self._numbers: dict[int, int] = {}
        self._serial = 0

    def spawn(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        output = _open_output(self._directory)
        self._serial += 1
        with suppress(OSError):  # If the nursery is gone, its end is what is read next.
            self._nursery.spawn(self._serial, theirs, output)
        theirs.close()
        serial = self._serial
        connection = Channel(
            ours,
            self._loop,
            lambda messages: self._hear_all(serial, messages),
            lambda _: self._gone(serial),
        )
        self.living[number] = SlotProcess(serial, connection, output)
        self._numbers[serial] = number

    def kill(self, number: int) -> None:
        self._kill(self.living[number].serial)

    def place(self, number: int) -> str:
        """Where a careful attempt is, as " in map task 3 at ..."; "" if that is not known."""
        sentence = read_sentence(scratch_path(self._directory, self.living[number].pid))
        return f" {sentence}" if sentence else ""

    def kill_orphans(self) -> None:
        """The nursery is dead, and who runs user code would not notice that nobody listens."""
        for process in self.living.values():
            if process.pid:
                kill_group(process.pid)

    def exited(self, serial: int, text: str) -> SlotDied:
        """The nursery says that a process is no more; return what is known of its end."""
        number = self._numbers[serial]
        process = self.living[number]
        while not process.connection.receive():
            pass  # Its last answers count: it died after them.
        del self._numbers[serial], self.living[number]
        self.stillborn = 0 if process.pid else self.stillborn + 1
        printed = _to_our_frames(_read_output(process.output))[-PRINTED_MAX:]
        process.connection.close()
        os.close(process.output)
        scratch = scratch_path(self._directory, process.pid)
        started, position = read_started(scratch), read_position(scratch)
        sentence = read_sentence(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        told = f"the slot process was {text}" if text.startswith("killed") else f"the slot {text}"
        if sentence:
            told += f" {sentence}"
        if printed:
            told += f"; its last words:\n{printed}"
        return SlotDied(number, told, started, position)

    def flush(self) -> None:
        """Send what waits in the outboxes, to each in one frame."""
        for process in self.living.values():
            if process.outbox:
                process.connection.send(process.outbox)
                process.outbox = []

    def ticks(self) -> dict[int, int]:
        """Numbers that change as long as the slots' tasks go on, for those that have said hello."""
        return {
            number: read_ticks(scratch_path(self._directory, process.pid))
            for number, process in self.living.items()
            if process.pid
        }

    def forget(self, job: str) -> None:
        for process in self.living.values():
            if job in process.cargo:
                process.cargo.discard(job)
                process.told.pop(job, None)
                process.outbox.append(m.Forget(job))

    def _hear_all(self, serial: int, messages: list[m.Message]) -> None:
        if (number := self._numbers.get(serial)) is not None:
            for message in messages:
                self._hear(number, message)

    def _gone(self, serial: int) -> None:
        """User code may have closed or misused the descriptor; the slot is of no use without."""
        self._kill(serial)

    def _kill(self, serial: int) -> None:
        with suppress(OSError):  # The whole worker is leaving.
            self._nursery.forks.kill(serial)


def _open_output(directory: Path) -> int:
    """A file without a name for what a slot prints; appending, so that cutting it is safe."""
    descriptor, name = tempfile.mkstemp(dir=directory)
    os.close(descriptor)
    descriptor = os.open(name, os.O_RDWR | os.O_APPEND)
    Path(name).unlink()
    return descriptor


def _read_output(descriptor: int) -> str:
    """The end of what a dead slot printed and nobody has reported yet."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - READ_BYTES_MAX)
    return os.pread(descriptor, size - start, start).decode(errors="replace").strip()


def _to_our_frames(printed: str) -> str:
    """Without those below the user's, some forty from the crash to the main program. If they are
    all that there is, they stay."""
    theirs = printed.partition(OUR_FRAME)[0].rstrip()
    return theirs if theirs and not theirs.endswith("(most recent call first):") else printed
