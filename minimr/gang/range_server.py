"""What one member of a parameter server serves: its key range, and the replica of its neighbour's.

The other half of `parameter_server.py`, which has the theory and what survives. A push is accepted
once, copied to the next member, and acknowledged when that one has it, too; nobody is answered with
what the replica does not have yet. So if this member dies, what comes back is what all have seen.
"""

from collections.abc import Callable, Mapping
from typing import Any

from minimr.gang.compression import Compression
from minimr.gang.key_range import KeyRange, Push, Update, Vector
from minimr.gang.members import MemberLost

Tell = Callable[[int, list[Any]], None]


class RangeServer:
    """It does what it is told and answers through `tell(to, message)`; it has no thread and no lock
    of its own: one caller at a time.

    It holds nothing until it has heard from all other members what they know of its ranges
    (`take_over`); what arrives before is served then. `start` is the whole vector (n,), and
    `in_clocks` says that all pushes of a clock make one update.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        start: Vector,
        in_clocks: bool,
        update: Update,
        compression: Compression | None,
        tell: Tell,
    ) -> None:
        self._rank, self._size, self._start, self._in_clocks = rank, size, start, in_clocks
        self._update, self._compression, self._tell = update, compression, tell
        self._next, self._previous = (rank + 1) % size, (rank - 1) % size
        self._mine: KeyRange | None = None
        self._replica: KeyRange | None = None
        self._reads: dict[int, tuple[int, int | None]] = {}
        self._unconfirmed: list[tuple[int, int, int]] = []
        self._confirmed = 0
        """How many of the pushes that our range has accepted its replica has, too."""
        self._joining: set[int] = set()
        self._early: list[tuple[int, list[Any]]] = []

    @property
    def mine(self) -> KeyRange:
        """This member's range. Only after `take_over`."""
        assert self._mine is not None
        return self._mine

    # Members that start, for the first time or again

    def take_over(self, joined: Mapping[int, list[Any]]) -> int:
        """Make the two ranges: as the others know them, or new if this is the first start.

        `joined` holds what each other member answered (`answer_to_join`). Returns the first clock
        that this member has to train. Raises MemberLost if a range cannot be had any more: where
        others hold something it is not begun anew. A neighbour that was started again, too, and
        holds nothing had it before.
        """
        finished = []
        if joined:
            next_epoch, _, _, mine = joined[self._next]
            previous_epoch, _, replica, _ = joined[self._previous]
            finished = [each for _, each, *_ in joined.values() if each is not None]
            if finished and mine is None and next_epoch > 1:
                raise _lost_with_its_replica(self._next)
            if finished and replica is None and previous_epoch > 1:
                raise _lost_with_its_replica(self._previous)
            self._mine = _range_from(mine)
            self._replica = _range_from(replica) or self._new_range(self._previous)
            self._tell(self._previous, ["copied", self._replica.accepted])
        self._mine = self._mine or self._new_range(self._rank)
        self._confirmed = self._mine.accepted
        clock: int = min([*finished, self._mine.finished[self._rank]])
        early, self._early = self._early, []
        for source, message in early:
            self.serve(source, message)
        return clock

    def _new_range(self, rank: int) -> KeyRange:
        start, end = range_of(len(self._start), self._size, rank)
        return KeyRange(self._start[start:end].copy(), self._size, self._in_clocks, first=start)

    def answer_to_join(self, source: int, epoch: int) -> list[Any]:
        """Our epoch; its clocks, as far as all that we hold has them, or None if we hold nothing;
        our range and the replica, if due."""
        mine, replica = self._mine, self._replica
        finished = [held.finished[source] for held in (mine, replica) if held]
        return [
            epoch,
            min(finished, default=None),
            mine.to_dict() if mine and source == self._next else None,
            replica.to_dict() if replica and source == self._previous else None,
        ]

    def see_what_is_left(self, source: int) -> None:
        """`source` comes for its ranges, and its neighbours have the only others.

        If one of those comes for its own as well, neither gets them and both end. So do all who
        still hold something, lest they wait for ever: they meet MemberLost, and the gang begins
        anew.
        """
        if self._mine is None:
            return
        self._joining.add(source)
        for neighbour in ((source + 1) % self._size, (source - 1) % self._size):
            if neighbour in self._joining - {source}:
                raise _lost_with_its_replica(neighbour)

    def has_its_ranges(self, source: int) -> None:
        """It says more than that it starts."""
        self._joining.discard(source)

    def forget(self, source: int) -> None:
        """It was started again: what it asked for and sent before, it will ask and send anew."""
        self._reads.pop(source, None)
        self._early = [each for each in self._early if each[0] != source]

    # Pushes and reads

    def serve(self, source: int, message: list[Any]) -> None:
        """What concerns our range or the replica, once we have them."""
        if self._mine is None:
            self._early.append((source, message))
            return
        match message:
            case ["push", fields]:
                self._take(self._mine, Push(*fields))
            case ["read", clock, staleness]:
                self._reads[source] = (clock, staleness)
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
        if mine.accept(push.unpacked(self._compression), self._update) and self._size > 1:
            self._tell(self._next, ["copy", push.to_list()])
        self._unconfirmed.append((mine.accepted, push.source, push.clock))

    def _confirmed_by(self, mine: KeyRange) -> int:
        return self._confirmed if self._size > 1 else mine.accepted

    def _acknowledge(self, mine: KeyRange) -> None:
        """Tell the pushers of what the replica has too."""
        confirmed = self._confirmed_by(mine)
        done = [each for each in self._unconfirmed if each[0] <= confirmed]
        self._unconfirmed = [each for each in self._unconfirmed if each[0] > confirmed]
        for _, source, clock in done:
            self._tell(source, ["pushed", clock])

    def _answer_reads(self, mine: KeyRange) -> None:
        """Nobody sees what the replica lacks."""
        if self._confirmed_by(mine) < mine.accepted:
            return
        for source, (clock, staleness) in [*self._reads.items()]:
            if mine.serves(clock, staleness):
                del self._reads[source]
                self._tell(source, ["values", clock, *mine.at(clock, staleness)])


def range_of(length: int, size: int, rank: int) -> tuple[int, int]:
    """The key range of a member: [rank n // K, (rank + 1) n // K)."""
    return rank * length // size, (rank + 1) * length // size


def _lost_with_its_replica(rank: int) -> MemberLost:
    return MemberLost(rank, "it held the only replica of a range that was lost too")


def _range_from(fields: dict[str, Any] | None) -> KeyRange | None:
    return None if fields is None else KeyRange.from_dict(fields)
