"""What a reduce task merges: everything in memory, or as many segments at once as memory allows.

There is a segment of every map task. If their pairs fit into the task's memory, they are merged
there. If not, a merge streams, and holds a block of each segment; with thousands of maps that is
still too much, and so neighbours are first merged into longer runs on disk (shuffle/passes.py).
The order of the pairs, and so the result, is the same each way.

How large a segment is says little about what its pairs take: it may be compressed, and one record
may be larger than a block should be. So blocks are loaded and looked at: until they are too many
for memory, or for one merge. What was loaded goes first.
"""

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter, itemgetter
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from minimr.shuffle.compression import NONE, compressed
from minimr.shuffle.merge import merge
from minimr.shuffle.nameless_file import NamelessFile
from minimr.shuffle.pairs import Pairs, StoredPairs
from minimr.shuffle.passes import FAN_IN_MIN, block_bytes_for, fan_in_for, next_pass
from minimr.shuffle.segments import Blocks
from minimr.tasks.emitted import measured
from minimr.tasks.watcher import NOBODY, Watcher

Item = TypeVar("Item")
Segment = Iterator[Pairs]
DECODED_TIMES = 4
"""Encoded pairs take up to about this many times their size once decoded."""
PAIR_BYTES = 40
"""A pair that is grouped key by key counts as so many encoded bytes at least: however little was
stored of it, its key may need an entry, a list and an object of its own."""


def loaded(
    segments: Sequence[Segment], memory_bytes: int, pair_bytes: int = 0
) -> tuple[bool, list[Segment]]:
    """Tell whether the segments' pairs fit into the memory; return the segments whole.

    A pair counts as `pair_bytes` encoded bytes at least.
    """
    whole = list(segments)
    left_bytes = memory_bytes // DECODED_TIMES
    for number, segment in enumerate(segments):
        blocks: deque[Pairs] = deque()
        whole[number] = first(blocks, segment)
        for block in segment:
            blocks.append(block)
            left_bytes -= _size_of(block, pair_bytes)
            if left_bytes < 0:
                return False, whole
    return True, whole


def largest_block(segments: Sequence[Segment]) -> int:
    """Return the bytes of the largest block of all segments, as far as they can tell."""
    if len(segments) <= FAN_IN_MIN:  # so few are merged at once, however large
        return 0
    return max((each.largest_bytes() for each in segments if isinstance(each, Blocks)), default=0)


def _size_of(block: Pairs, pair_bytes: int = 0) -> int:
    """Return the bytes that a block takes as it was read; one made by hand is in memory anyway."""
    if not isinstance(block, StoredPairs):
        return 0
    return max(block.size_bytes, block.records * pair_bytes)


def first(items: deque[Item], rest: Iterator[Item]) -> Iterator[Item]:
    """Return what yields the items, and holds none that was yielded; then the rest."""
    return chain(_emptied(items), rest)


def _emptied(items: deque[Item]) -> Iterator[Item]:
    while items:
        yield items.popleft()


def _in_one_partition(block: bytes) -> tuple[int, bytes]:
    return 0, block


class Passes:
    """Merges segments until one merge can take what is left; a context manager.

    Runs on the way lie in `directory`; if there is none, where Python puts temporary files.
    """

    def __init__(
        self,
        by_columns: bool,
        memory_bytes: int,
        compress: str = NONE,
        directory: Path | None = None,
        watcher: Watcher = NOBODY,
    ) -> None:
        self._by_columns = by_columns
        self._memory_bytes = memory_bytes
        self._block_bytes = block_bytes_for(memory_bytes)
        self._compress = compress
        self._file = NamelessFile(directory or Path(tempfile.gettempdir()), "merged runs")
        self._end = 0
        self._watcher = watcher

    def few_enough(self, segments: Sequence[Segment], largest_bytes: int = 0) -> list[Segment]:
        """Return as many segments as can be merged at once, with the same pairs in their order.

        The largest block of all has `largest_bytes`.
        """
        runs = list(segments)
        while len(runs) > (fan_in := self._fan_in(runs, largest_bytes)):
            groups = next_pass(len(runs), fan_in)
            runs = [self._one_run(runs[group.start : group.stop]) for group in groups]
        return runs

    def _fan_in(self, runs: list[Segment], largest_bytes: int) -> int:
        """Return how many runs may be merged at once; their first blocks are looked at, too."""
        fan_in = fan_in_for(self._memory_bytes, self._block_bytes, largest_bytes)
        left_bytes = fan_in * self._block_bytes
        for number, run in enumerate(runs[:fan_in]):
            blocks = deque(islice(run, 1))
            runs[number] = first(blocks, run)
            left_bytes -= sum(map(_size_of, blocks))
            if left_bytes < 0:
                return max(FAN_IN_MIN, number)
        return fan_in

    def _one_run(self, runs: list[Segment]) -> Segment:
        if len(runs) == 1:
            return runs[0]
        blocks = self._by_block(runs) if self._by_columns else self._by_key(runs)
        # A generator expression would hold a block while the next one is made.
        stored = compressed(map(_in_one_partition, blocks), self._compress)
        return self._kept(map(itemgetter(1), stored))

    def _kept(self, blocks: Iterable[bytes]) -> Segment:
        """Write a run now; return its blocks, to be read later."""
        start = self._end
        for block in blocks:
            self._watcher.tick()
            self._file.write(block, self._end, "merged runs")
            self._end += len(block)
            del block  # the next one needs the room
        return self._file.read(start, self._end - start)

    def _by_key(self, runs: list[Segment]) -> Iterator[bytes]:
        return measured(merge(runs, in_memory=False), self._block_bytes)

    def _by_block(self, runs: list[Segment]) -> Iterator[bytes]:
        from minimr.shuffle.merge_columns import in_blocks, merge_columns
        from minimr.shuffle.pairs import encode_columns
        from minimr.tasks.column_reduce import as_columns

        chunks = merge_columns([map(as_columns, run) for run in runs], in_memory=False)
        pieces = map(attrgetter("keys", "values"), chunks)
        for pair in in_blocks(pieces, self._block_bytes):
            yield encode_columns(*pair)
            del pair  # the next ones need the room

    def __enter__(self) -> "Passes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
