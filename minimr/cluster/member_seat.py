"""Where one other member sits, as a member sees it: its connection, and what has come from it.

A thread of the seat reads whatever comes. An array that somebody expects goes to its place piece by
piece (see Members.expect); everything else waits in the inbox until somebody takes it.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minimr.cluster.member_conversation import Announced, Conversation
from minimr.errors import CorruptData, ProtocolError
from minimr.gang.members import Arrived, MemberLost, Target, fitting
from minimr.shuffle import codec

UNREAD_BYTES_MAX = 1 << 28
"""So much may wait for `receive` from one member before its connection is read no further, as long
as nobody waits for something else from it."""


class Arrival:
    """A target that somebody waits for, and what became of it.

    The reader's thread writes to the target, or it gives a value that was there before it was
    expected, or that is something else. Then whoever waits takes it.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.is_there = False
        self._is_written = False
        self._checksum: int | None = None
        self._head, _ = codec.pack(target.array)
        self._value: Any = None

    def fits(self, announced: Announced) -> bool:
        """An array has the same head as another of its shape and dtype, and as nothing else."""
        return (announced.head, announced.sizes) == (self._head, [self.target.array.nbytes])

    def give(self, value: Any) -> None:
        self._value, self.is_there = value, True

    def written(self, checksum: int | None) -> None:
        """The target is as it should be. Its checksum, if one was taken, is this."""
        self._is_written, self._checksum, self.is_there = True, checksum, True

    def arrived(self, source: int) -> Arrived:
        """Raises UsageError if something else came."""
        if not self._is_written:
            self.target.take(fitting(self._value, self.target.array, source))
            self._value = None
        return Arrived(self.target.array, self._checksum)


class Seat:
    """One other member, in one epoch: its conversation, and what it sent that nobody took yet."""

    def __init__(self, rank: int, epoch: int, conversation: Conversation | None = None) -> None:
        self.rank, self.epoch = rank, epoch
        self.changed = threading.Condition()
        self.conversation = conversation
        self.lost = "" if conversation else "it was never here"
        self._inbox: defaultdict[str, deque[tuple[Any, int]]] = defaultdict(deque)
        self._expected: defaultdict[str, deque[Arrival]] = defaultdict(deque)
        self._filling: Arrival | None = None
        self._awaited: list[Callable[[], bool]] = []
        self._unread_bytes = 0
        self._is_deaf = False
        self._thread = threading.Thread(target=self._read, name=f"member {rank}", daemon=True)
        if conversation:
            self._thread.start()

    def take(self, tag: str) -> Any:
        """Wait for the next value under this tag. Raises MemberLost."""
        with self.changed:
            inbox = self._inbox[tag]
            self._await(lambda: len(inbox) > 0)
            value, size_bytes = inbox.popleft()
            self._unread_bytes -= size_bytes
            self.changed.notify_all()
        return value

    @contextmanager
    def expect(self, tag: str, targets: Sequence[Target]) -> Iterator[Iterator[Arrived]]:
        """See Members. What has come already is taken from the inbox, as `take` does."""
        arrivals = [Arrival(target) for target in targets]
        with self.changed:
            early = min(len(arrivals), len(self._inbox[tag]))
            self._expected[tag].extend(arrivals[early:])
            self.changed.notify_all()  # The reader may have one in hand, and wait for space.
        try:
            for arrival in arrivals[:early]:
                arrival.give(self.take(tag))
            yield map(self._meet, arrivals)
        finally:
            self._forget(tag, arrivals)

    def _meet(self, arrival: Arrival) -> Arrived:
        """Wait until it is there. One that is being written is waited for even if all is lost."""
        with self.changed:
            self._await(lambda: arrival.is_there, lambda: arrival is self._filling)
        return arrival.arrived(self.rank)

    def _await(
        self, is_there: Callable[[], bool], is_coming: Callable[[], bool] = lambda: False
    ) -> None:
        """Under the lock. Raises MemberLost if nothing is there nor coming, and all is lost."""
        self._awaited.append(is_there)
        self.changed.notify_all()  # The reader may have other things in hand, and wait for space.
        try:
            self.changed.wait_for(lambda: is_there() or (self.lost and not is_coming()))
        finally:
            self._awaited.remove(is_there)
        if not is_there():
            raise MemberLost(self.rank, self.lost)

    def _forget(self, tag: str, arrivals: list[Arrival]) -> None:
        """Nothing is written to their targets after this."""
        with self.changed:
            ours = set(map(id, arrivals))
            left = [each for each in self._expected[tag] if id(each) not in ours]
            self._expected[tag] = deque(left)
            while id(self._filling) in ours:
                self.changed.wait()

    def send(
        self,
        tag: str,
        head: bytes,
        buffers: Sequence[memoryview],
        sums: Sequence[int] | None = None,
    ) -> None:
        """Raises MemberLost."""
        if self.conversation is None or self.lost:
            raise MemberLost(self.rank, self.lost)
        try:
            self.conversation.send(tag, head, buffers, sums)
        except OSError as error:
            self.lose(str(error))
            raise MemberLost(self.rank, self.lost) from None

    def ping(self) -> None:
        if self.conversation is not None and not self.lost:
            try:
                self.conversation.ping()
            except OSError as error:
                self.lose(str(error))

    def lose(self, why: str) -> None:
        """Nothing can be sent any more, and nothing comes. The first reason stands."""
        with self.changed:
            self.lost = self.lost or why
            self.changed.notify_all()
        if self.conversation is not None:
            self.conversation.shut()

    def leave(self) -> None:
        """Send nothing more; what the other still sends is read and dropped until it ends."""
        with self.changed:
            self._is_deaf = True
            self.changed.notify_all()
        if self.conversation is not None:
            self.conversation.finish()

    def has_ended(self, deadline: float) -> bool:
        """After `leave`: wait until the other has heard all of it, or is lost, at most so long."""
        if self.conversation is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give the connection back, whatever has become of it."""
        if self.conversation is not None:
            self.lose("the gang is over")
            self._thread.join()
            self.conversation.close()

    def _read(self) -> None:
        """The thread of this conversation, to its end."""
        assert self.conversation is not None
        try:
            while True:
                self._read_message(self.conversation)
        except EOFError as error:
            why = str(error)
            self.conversation.finish()  # It left, and knows by this that all of it was read.
        except (OSError, ProtocolError, CorruptData, MemoryError) as error:
            why = str(error) or type(error).__name__
        self.lose(why)

    def _read_message(self, conversation: Conversation) -> None:
        announced = conversation.receive()
        with self.changed:
            expected = self._expected[announced.tag]
            if expected and expected[0].fits(announced):
                self._filling = expected.popleft()
        if self._filling is None:
            buffers = conversation.read_arrays(announced)
            self._put(announced, codec.unpack(announced.head, buffers))
            return
        try:
            self._filling.written(conversation.read_into(announced, self._filling.target))
        finally:
            with self.changed:
                self._filling = None
                self.changed.notify_all()

    def _put(self, announced: Announced, value: Any) -> None:
        tag, size_bytes = announced.tag, len(announced.head) + sum(announced.sizes)
        with self.changed:
            while not (self._expected[tag] or self._has_space() or self.lost or self._is_deaf):
                self.changed.wait()
            if self._expected[tag]:
                self._expected[tag].popleft().give(value)
            elif not self._is_deaf:
                self._inbox[tag].append((value, size_bytes))
                self._unread_bytes += size_bytes
            self.changed.notify_all()

    def _has_space(self) -> bool:
        """What somebody waits for may stand behind all that nobody takes, so it is read on then."""
        is_hungry = any(not is_there() for is_there in self._awaited)
        return is_hungry or self._unread_bytes <= UNREAD_BYTES_MAX
