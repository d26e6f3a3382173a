"""A crash of the coordinator at every place of its journal where one can come.

A write to the journal is one or more framed records and one sync. The process may die before it,
between any two of its records, in the middle of a record, or behind it, before anything was done
that follows. So a job is run once to see its writes, and then once for each of these places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from minimr.formats.journal import frame
from minimr.scheduler.journal import Record, to_plain
from minimr.simulator.run import Outcome, simulate
from minimr.simulator.world import World, WorldPlan


@dataclass(frozen=True, slots=True)
class Place:
    """The crash comes when `kept_bytes` of the `size_bytes` of write number `write` are there."""

    write: int
    kept_bytes: int
    size_bytes: int

    @property
    def share(self) -> float:
        """A share that keeps exactly these bytes, however it is rounded."""
        return min(1.0, (self.kept_bytes + 0.5) / self.size_bytes)


def places(seed: int, plan: WorldPlan, every_byte: bool = False) -> list[Place]:
    """Every boundary of a record, and every byte of the last write; or every byte of all."""
    worlds: list[World] = []
    simulate(seed, plan=plan, faults=[], check=False, prepare=worlds.append)
    writes = [records for records, _ in worlds[0].journal.writes]
    found = []
    for number, records in enumerate(writes, 1):
        bounds = _bounds(records)
        thorough = every_byte or number == len(writes)
        kept = range(bounds[-1] + 1) if thorough else bounds
        found += [Place(number, each, bounds[-1]) for each in kept]
    return found


def _bounds(records: Sequence[Record]) -> list[int]:
    """Where the records of a write begin and end. A frame's size is that of any sequence number."""
    sizes = (len(frame(0, to_plain(record))) for record in records)
    return list(accumulate(sizes, initial=0))


def crash_at(seed: int, plan: WorldPlan, place: Place) -> Outcome:
    """The run in which the coordinator dies there, and comes back."""

    def tear(world: World) -> None:
        world.torn_writes[place.write] = place.share

    return simulate(seed, plan=plan, faults=[], prepare=tear)


def crash_everywhere(
    seed: int, plan: WorldPlan, every_byte: bool = False
) -> Iterator[tuple[Place, Outcome]]:
    """All of them, one after the other."""
    for place in places(seed, plan, every_byte):
        yield place, crash_at(seed, plan, place)
