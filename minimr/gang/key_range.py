"""One key range of a parameter vector: what a server holds, as a pure state machine.

A *clock* is one pass of every member through its loop: read the parameters, compute gradients, push
them. Clocks are counted from 0. `version` is what a reader sees:

    with a staleness    the number of clocks whose pushes have all come and were applied. The
                        gradients of a clock are added per partition, in partition order, left to
                        right, and the update is applied once: the bytes depend on no arrival.
    without (None)      the number of updates. Every push is applied when it comes, for itself.

Replicas are exact because this is deterministic: whoever starts from the same state and accepts the
same pushes in the same order holds the same bytes (Schneider, "Implementing fault-tolerant services
using the state machine approach", 1990).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.gang.compression import Compression, Packed

Vector = npt.NDArray[np.float64]

Update = Callable[[Vector, Vector, Vector, Any, int, slice], tuple[Vector, Any]]
"""update(parameters, gradient, tail, memory, step, keys) -> (parameters, memory), element by
element: the range `keys` alone gets the same bits as in the whole vector. It may work in place.
`tail` are the sums of what was pushed behind the gradient (say the loss and the rows); `memory` is
None at step 0, and then what the update returned last: None, arrays, numbers, lists or dicts."""


@dataclass(frozen=True, slots=True)
class Push:
    """The gradients of one member at one clock, cut to a range: row i belongs to `partitions[i]`.

    Columns are the range's gradient, then the tail. `base` is the version that was read before.
    While it travels, the gradients may be `packed`, one for each row; the row is then the tail.
    """

    source: int
    clock: int
    base: int
    partitions: list[int]
    rows: Vector
    packed: list[Packed] = field(default_factory=list)

    def to_list(self) -> list[Any]:
        return [self.source, self.clock, self.base, self.partitions, self.rows, self.packed]

    def unpacked(self, compression: Compression | None) -> "Push":
        """The push as a range takes it."""
        if compression is None or not self.packed:
            return self
        gradients = np.array([compression.unpack(each) for each in self.packed])
        return replace(self, rows=np.hstack([gradients, self.rows]), packed=[])


@dataclass(slots=True)
class KeyRange:
    """`first` is its first key. `finished[m]` counts the clocks that member m has pushed,
    `accepted` all pushes.

    `before` is what the parameters were one version ago: a member that died between two servers
    pushes its clock again, and must compute it from the same parameters. `tails` has the tail of
    each version's update, `staleness` how many updates came between the read and the update, of
    the pushes of a clock the one that read first: `bases` has the versions that those had read.
    """

    parameters: Vector
    members: int
    in_clocks: bool
    version: int = 0
    accepted: int = 0
    first: int = 0
    memory: Any = None
    before: Vector | None = None
    finished: list[int] = field(default_factory=list)
    pending: dict[int, dict[int, Vector]] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)
    tails: list[Vector] = field(default_factory=list)
    staleness: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.finished = self.finished or [0] * self.members

    def accept(self, push: Push, update: Update) -> bool:
        """Take a push; False if it came before, which changes nothing."""
        if push.clock < self.finished[push.source]:
            return False
        self.accepted += 1
        self.finished[push.source] = push.clock + 1
        rows = dict(zip(push.partitions, push.rows, strict=True))
        if not self.in_clocks:
            self._apply(rows, push.base, update)
            return True
        self.pending.setdefault(push.clock, {}).update(rows)
        self.bases[push.clock] = min(push.base, self.bases.get(push.clock, push.base))
        while min(self.finished) > self.version:
            self._apply(self.pending.pop(self.version), self.bases.pop(self.version), update)
        return True

    @np.errstate(over="ignore", invalid="ignore")  # sums that are no numbers are for callers to see
    def _apply(self, rows: dict[int, Vector], base: int, update: Update) -> None:
        """One step of the update. Without any row there is nothing to learn from."""
        self.staleness.append(self.version - base)
        self.before = self.parameters
        if rows:
            first, *others = (rows[partition] for partition in sorted(rows))
            total = first.copy()
            for row in others:
                total += row
            width = len(self.parameters)
            self.parameters, self.memory = update(
                self.parameters.copy(),
                total[:width],
                total[width:],
                self.memory,
                self.version,
                slice(self.first, self.first + width),
            )
            self.tails.append(total[width:])
        self.version += 1

    def serves(self, clock: int, staleness: int | None) -> bool:
        """Whether a read at `clock` may be answered: all clocks before clock - staleness count."""
        return staleness is None or self.version >= clock - staleness

    def at(self, clock: int, staleness: int | None) -> tuple[int, Vector]:
        """(version, parameters) for a read at `clock`; with staleness 0 exactly that version."""
        if staleness == 0 and self.version == clock + 1 and self.before is not None:
            return clock, self.before
        return self.version, self.parameters

    def to_dict(self) -> dict[str, Any]:
        """All of it, as what can be sent."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "KeyRange":
        return cls(**fields)
