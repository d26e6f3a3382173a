"""A map task's input, whatever it is: a stream of records or a stream of blocks.

split of text      -> records for `map`, or blocks of whole lines for `map_block`
split of columns   -> one Block (libsvm, say)
resident partition -> its Block, or its records
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from types import GeneratorType
from typing import Any

from minimr.block import Block, Pairs, TextBlock
from minimr.errors import UsageError
from minimr.formats import input_format
from minimr.formats.pack import splits_of
from minimr.formats.splits import Split
from minimr.job import Job, Pair
from minimr.shuffle.passes import record_bytes_max, too_large
from minimr.tasks.emitted import as_iterable, one_by_one
from minimr.tasks.failure import Position
from minimr.tasks.resident import open_resident
from minimr.tasks.skip import Skipper
from minimr.tasks.spec import MapTask
from minimr.tasks.watcher import Pace

AnyBlock = Block | TextBlock

LINE_END = ord("\n")

MEMORY_PER_BLOCK = 8
"""What a block may take of a task's memory: it is joined, sorted and encoded besides."""


@dataclass(frozen=True)
class Source:
    """Exactly one of the two is there."""

    records: Iterable[Pair] | None = None
    blocks: Iterable[AnyBlock] | None = None


def open_source(job: Job, task: MapTask, position: Position) -> Source:
    """Open the task's input and tell the job and the position where it is.

    Raises UsageError if the job cannot take such input.
    """
    job.partition_index = task.index
    if task.input["kind"] == "resident":
        position.path = f"partition {task.index}"
        resident = open_resident(task.input["path"])
        if resident.block is not None:
            return Source(blocks=[resident.block])
        return Source(records=resident.pairs())
    opened = (_enter(job, task, split, position) for split in splits_of(task.input))
    if input_format(task.format).kind == "columns" or job.map_block is not None:
        return Source(blocks=chain.from_iterable(each.blocks or () for each in opened))
    return Source(records=chain.from_iterable(each.records or () for each in opened))


def _enter(job: Job, task: MapTask, split: Split, position: Position) -> Source:
    """Open a split and say that this is where we are; asked for when those before it are done."""
    job.input_index = split.input_index
    job.input_path = position.path = split.path
    reader = input_format(task.format)
    if reader.width is not None and reader.width > record_bytes_max(task.memory_bytes):
        raise UsageError(f"A record of {task.format} {too_large(task.memory_bytes, reader.width)}.")
    if reader.kind == "columns":
        block = reader.read_blocks(split)
        if job.map_block is not None:
            block = Block(block.columns)  # all rows, and what is wrong with them, before its call
        return Source(blocks=[block])
    text = {
        "encoding": task.encoding,
        "errors": task.errors,
        "memory_bytes": task.memory_bytes,
    }
    if job.map_block is not None:
        block_bytes = task.memory_bytes // MEMORY_PER_BLOCK
        return Source(blocks=reader.read_blocks(split, block_bytes, **text))
    return Source(records=reader.read_records(split, **text))


def emitted(
    job: Job, source: Source, position: Position, skipper: Skipper | None = None
) -> Iterator[Any]:
    """Yield what the job's `map` or `map_block` yields over the source, unchecked.

    A skipper leaves out the records on which they fail.
    """
    if source.records is not None:
        return _map_records(job, source.records, position, skipper)
    assert source.blocks is not None
    if skipper is not None:
        return _map_blocks_skipping(job, source.blocks, position, skipper)
    return _map_blocks(job, source.blocks, position)


def _map_records(
    job: Job, records: Iterable[Pair], position: Position, skipper: Skipper | None
) -> Iterator[Any]:
    """Yield what the calls of `map` yield, one after the other; the chain walks them without us."""
    return chain.from_iterable(_calls(job, records, position, skipper))


def _calls(
    job: Job, records: Iterable[Pair], position: Position, skipper: Skipper | None
) -> Iterator[Iterable[Any]]:
    """Yield what each call of `map` returned. Whoever asks for the next has taken all pairs of it,
    so that an error in between is the error of the record at which the position stands."""
    if job.map_block is not None and type(job).map is Job.map:
        records = _no_records(job, records)
    user_map = job.map if skipper is None else skipper.guarded_map()
    pace, count, due = Pace(position.watcher), 0, 1
    for count, record in enumerate(records, 1):
        position.record = record
        key, value = record
        made = user_map(key, value)
        yield made if type(made) is GeneratorType else as_iterable(made, "map")
        position.record = None
        if count == due:
            due = pace.next(count)
    position.records = count


def _map_blocks(job: Job, blocks: Iterable[AnyBlock], position: Position) -> Iterator[Any]:
    made: Any
    for made in mapped_blocks(job, blocks, position):
        if isinstance(made, Block):
            raise UsageError(
                f"{type(job).__name__}.map_block returned a block; it must yield pairs here. "
                "Blocks are for load and transform."
            )
        yield from [made] if isinstance(made, Pairs) else as_iterable(made, "map_block")
        del made  # or it would be there while the next block is read


def _map_blocks_skipping(
    job: Job, blocks: Iterable[AnyBlock], position: Position, skipper: Skipper
) -> Iterator[Any]:
    map_block = _map_block_of(job)

    def single_pairs(block: AnyBlock) -> Iterator[Any]:
        return one_by_one(as_iterable(map_block(block), "map_block"))

    for block in _walked(blocks, position):
        yield from skipper.block_pairs(single_pairs, block)


def mapped_blocks(job: Job, blocks: Iterable[AnyBlock], position: Position) -> Iterator[Any]:
    """Yield what the job's `map_block` returns for each block."""

    def mapped(block: AnyBlock) -> Any:
        return _map_block_of(job)(block)

    return map(mapped, _walked(blocks, position))


def _walked(blocks: Iterable[AnyBlock], position: Position) -> Iterator[AnyBlock]:
    """Yield each block, with the position there until the next one is asked for."""
    for block in blocks:
        position.record = (block.offset if isinstance(block, TextBlock) else 0, block)
        yield block
        position.record = None
        position.records += rows_of(block)
        del block  # the next one needs the room
        position.watcher.tick()


def _map_block_of(job: Job) -> Callable[[Any], Any]:
    if job.map_block is None:
        raise UsageError(
            f"The input of {type(job).__name__} has columns, not records: give the job a "
            "map_block(block) in place of map(key, value)."
        )
    return job.map_block


def rows_of(block: AnyBlock) -> int:
    """Return how many rows or lines a block has."""
    if isinstance(block, Block):
        return len(block)
    return _line_ends(block.data) + (not block.data.endswith(b"\n"))


def _line_ends(data: bytes) -> int:
    """Count them; numpy, where it is loaded, is nine times as fast where lines are short."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return data.count(b"\n")
    return int(numpy.count_nonzero(numpy.frombuffer(data, numpy.uint8) == LINE_END))


def _no_records(job: Job, records: Iterable[Pair]) -> Iterator[Pair]:
    """Yield nothing; complain if there is a record."""
    for _ in records:
        raise UsageError(
            f"{type(job).__name__} has a map_block but its input has records, not blocks; "
            "give it a map(key, value)."
        )
    yield from ()
