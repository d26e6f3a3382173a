"""A client's conversation with the coordinator: requests and replies, and watched jobs.

A client may wait for hours without a word, and a connection can be dead without one. So whenever
the coordinator has been silent for a second the client asks for a sign of life, and after ten such
seconds it takes the coordinator for gone.
"""

import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from minimr.cluster import messages as m
from minimr.cluster.address import Address
from minimr.cluster.connect import connect
from minimr.cluster.connection import Connection, decode_messages
from minimr.cluster.wire import FrameDecoder, Limits
from minimr.errors import JobCancelled, JobFailed, NoCoordinator, ProtocolError, UsageError

OnEvents = Callable[..., object]
"""Called with lines of the event log, as many as came together."""
Lines = deque[dict[str, Any]]
Answer = m.Reply | m.Events | m.Ended
SILENCE = struct.pack("ll", 1, 0)  # One second, as the kernel's timeout for receiving.
SILENCES_MAX = 10
LOOK_UP_S = 1.0
NEXT = "start it again, as with 'minimr up', and repeat this"
CLOSED = "this cluster was closed here; use it and its datasets before, as inside of the with block"
FORKED = "a process that was forked cannot use the cluster of its parent; use threads instead"


class Client:
    """Thread-safe. A reader thread sorts what arrives into the queues of those who wait for it."""

    def __init__(self, address: Address) -> None:
        sock = connect(address, "client")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, SILENCE)
        self._connection = Connection(sock)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, _Answers] = {}
        self._watching: dict[str, _Answers] = {}
        self._lost: str | None = None
        self._process = os.getpid()
        threading.Thread(target=self._read, name="client", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._lost = self._lost or CLOSED
        self._connection.shut()

    def next_request(self) -> int:
        return next(self._numbers)

    def ask(self, request: m.CancelJob | m.GetStatus | m.AwaitWorkers | m.Shutdown) -> Any:
        """The reply's value. Raises UsageError if the coordinator says no."""
        answers = self._send(request)
        try:
            return _value(self._next(answers))
        finally:
            self._waiting.pop(request.request, None)

    def log(self, job: str) -> list[dict[str, Any]]:
        """The event log of a job, as far as it goes. UsageError if there is no such job.

        The lines come addressed to the job, so the job cannot be watched on the same client.
        """
        answers = _Answers()
        with self._lock:
            self._watching[job] = answers
        self._send(m.GetLog(self.next_request(), job), answers)
        lines: list[dict[str, Any]] = []
        while isinstance(answer := self._next(answers), m.Events):
            lines += answer.lines
        _value(answer)
        return lines

    def submit(self, request: m.Submit, arrived: "Lines | None" = None) -> "Watched":
        """Start a job. With `request.watch`, `Watched.wait` gives its end. Its events go into
        `arrived`, too, in the order in which they come, and those of other jobs with it."""
        return Watched(self, self._send(request, _Answers(arrived, request.watch)))

    def watch(self, job: str) -> "Watched":
        """Follow a job that somebody submitted earlier."""
        return Watched(self, self._send(m.Watch(self.next_request(), job)))

    def drop_dataset(self, job: str) -> None:
        self._connection.send([m.DropDataset(job)])

    def _send(self, request: Any, answers: "_Answers | None" = None) -> "_Answers":
        if os.getpid() != self._process:  # There nobody reads the answer.
            raise UsageError(FORKED)
        answers = answers or _Answers()
        with self._lock:
            if self._lost is not None:
                raise NoCoordinator(self._lost)
            self._waiting[request.request] = answers
        self._connection.send([request])
        return answers

    def _next(self, answers: "_Answers") -> Answer:
        answer = answers.next()
        if answer is None:
            raise NoCoordinator(self._lost or f"the coordinator is gone; {NEXT}")
        return answer

    def _read(self) -> None:
        decoder = FrameDecoder(Limits())
        try:
            while True:
                for frame in decoder.received(self._receive(decoder.space())):
                    self._sort(decode_messages(frame))
        except (EOFError, OSError, ProtocolError) as error:
            with self._lock:
                told = getattr(error, "strerror", None) or error
                self._lost = self._lost or f"the coordinator is gone ({told}); {NEXT}"
                all_answers = [*self._waiting.values(), *self._watching.values()]
            for answers in all_answers:
                answers.end()
        finally:
            self._connection.close()

    def _receive(self, space: memoryview) -> int:
        """How many bytes came. Raises OSError after too much silence, EOFError at the end."""
        for _ in range(SILENCES_MAX):
            try:
                size = self._connection.sock.recv_into(space)
            except BlockingIOError:
                self._connection.send([m.Beat()])
                continue
            if not size:
                raise EOFError("it closed the connection")
            return size
        raise TimeoutError(f"it said nothing for {SILENCES_MAX} s")

    def _sort(self, messages: list[m.Message]) -> None:
        """Whoever waits for some of these messages is woken once for all of them."""
        found: dict[_Answers, list[Answer]] = {}
        with self._lock:
            for message in messages:
                if not isinstance(message, m.Reply | m.Events | m.Ended):
                    continue
                if (answers := self._whose(message)) is not None:
                    answers.note(message)
                    found.setdefault(answers, []).append(message)
        for answers, together in found.items():
            answers.put(together)

    def _whose(self, message: Answer) -> "_Answers | None":
        """A reply finds its request; what belongs to a job follows the reply that named it."""
        match message:
            case m.Reply(request, value, _):
                answers = self._waiting.pop(request, None)
                if answers is not None and answers.follows and isinstance(value, str):
                    self._watching[value] = answers
                return answers
            case m.Events(job, _):
                return self._watching.get(job)
            case m.Ended(job):
                return self._watching.pop(job, None)


class _Answers:
    """What comes for one who waits. The lines of events go into `arrived`, too, where those for
    others who wait may be.

    Ctrl-C may strike between the taking of an answer and its reading. So the reply stays, which
    names the job that is to be cancelled then.
    """

    def __init__(self, arrived: Lines | None = None, follows: bool = True) -> None:
        """`follows` says whether more will come than the reply."""
        self.follows = follows
        self.reply: m.Reply | None = None
        self._arrived = arrived
        self._came: deque[Answer | None] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()

    def note(self, answer: Answer) -> None:
        """Before it is put: keep the order of lines that go to several who wait."""
        if isinstance(answer, m.Reply):
            self.reply = answer
        elif self._arrived is not None and isinstance(answer, m.Events):
            self._arrived.extend(answer.lines)

    def put(self, together: Sequence[Answer | None]) -> None:
        self._came.extend(together)
        self._wake.put(None)

    def end(self) -> None:
        """Nothing more will come."""
        self.put([None])

    def next(self) -> Answer | None:
        """Wait for the next; None if there is none.

        It looks up now and then: a signal that another thread takes does not end the wait for a
        lock, and Ctrl-C would be lost.
        """
        while not self._came:
            with suppress(Empty):
                self._wake.get(timeout=LOOK_UP_S)
        return self._came.popleft()


class Watched:
    """A job under way, seen from the client."""

    def __init__(self, client: Client, answers: _Answers) -> None:
        self._client, self._answers = client, answers

    @property
    def job(self) -> str:
        """Its name. Waits for the coordinator to give it; UsageError if it refuses the job."""
        while self._answers.reply is None:
            self._client._next(self._answers)
        return str(_value(self._answers.reply))

    def wait(self, on_events: OnEvents | None = None) -> m.Ended:
        """Block until the job ends well. Raises JobFailed or JobCancelled otherwise."""
        job = self.job
        while not isinstance(answer := self._client._next(self._answers), m.Ended):
            if isinstance(answer, m.Events) and on_events is not None:
                on_events(*answer.lines)
        if answer.cancelled:
            raise JobCancelled(f"{job} was cancelled")
        if not answer.ok:
            raise JobFailed(answer.error)
        return answer


def _value(answer: Answer) -> Any:
    assert isinstance(answer, m.Reply)
    if answer.error is not None:
        raise UsageError(answer.error)
    return answer.value
