"""A parameter server: one vector that all members read and push gradients to, at their own pace.

Every member owns one key range of the vector and trains as well (Li et al., "Scaling distributed
machine learning with the parameter server", OSDI 2014). One knob says how far apart they may be
(Ho et al., "More effective distributed ML via a stale synchronous parallel parameter server",
2013):

    staleness 0      a read at clock c waits until every member has finished clock c - 1: bulk
                     synchronous, and the same bytes as one process that adds up the partitions
    staleness s      a read at clock c waits until every member has finished clock c - s - 1
    staleness None   nobody ever waits; each push is an update of its own

    server = ParameterServer(members, start, update, staleness=2)
    for clock in range(server.clock, clocks):
        parameters = server.read(clock)
        server.push(clock, {partition: gradient(parameters, partition) for partition in mine})
    parameters = server.finish(clocks)

What survives. The next member holds a replica of each range, and a push is acknowledged, and seen
by whoever reads, when both have it. A member that is started again (restart="one") gets its range
back from the next member and its replica from the one before; its trainer goes on at
`server.clock`, so what it had not pushed is computed again and nothing else is lost. The others
notice nothing but a pause: what was not acknowledged or answered they send again, and a range takes
each push of a clock once. Only if a member is lost together with the one that holds its replica,
the range is gone, and all members end with MemberLost.

With a compression a member pushes one gradient, the sum over its partitions, in few bytes, and the
replicas are told the same bytes; the parameters always travel whole.

Between members, under one tag: join/joined (a member starts), push/pushed and read/values (trainer
and server), copy/copied (server and replica), done.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from minimr.errors import UsageError
from minimr.gang.compression import Compression, as_sent
from minimr.gang.key_range import Push, Update, Vector
from minimr.gang.members import MemberLost, Members
from minimr.gang.range_server import RangeServer, range_of

TAG = "parameter_server"

Heard = queue.Queue[list[Any] | None]
"""The messages of one other member that we have not answered yet, and None behind the last."""


class ParameterServer:
    """This member's end: a server of its range, and the client of all ranges.

    Two threads per other member: one takes in what it says, the other does it, under one lock.
    """

    def __init__(
        self,
        members: Members,
        start: Vector,
        update: Update,
        staleness: int | None = 0,
        compression: Compression | None = None,
    ) -> None:
        """Join the gang. `start` (n,) and everything else must be the same at every member.

        `compression` is what pushed gradients travel in, with error feedback where it needs that.

        Raises UsageError for a negative staleness, MemberLost if a range cannot be had any more.
        """
        if staleness is not None and staleness < 0:
            raise UsageError(f"staleness is 0 or more, or None for asynchronous; not {staleness}")
        self._members, self._staleness = members, staleness
        rank, size = members.rank, members.size
        self._packers = [as_sent(compression) for _ in range(size)] if compression else []
        self._width = len(start)
        self._bounds = [range_of(self._width, size, each) for each in range(size)]
        self._others = [each for each in range(size) if each != rank]
        self._changed = threading.Condition(threading.RLock())
        self._failure: Exception | None = None
        in_clocks = staleness is not None
        self._server = RangeServer(rank, size, start, in_clocks, update, compression, self._tell)
        # What was asked and not answered, by rank.
        self._joined: dict[int, list[Any]] = {}
        self._pushes: dict[int, Push] = {}
        self._question: list[Any] | None = None
        self._values: dict[int, tuple[int, Vector]] = {}
        self._base = [0] * size
        self._done: set[int] = set()
        self.clock = 0
        """The first clock that this member has to train; not 0 if it was started again."""
        self._join()

    # The trainer's calls

    def read(self, clock: int) -> Vector:
        """The parameters (n,) for this clock, once everybody is as far as the staleness asks."""
        parameters = self._read(clock, self._staleness)
        self._members.note(what="parameter_server_read", clock=clock, versions=self._base)
        return parameters

    def push(self, clock: int, gradients: Mapping[int, Vector]) -> None:
        """Add this member's gradients at `clock`: by partition, (n,) or longer with a tail.

        Returns when every range and its replica have them. Raises MemberLost.
        """
        if self._packers and gradients:
            gradients = {self._members.rank: _added(gradients)}
        for rank in range(self._members.size):
            push = self._cut(gradients, clock, rank)
            with self._changed:
                self._pushes[rank] = push
                self._tell(rank, ["push", push.to_list()])
        self._wait(lambda: not self._pushes)
        self._members.note(what="parameter_server_pushed", clock=clock)

    def _cut(self, gradients: Mapping[int, Vector], clock: int, rank: int) -> Push:
        """What the range of member `rank` gets of this push."""
        (start, end), width = self._bounds[rank], self._width
        partitions = sorted(gradients)
        cut = [gradients[each][start:end] for each in partitions]
        tails = [gradients[each][width:] for each in partitions]
        packed = [packer.pack(each) for packer in self._packers[rank : rank + 1] for each in cut]
        whole = tails if packed else [np.concatenate(each) for each in zip(cut, tails, strict=True)]
        rows = np.array(whole) if whole else np.empty((0, end - start))
        return Push(self._members.rank, clock, self._base[rank], partitions, rows, packed)

    def finish(self, clocks: int) -> Vector:
        """Wait until every member has pushed `clocks` clocks, and leave with the last parameters.

        Until then this member goes on serving the others.
        """
        last = clocks if self._staleness is not None else clocks * self._members.size
        final = self._read(last, 0)
        with self._changed:
            self._done.add(self._members.rank)
            for other in self._others:
                self._tell(other, ["done"])
        self._wait(lambda: len(self._done) == self._members.size)
        return final

    @property
    def tails(self) -> list[Vector]:
        """What was pushed behind the gradients, summed: one for each update, in their order."""
        with self._changed:
            return list(self._server.mine.tails)

    @property
    def staleness_of_updates(self) -> list[int]:
        """For each update of this member's range: how many came between its read and itself."""
        with self._changed:
            return list(self._server.mine.staleness)

    def _read(self, clock: int, staleness: int | None) -> Vector:
        with self._changed:
            self._question, self._values = ["read", clock, staleness], {}
            for rank in range(self._members.size):
                self._tell(rank, self._question)
        self._wait(lambda: len(self._values) == self._members.size)
        with self._changed:
            self._question = None
            in_order = [self._values[rank] for rank in range(self._members.size)]
        self._base = [version for version, _ in in_order]
        return np.concatenate([parameters for _, parameters in in_order])

    def _wait(self, ready: Callable[[], object]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._failure or ready())
            if self._failure and not ready():
                raise self._failure

    # Starting, for the first time or again

    def _join(self) -> None:
        with self._changed:
            for other in self._others:
                self._tell(other, ["join"])
        # Only now: whoever has our answer has our question as well, and answers it first of all.
        for other in self._others:
            threading.Thread(target=self._listen, args=(other,), daemon=True).start()
        self._wait(lambda: len(self._joined) == len(self._others))
        with self._changed:
            self.clock = self._server.take_over(self._joined)
        self._members.note(
            what="parameter_server_started",
            clock=self.clock,
            staleness=self._staleness,
            members=self._members.size,
        )

    # Messages

    def _tell(self, to: int, message: list[Any]) -> None:
        """Under the lock. Whoever is lost is told again what matters when it is back."""
        if to == self._members.rank:
            self._handle(to, message)
            return
        with suppress(MemberLost):
            self._members.send(to, TAG, message)

    def _listen(self, other: int) -> None:
        """The thread that takes in what one other member says, through all its epochs.

        It never waits for our lock while that one may send: whoever holds it may wait until others
        take what we send, and they, who do the same, until we take what they send.
        """
        heard: Heard = queue.Queue()
        threading.Thread(target=self._answer, args=(other, heard), daemon=True).start()
        while True:
            try:
                heard.put(self._members.receive(other, TAG))
            except MemberLost:
                heard.join()
                try:
                    self._members.await_member(other)
                except MemberLost as lost:
                    self._give_up(other, lost)
                    heard.put(None)
                    return
                self._welcome_back(other)

    def _answer(self, other: int, heard: Heard) -> None:
        """The thread that does what one other member asks for."""
        while (message := heard.get()) is not None:
            with self._changed:
                if message[0] not in ("join", "joined"):  # So it has its ranges again.
                    self._server.has_its_ranges(other)
                try:
                    self._handle(other, message)
                except Exception as error:  # The update is the program's own.
                    self._fail(error)
            heard.task_done()

    def _give_up(self, other: int, lost: MemberLost) -> None:
        with self._changed:
            if other not in self._done:
                self._fail(lost)

    def _fail(self, error: Exception) -> None:
        """Under the lock: whoever waits for anything meets this."""
        self._failure = self._failure or error
        self._changed.notify_all()

    def _welcome_back(self, other: int) -> None:
        """It knows nothing of what was asked or told before: say it again."""
        with self._changed:
            self._server.forget(other)
            if other not in self._joined:
                self._tell(other, ["join"])
            if other in self._pushes:
                self._tell(other, ["push", self._pushes[other].to_list()])
            if self._question is not None and other not in self._values:
                self._tell(other, self._question)
            if self._members.rank in self._done:
                self._tell(other, ["done"])

    def _handle(self, source: int, message: list[Any]) -> None:
        """Under the lock: do what a message asks for, and wake whoever waits for it."""
        match message:
            case ["join"]:
                answer = self._server.answer_to_join(source, self._members.epoch)
                self._tell(source, ["joined", *answer])
                self._server.see_what_is_left(source)
            case ["joined", *fields]:
                self._joined[source] = fields
            case ["pushed", clock]:
                if source in self._pushes and self._pushes[source].clock == clock:
                    del self._pushes[source]
            case ["values", clock, version, parameters]:
                if self._question is not None and self._question[1] == clock:
                    self._values[source] = (version, parameters)
            case ["done"]:
                self._done.add(source)
            case _:
                self._server.serve(source, message)
        self._changed.notify_all()


@np.errstate(over="ignore", invalid="ignore")  # sums that are no numbers are for callers to see
def _added(gradients: Mapping[int, Vector]) -> Vector:
    """The sum over the partitions, in their order."""
    first, *others = (gradients[each] for each in sorted(gradients))
    total = first.copy()
    for each in others:
        total += each
    return total
