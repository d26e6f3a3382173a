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
from minimr.gang.key_range import KeyRange, Push, Update, Vector
from minimr.gang.members import MemberLost, Members

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
        self._members, self._update, self._staleness = members, update, staleness
        rank, size = members.rank, members.size
        self._compression = compression
        self._packers = [as_sent(compression) for _ in range(size)] if compression else []
        self._next, self._previous = (rank + 1) % size, (rank - 1) % size
        self._bounds = [range_of(len(start), size, each) for each in range(size)]
        self._others = [each for each in range(size) if each != rank]
        self._changed = threading.Condition(threading.RLock())
        self._failure: Exception | None = None
        # As a server: the two ranges, reads that wait, pushes that the replica has not confirmed.
        self._mine: KeyRange | None = None
        self._replica: KeyRange | None = None
        self._start = start
        self._waiting: dict[int, tuple[int, int | None]] = {}
        self._unconfirmed: list[tuple[int, int, int]] = []
        self._confirmed = 0
        self._joining: set[int] = set()
        self._early: list[tuple[int, list[Any]]] = []
        # As a client: what was asked and not answered, by rank.
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
        (start, end), width = self._bounds[rank], len(self._start)
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
            assert self._mine is not None
            return list(self._mine.tails)

    @property
    def staleness_of_updates(self) -> list[int]:
        """For each update of this member's range: how many came between its read and itself."""
        with self._changed:
            assert self._mine is not None
            return list(self._mine.staleness)

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
            self._take_over()
            early, self._early = self._early, []
            for source, message in early:
                self._handle(source, message)
        self._members.note(
            what="parameter_server_started",
            clock=self.clock,
            staleness=self._staleness,
            members=self._members.size,
        )

    def _take_over(self) -> None:
        """Make the two ranges: as the others know them, or new if this is the first start.

        Where others hold something it is not. A neighbour that was started again, too, and holds
        nothing had it before.
        """
        if not self._others:
            self._mine = self._new_range(self._members.rank)
            return
        next_epoch, _, _, mine = self._joined[self._next]
        previous_epoch, _, replica, _ = self._joined[self._previous]
        finished = [each for _, each, *_ in self._joined.values() if each is not None]
        if finished and mine is None and next_epoch > 1:
            raise _lost_with_its_replica(self._next)
        if finished and replica is None and previous_epoch > 1:
            raise _lost_with_its_replica(self._previous)
        self._mine = _range_from(mine) or self._new_range(self._members.rank)
        self._replica = _range_from(replica) or self._new_range(self._previous)
        self._confirmed = self._mine.accepted
        self._tell(self._previous, ["copied", self._replica.accepted])
        self.clock = min([*finished, self._mine.finished[self._members.rank]])

    def _new_range(self, rank: int) -> KeyRange:
        start, end = self._bounds[rank]
        in_clocks = self._staleness is not None
        return KeyRange(self._start[start:end].copy(), self._members.size, in_clocks, first=start)

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
                    self._joining.discard(other)
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
            self._waiting.pop(other, None)
            self._early = [each for each in self._early if each[0] != other]
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
                self._tell(source, self._answer_join(source))
                if self._mine is not None:
                    self._see_what_is_left(source)
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
                self._serve(source, message)
        self._changed.notify_all()

    def _answer_join(self, source: int) -> list[Any]:
        """Our epoch; its clocks, as far as all that we hold has them, or None if we hold nothing;
        our range and the replica, if due."""
        mine, replica = self._mine, self._replica
        finished = [held.finished[source] for held in (mine, replica) if held]
        return [
            "joined",
            self._members.epoch,
            min(finished, default=None),
            mine.to_dict() if mine and source == self._next else None,
            replica.to_dict() if replica and source == self._previous else None,
        ]

    def _see_what_is_left(self, source: int) -> None:
        """Under the lock: `source` comes for its ranges, and its neighbours have the only others.

        If one of those comes for its own as well, neither gets them and both end. So do all who
        still hold something, lest they wait for ever: then the gang begins anew.
        """
        self._joining.add(source)
        for neighbour in ((source + 1) % self._members.size, (source - 1) % self._members.size):
            if neighbour in self._joining - {source}:
                self._fail(_lost_with_its_replica(neighbour))

    def _serve(self, source: int, message: list[Any]) -> None:
        """Under the lock: what concerns our range or the replica, once we have them."""
        if self._mine is None:
            self._early.append((source, message))
            return
        match message:
            case ["push", fields]:
                self._take(self._mine, Push(*fields))
            case ["read", clock, staleness]:
                self._waiting[source] = (clock, staleness)
            case ["copy", fields]:
                assert self._replica is not None
                push = Push(*fields).unpacked(self._compression)
                self._replica.accept(push, self._update)
                self._tell(self._previous, ["copied", self._replica.accepted])
            case ["copied", accepted]:
                self._confirmed = max(self._confirmed, accepted)
        self._acknowledge(self._mine)
        self._answer_reads(self._mine)

    def _take(self, mine: KeyRange, push: Push) -> None:
        if mine.accept(push.unpacked(self._compression), self._update) and self._others:
            self._tell(self._next, ["copy", push.to_list()])
        self._unconfirmed.append((mine.accepted, push.source, push.clock))

    def _confirmed_by(self, mine: KeyRange) -> int:
        """How many of the pushes that our range has accepted are at its replica, too."""
        return self._confirmed if self._others else mine.accepted

    def _acknowledge(self, mine: KeyRange) -> None:
        """Tell the pushers of what the replica has too."""
        confirmed = self._confirmed_by(mine)
        done = [each for each in self._unconfirmed if each[0] <= confirmed]
        self._unconfirmed = [each for each in self._unconfirmed if each[0] > confirmed]
        for _, source, clock in done:
            self._tell(source, ["pushed", clock])

    def _answer_reads(self, mine: KeyRange) -> None:
        """Nobody sees what the replica lacks: if we die, what comes back is what all have seen."""
        if self._confirmed_by(mine) < mine.accepted:
            return
        for source, (clock, staleness) in [*self._waiting.items()]:
            if mine.serves(clock, staleness):
                del self._waiting[source]
                self._tell(source, ["values", clock, *mine.at(clock, staleness)])


def _added(gradients: Mapping[int, Vector]) -> Vector:
    """The sum over the partitions, in their order."""
    first, *others = (gradients[each] for each in sorted(gradients))
    total = first.copy()
    for each in others:
        total += each
    return total


def range_of(length: int, size: int, rank: int) -> tuple[int, int]:
    """The key range of a member: [rank n // K, (rank + 1) n // K)."""
    return rank * length // size, (rank + 1) * length // size


def _lost_with_its_replica(rank: int) -> MemberLost:
    return MemberLost(rank, "it held the only replica of a range that was lost too")


def _range_from(fields: dict[str, Any] | None) -> KeyRange | None:
    return None if fields is None else KeyRange.from_dict(fields)
