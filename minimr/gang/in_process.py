"""A gang of threads in one process: for tests and for lessons.

    gang = InProcessGang(4)
    results = gang.run(program)            # program(members) runs in four threads

Values are encoded and decoded on their way as between processes, so that a program which works here
works there: nobody holds an array that somebody else changes.

A test can let members die: `dies(rank, epoch, number)` is asked before the member sends its message
`number` (counted from 1 in each epoch), and True ends it there. The rest of its thread meets
MemberLost with its own rank.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from minimr.gang.members import Arrived, MemberLost, Members, Target, Traffic, fitting, no_other
from minimr.shuffle import codec

Result = TypeVar("Result")
Restart = Literal["all", "one"]
Dies = Callable[[int, int, int], bool]
Message = tuple[bytes, list[codec.Buffer]]
"""What codec.pack makes of a value: a head, and the bytes of its arrays."""

RESTARTS_MAX = 4
"""How often members may be lost before the gang is given up."""


class InProcessMember:
    """One member in one epoch; see Members. Everything shared belongs to the gang's lock."""

    def __init__(self, gang: "InProcessGang", rank: int, epoch: int) -> None:
        self._gang = gang
        self.rank, self.size, self.epoch = rank, gang.size, epoch
        self.saved = gang.load(rank)
        self.sent = Traffic()
        self.is_over = False
        # Messages by sender, its epoch and tag; only those of the epoch that we met are received.
        self._inbox: defaultdict[tuple[int, int, str], deque[Message]] = defaultdict(deque)
        self._met = [gang.epochs[each] for each in range(self.size)]
        self._lost: dict[int, str] = {}

    def send(self, to: int, tag: str, value: Any) -> None:
        self._check_other(to)
        head, buffers = codec.pack(value)
        copies: list[codec.Buffer] = [bytearray(buffer) for buffer in buffers]
        array_bytes = sum(buffer.nbytes for buffer in buffers)
        with self._gang.changed:
            self._check_alive()
            if self._gang.dies(self.rank, self.epoch, self.sent.messages + 1):
                self._gang.lose(self, "it was told to die")
                self._check_alive()
            self._check(to)
            self.sent.add(array_bytes, len(head) + len(tag))
            self._gang.members[to]._inbox[self.rank, self.epoch, tag].append((head, copies))
            self._gang.changed.notify_all()

    def receive(self, source: int, tag: str) -> Any:
        self._check_other(source)
        with self._gang.changed:
            inbox = self._inbox[source, self._met[source], tag]
            while not inbox:
                self._check_alive()
                self._check(source)
                self._gang.changed.wait()
            self._check_alive()
            message = inbox.popleft()
        return codec.unpack(*message)

    @contextmanager
    def expect(
        self, source: int, tag: str, targets: Sequence[Target]
    ) -> Iterator[Iterator[Arrived]]:
        yield (self._meet(source, tag, target) for target in targets)

    def _meet(self, source: int, tag: str, target: Target) -> Arrived:
        target.take(fitting(self.receive(source, tag), target.array, source))
        return Arrived(target.array)

    def pass_on(self, to: int, tag: str, arrived: Arrived) -> None:
        self.send(to, tag, arrived.array)

    def await_member(self, rank: int) -> None:
        self._check_other(rank)
        with self._gang.changed:
            while self._gang.members[rank].is_over:
                self._check_alive()
                if not self._gang.comes_back(rank):
                    self._check(rank)
                self._gang.changed.wait()
            self._check_alive()
            self._lost.pop(rank, None)
            self._met[rank] = self._gang.epochs[rank]

    def note(self, **fields: Any) -> None:
        with self._gang.changed:
            if not self.is_over:  # The dead tell nothing, though their threads go on for a moment.
                event = {"event": "member_note", "rank": self.rank, "epoch": self.epoch}
                self._gang.notes.append(event | fields)

    def save(self, value: Any) -> None:
        with self._gang.changed:
            self._check_alive()
            self._gang.kept[self.rank] = codec.dumps(value)

    def forget(self, rank: int, why: str) -> None:
        """Under the lock: nothing more comes from `rank`."""
        self._lost[rank] = why

    def _check_other(self, rank: int) -> None:
        if rank == self.rank or rank not in range(self.size):
            raise no_other(rank, self)

    def _check(self, rank: int) -> None:
        if rank in self._lost:
            raise MemberLost(rank, self._lost[rank])

    def _check_alive(self) -> None:
        if self.is_over:
            raise MemberLost(self.rank, "it was stopped")


class InProcessGang:
    """`notes` are the lines of the event log, without a time; `members` are those of now."""

    def __init__(
        self,
        size: int,
        restart: Restart | None = None,
        dies: Dies = lambda _rank, _epoch, _number: False,
    ) -> None:
        """`restart` says who starts again when a member dies; None lets the error end it all."""
        self.size, self.dies = size, dies
        self.changed = threading.Condition(threading.RLock())
        self.kept: dict[int, bytes] = {}
        self.notes: list[dict[str, Any]] = []
        self.members: list[InProcessMember] = []
        self._restart = restart
        self.epochs = [0] * size
        self._restarts = 0
        self._died: deque[int] = deque()
        self._results: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}
        self._threads: list[threading.Thread] = []

    def run(self, program: Callable[[Members], Result]) -> list[Result]:
        """Run the program in every member. Returns the results by rank.

        Raises the first error of a member's program.
        """
        self._start_all(program)
        while not self._is_done():
            if self._restart == "one":
                self._start_one(program)
            else:
                self._start_all(program)
        self._end()
        return [self._results[rank] for rank in range(self.size)]

    def _is_done(self) -> bool:
        """Wait until every program is over; False as soon as somebody must start again."""
        with self.changed:
            self.changed.wait_for(lambda: self._died or self._errors or self._all_over())
            return not self._died

    def _all_over(self) -> bool:
        return all(member.is_over for member in self.members)

    def _start_all(self, program: Callable[[Members], Result]) -> None:
        self._stop_all()
        with self.changed:
            self._died.clear()
            self.epochs = [epoch + 1 for epoch in self.epochs]
            self.members = [InProcessMember(self, r, self.epochs[r]) for r in range(self.size)]
            for rank in range(self.size):
                self._start(rank, program)

    def _start_one(self, program: Callable[[Members], Result]) -> None:
        with self.changed:
            rank = self._died.popleft()
            self.epochs[rank] += 1
            member = InProcessMember(self, rank, self.epochs[rank])
            for other in self.members:
                if other.is_over and other.rank != rank:
                    member.forget(other.rank, "it has left")
            self.members[rank] = member
            self._start(rank, program)
            self.changed.notify_all()

    def _start(self, rank: int, program: Callable[[Members], Result]) -> None:
        arguments = (self.members[rank], program)
        thread = threading.Thread(target=self._live, args=arguments, name=f"member {rank}")
        self._threads.append(thread)
        thread.start()

    def _live(self, member: InProcessMember, program: Callable[[Members], Result]) -> None:
        try:
            result = program(member)
        except BaseException as error:
            with self.changed:
                self._fail(member, error)
            return
        with self.changed:
            if not member.is_over:
                self._results[member.rank] = result
                self.leave(member, "it has left")

    def _fail(self, member: InProcessMember, error: BaseException) -> None:
        """Under the lock: its program raised this. Whoever was stopped has nothing to say."""
        if member.is_over:
            return
        follows = isinstance(error, MemberLost) and self._restart == "all" and self._died
        if not follows:
            self._errors[member.rank] = error
        self.leave(member, f"it failed with {type(error).__name__}")

    def lose(self, member: InProcessMember, why: str) -> None:
        """Under the lock: the member dies here and now."""
        if self._restart is not None and self._restarts < RESTARTS_MAX:
            self._restarts += 1
            self._died.append(member.rank)
        else:
            self._errors[member.rank] = MemberLost(member.rank, why)
        self.leave(member, why)

    def leave(self, member: InProcessMember, why: str) -> None:
        """Under the lock: the member is over, and the others learn it."""
        member.is_over = True
        for other in self.members:
            other.forget(member.rank, why)
        self.changed.notify_all()

    def comes_back(self, rank: int) -> bool:
        """Under the lock: somebody will start this member again."""
        return self._restart == "one" and rank in self._died

    def load(self, rank: int) -> Any:
        return codec.loads(bytearray(self.kept[rank])) if rank in self.kept else None

    def _stop_all(self) -> None:
        with self.changed:
            for member in self.members:
                member.is_over = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _end(self) -> None:
        """Everybody leaves. Raise what went wrong first: what others met follows from it."""
        self._stop_all()
        if self._errors:
            raise next(iter(self._errors.values()))
