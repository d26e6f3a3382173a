"""Skipping of bad records (Dean and Ghemawat, OSDI 2004, section 4.6).

Sometimes user code fails on a few records out of millions and cannot be mended, or the records are
junk. A job may then allow that up to `skip_max` of them are left out. Leaving one out is all or
nothing: what the call had yielded before it failed is dropped, and what it had counted is taken
back, as if the record were not in the input. (What the job keeps in attributes of its own is not.)
So the pairs of one call are held until it ends. A key group of a reduce task is left out likewise.

Two ways lead to the list of what was left out. A call that raises is noticed here. A record that
kills the process (a segfault, os._exit) is noticed by the coordinator, from the position that a
careful attempt published; the next attempt gets it as an order and does not call user code for it.

Where `map_block` fails, or killed a process, and the job has a `map` too, the block is taken apart
and `map` is called for its lines. Not skipped are failures elsewhere: in combine or partition, in
reading a line, or in encoding a value.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from minimr.block import Block, TextBlock
from minimr.errors import BadRecord
from minimr.job import Job, Pair
from minimr.tasks.combine import Reduce
from minimr.tasks.emitted import KeyGate, as_iterable, checked_pairs
from minimr.tasks.failure import Position, TooManyBadRecords, is_users_fault, message_of
from minimr.tasks.spec import MapTask, ReduceTask

KILLED = "killed its process"
ERROR_CHARACTERS = 300
"""How much of an error's text is kept for each record."""

Map = Callable[[Any, Any], Iterable[Pair]]
Skipped = dict[str, str]
"""{"position": "path:offset", "record": a preview, "error": "ValueError: ..."}"""


class Skipper:
    """Calls user code for an attempt that may leave records out; `skipped` lists them in order."""

    def __init__(self, job: Job, task: MapTask | ReduceTask, position: Position) -> None:
        self.skipped: list[Skipped] = []
        self._job = job
        self._position = position
        self._skip_max = task.skip_max
        self._ordered = frozenset(task.skip)
        self._function = "map" if isinstance(task, MapTask) else "reduce"
        self._gate = self._new_gate()
        self._source_error: BaseException | None = None

    def guarded_map(self) -> Map:
        """Return the job's `map`, for the record where the position is; it skips, or is skipped."""
        return lambda key, value: self._pairs(self._job.map, key, value)

    def guarded_reduce(self, reduce: Reduce) -> Reduce:
        """Return the reduce function with the same guard, for the key where the position is."""
        return lambda key, values: self._pairs(reduce, key, self._noting(values))

    def _pairs(self, call: Callable[..., Any], *arguments: Any) -> list[Pair]:
        """Return all pairs of the call for the record or key where the position is, or none."""
        if self._ordered and self._position.name() in self._ordered:
            self._skip(KILLED, None)
            return []
        try:
            return self._whole(self._function, call, *arguments)
        except BaseException as error:
            if self._source_error is not None:
                raise self._source_error from None
            if not is_users_fault(error):
                raise
            self._skip(message_of(error), error)
            return []

    def block_pairs(
        self, map_block: Callable[[Any], Any], block: Block | TextBlock
    ) -> Iterable[Pair]:
        """Return the pairs of `map_block` for a block, or those of `map` for its lines."""
        lines = block if isinstance(block, TextBlock) and _has_map(self._job) else None
        if self._is_ordered(block):
            if lines is None:
                raise BadRecord(
                    f"The block at {self._position.name()} {KILLED}, and no single line can be "
                    "skipped: the job has no map beside map_block."
                )
            return self._by_line(lines)
        try:
            return self._whole("map_block", map_block, block)
        except BaseException as error:
            if lines is None or not is_users_fault(error):
                raise
            return self._by_line(lines)

    def _noting(self, values: Iterator[Any]) -> Iterator[Any]:
        """Pass a group's values on; should reading them fail, the group is not at fault."""
        try:
            # `yield from` would close the merge along with this generator.
            for value in values:  # noqa: UP028
                yield value
        except GeneratorExit:
            raise
        except BaseException as error:
            self._source_error = error
            raise

    def _by_line(self, block: TextBlock) -> Iterator[Pair]:
        for record in block.lines():
            self._position.record = record
            yield from self._pairs(self._job.map, *record)

    def _whole(self, function: str, call: Callable[..., Any], *arguments: Any) -> list[Pair]:
        """Return all that a call yields. If it fails, it has counted nothing."""
        counters = self._job.counters.copy()
        gate = self._gate if self._gate.kind is not None else self._new_gate()
        try:
            yielded = as_iterable(call(*arguments), function)
            pairs = list(checked_pairs(yielded, function, gate))
        except BaseException:
            self._job.counters = counters
            raise
        if self._source_error is not None:
            raise self._source_error  # which user code has swallowed
        self._gate = gate
        return pairs

    def _new_gate(self) -> KeyGate:
        pairs = self._job.secondary_sort and self._function == "map"
        return KeyGate(self._function, secondary_sort=pairs)

    def _skip(self, error_text: str, error: BaseException | None) -> None:
        if len(self.skipped) >= self._skip_max:
            what = f"It {KILLED}; it" if error is None else "It"
            raise TooManyBadRecords(
                f"{what} is bad record {len(self.skipped) + 1} of this task, and "
                f"--skip-bad-records (skip_bad_records) allows {self._skip_max}."
            ) from error
        self.skipped.append(
            {
                "position": self._position.name() or "",
                "record": self._position.shown(),
                "error": error_text[:ERROR_CHARACTERS],
            }
        )

    def _is_ordered(self, block: Block | TextBlock) -> bool:
        """Is it, or a line in it, among those that killed a process?"""
        if not self._ordered:
            return False
        if self._position.name() in self._ordered:
            return True
        if not isinstance(block, TextBlock):
            return False
        offsets = _offsets(self._ordered, self._position.path)
        return any(block.offset <= each < block.offset + len(block.data) for each in offsets)


def skipper_of(job: Job, task: MapTask | ReduceTask, position: Position) -> Skipper | None:
    """Return what skips for the attempt, or None if it may leave nothing out."""
    return Skipper(job, task, position) if task.skip_max or task.skip else None


def _has_map(job: Job) -> bool:
    return type(job).map is not Job.map


def _offsets(positions: Collection[str], path: str) -> Iterator[int]:
    """Yield the offsets of those positions that are records of the file."""
    for position in positions:
        file, _, place = position.rpartition(":")
        if file == path and place.isdecimal():
            yield int(place)
