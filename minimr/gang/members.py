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

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from minimr.errors import MinimrError, UsageError

if TYPE_CHECKING:
    import numpy as np
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


@dataclass(frozen=True, slots=True)
class Target:
    """Where an array that is expected goes: into `array`, or onto it if `is_sum`.

    `array` is C-contiguous and may be changed. A sum is `theirs + array`, in this order.
    """

    array: "npt.NDArray[Any]"
    is_sum: bool = False

    def __post_init__(self) -> None:
        if not (self.array.flags.c_contiguous and self.array.flags.writeable):
            raise UsageError("a target is a C-contiguous array that may be changed")

    def pieces(self, size_bytes: int) -> "Iterator[Target]":
        """It cut up, flat, into targets of so many bytes at most; a multiple of an element's."""
        flat = self.array.reshape(-1)
        length = size_bytes // flat.itemsize
        for start in range(0, len(flat), length):
            yield Target(flat[start : start + length], self.is_sum)

    def take(self, theirs: "npt.NDArray[Any]") -> None:
        import numpy as np

        if self.is_sum:
            np.add(theirs, self.array, out=self.array)
        else:
            self.array[...] = theirs


@dataclass(frozen=True, slots=True)
class Arrived:
    """An array as it is after something came for it. The checksum, if there is one, was taken of
    these bytes while they were written, and holds as long as nobody changes them."""

    array: "npt.NDArray[Any]"
    checksum: int | None = None


class Members(Protocol):
    """One member's end of the gang. Any of its threads may call any of this.

    It talks to the others; UsageError for its own rank, and for one that nobody has.
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

    def expect(
        self, source: int, tag: str, targets: Sequence[Target]
    ) -> AbstractContextManager[Iterator[Arrived]]:
        """Say where the next arrays from `source` under `tag` belong; meet each when it is there.

            with members.expect(0, "row", targets) as arrivals:
                for arrived in arrivals: ...

        It saves passes over memory: an array is verified and taken piece by piece, as it comes,
        while this thread does something else. Within the block nobody else may touch a target
        before it was met. Behind it nothing is written any more, whatever happened, and what has
        come for a target that was not met is gone.

        Meeting one raises MemberLost when nothing more can come, and UsageError if what came is
        no array of the target's shape and dtype.
        """
        ...

    def pass_on(self, to: int, tag: str, arrived: Arrived) -> None:
        """Send the array of `arrived`, as `send` does, with the checksum that it has already."""
        ...

    def await_member(self, rank: int) -> None:
        """After MemberLost(rank): wait until that member was started again and is connected.

        Until this returns, everything to and from it raises MemberLost. What the member of the
        epoch before sent, and nobody received, is gone. Raises MemberLost if it will not be
        started again, as when it has ended.
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


def no_other(rank: object, members: Members) -> UsageError:
    """What a program is told that wants to talk to a member which is none of the others."""
    return UsageError(
        f"member {members.rank} of {members.size} can talk to the others, counted from 0, and "
        f"{rank!r} is none of them"
    )


def fitting(theirs: Any, target: "npt.NDArray[Any]", source: int) -> "npt.NDArray[Any]":
    """`theirs`, if it is an array like `target`. Raises UsageError."""
    import numpy as np

    if isinstance(theirs, np.ndarray) and _kind(theirs) == _kind(target):
        return theirs
    raise UsageError(
        f"member {source} sent {getattr(theirs, 'shape', theirs)} of "
        f"{getattr(theirs, 'dtype', type(theirs).__name__)} where {target.shape} of "
        f"{target.dtype} was due; every member must call all_reduce with the same shape and "
        "dtype, and as often"
    )


def _kind(array: "npt.NDArray[Any]") -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    return array.shape, array.dtype
