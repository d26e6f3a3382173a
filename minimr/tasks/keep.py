"""A map task that stores what it makes as a resident partition, instead of shuffling it.

Loading a dataset and transforming one are map tasks of this sort. What is stored is one Block, if
the input is columns or the job's `map_block` returns Blocks, or else the pairs as emitted.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from minimr.block import Block
from minimr.counters import check_counters
from minimr.errors import UsageError
from minimr.job import Job
from minimr.shuffle.pairs import block_records
from minimr.tasks.emitted import as_iterable, checked_pairs, encoded
from minimr.tasks.failure import Position
from minimr.tasks.resident import store_block, store_pairs
from minimr.tasks.source import Source, emitted, mapped_blocks, rows_of
from minimr.tasks.spec import MapResult


def keep(job: Job, source: Source, path: Path, position: Position) -> MapResult:
    """Store what the job makes of its input at `path`. `records_out` counts rows or pairs."""
    made = _made(job, source, position)
    first = next(made, None)
    if isinstance(first, Block):
        block = Block.concat([first, *map(_only_block, made)])
        rows, size_bytes = len(block), store_block(path, block)
    else:
        pairs = chain([] if first is None else [first], made)
        pair_blocks = list(encoded(checked_pairs(pairs, "map")))
        rows, size_bytes = sum(map(block_records, pair_blocks)), store_pairs(path, pair_blocks)
    return MapResult(
        path=str(path),
        segments=None,
        segment_bytes=[],
        records_in=position.records,
        records_out=rows,
        bytes_out=size_bytes,
        counters=check_counters(job.counters),
    )


def _made(job: Job, source: Source, position: Position) -> Iterator[Any]:
    """Yield Blocks, or what should be pairs."""
    if source.blocks is None:
        yield from emitted(job, source, position)
    elif job.map_block is None:
        for block in source.blocks:
            position.records += rows_of(block)
            yield block
    else:
        for made in mapped_blocks(job, source.blocks, position):
            yield from [made] if isinstance(made, Block) else as_iterable(made, "map_block")


def _only_block(made: Any) -> Block:
    if not isinstance(made, Block):
        raise UsageError("map_block returned a Block once and pairs another time; make it one.")
    return made
