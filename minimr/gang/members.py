"""Members: what one member of a gang sees of the others.

A member has a rank from 0 to size - 1 and runs the same program as all others. Messages between two
members under one tag arrive once and in the order in which they were sent; nothing is promised
between different tags or senders. That is all that ring, pipeline and parameter server need.

A member may die. Then it is *lost* for the others: whatever they send to it or await from it raises
MemberLost with its rank, once the messages that it sent before have been received. Whoever waits
for somebody else is not disturbed. What happens next is for the gang's `restart` to say:

    "all"   every member is stopped, and the gang starts again from what each of them saved last,
            in the next epoch (a program that meets MemberLost just lets it pass)
    "one"   the lost member alone is started again, in an epoch of its own, with what it saved last;
            the others call `await_member(rank)` and go on when it is back
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from minimr.errors import MinimrError

if TYPE_CHECKING:
    import numpy.typing as npt


class MemberLost(MinimrError):
    """Member `rank` of the gang died, hangs, or has left; nothing more comes from it.

    A member that is being stopped itself meets this error with its own rank: let it pass.
    """

    def __init__(self, rank: int, why: str) -> None:
        super().__init__(f"member {rank} of the gang is lost: {why}")
        self.rank = rank


@dataclass(slots=True)
class Traffic:
    """What one member has sent so far. Arrays count as their bytes; all else of a message, its tag
    and the description of its arrays included, counts as `other_bytes`."""

    messages: int = 0
    array_bytes: int = 0
    other_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return self.array_bytes + self.other_bytes

    def add(self, array_bytes: int, other_bytes: int) -> None:
        self.messages += 1
        self.array_bytes += array_bytes
        self.other_bytes += other_bytes


class Members(Protocol):
    """One member's end of the gang. Any of its threads may call any of this.

    `epoch` grows with every start of this rank. `saved` is the value that `save` was given last in
    the epochs before, and None in the first. `sent` counts what went out.
    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def epoch(self) -> int: ...

    @property
    def saved(self) -> Any: ...

    @property
    def sent(self) -> Traffic: ...

    def send(self, to: int, tag: str, value: Any) -> None:
        """Send `value`: numeric arrays, None, bool, int, float, str, bytes, lists, tuples, dicts.

        Returns when `value` may change again, which is not when it has arrived. Two members that
        send each other large arrays at once do not wait for each other. Raises MemberLost, and
        TypeError for what cannot travel.
        """
        ...

    def receive(self, source: int, tag: str) -> Any:
        """Wait for the next value from `source` under `tag`. Its arrays are ours to change.

        Raises MemberLost when nothing more can come.
        """
        ...

    def reuse(self, source: int, array: "npt.NDArray[Any]") -> None:
        """Give an array back that `receive` gave for `source`: the next one may lie in its memory.

        Nobody may look at it, or at a view of it, from now on. It is for large arrays that come
        one after the other, and need not be called.
        """
        ...

    def await_member(self, rank: int) -> None:
        """After MemberLost(rank): wait until that member was started again and is connected.

        Until this returns, everything to and from it raises MemberLost. What the member of the
        epoch before sent, and nobody received, is gone. Raises MemberLost if it will not be
        started again.
        """
        ...

    def note(self, **fields: Any) -> None:
        """Write a line to the event log: `event="member_note"`, rank, epoch, and these fields.

        Values are what JSON can say. Notes travel in batches, in the order of this member; nothing
        is promised about the order of notes from different members.
        """
        ...

    def save(self, value: Any) -> None:
        """Keep `value` (what `send` takes, and small) for the epoch after this one."""
        ...
