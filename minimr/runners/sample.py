"""What the client looks at before a job of total order begins: a sample of the keys of its maps.

It takes a few records at each of many places, which are spread over all inputs by their bytes: one
place at random in each of equal stretches. If the input is shuffled, that is as good as records
picked one by one, and needs a fraction of their seeks; if it is sorted, where neighbours tell the
same, the stretches themselves bound the error to one of them. See `shuffle/range_partition.py`.

A place is a tiny split, read by the reader of every split and mapped by the job's own `map` (or
`map_block`, if it has no `map`): whatever the keys are made of, it is the keys that are sampled. It
runs in the client, as Hadoop's sampler does. Since a split owns the records that start in it, every
record has the same chance. Chance is a hash of the seed and the stretch, so that the same inputs
give the same boundaries, on every runner.

The first records stand for the whole of a compressed file, since it cannot be entered elsewhere.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from minimr.errors import MinimrError
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.job import Job
from minimr.shuffle.partition import stable_hash
from minimr.shuffle.range_partition import boundaries_of
from minimr.tasks.emitted import KeyGate, checked_pairs, one_by_one
from minimr.tasks.failure import is_users_fault, position_of
from minimr.tasks.sizes import size_of
from minimr.tasks.source import emitted, open_source
from minimr.tasks.spec import JobSpec
from minimr.tasks.watcher import NOBODY

KEYS_PER_PART = 1_000
PLACES_MIN, PLACES_PER_PART = 512, 32
PLACE_BYTES = 2 << 10
"""How far a place reaches at first; where too few records start in so little, it grows."""
GROWTH = 8
PLACES_BYTES_MAX = 16 << 20
"""How much all places together may grow to."""
KEYS_BYTES_MAX = 64 << 20
"""A sample of huge keys ends here."""
SEED = 0


def sampled_boundaries(
    job: Job, spec: JobSpec, splits: Sequence[Split], seed: int = SEED
) -> list[Any]:
    """Return the boundaries between the job's partitions: `spec.partitions` - 1 keys or fewer."""
    if spec.partitions == 1:
        return []
    wanted = KEYS_PER_PART * spec.partitions
    count = max(PLACES_MIN, PLACES_PER_PART * spec.partitions)
    place_bytes = PLACE_BYTES
    while True:
        places = list(_places(splits, count, place_bytes, wanted, seed))
        keys, full = _keys_at(job, spec, places)
        place_bytes *= GROWTH
        if full or len(keys) >= wanted // 2 or count * place_bytes > PLACES_BYTES_MAX:
            return boundaries_of(keys, spec.partitions)


@dataclass(frozen=True)
class _Place:
    """A tiny split, and how many of its records to take."""

    split: Split
    records_max: int


def _places(
    splits: Sequence[Split], count: int, place_bytes: int, wanted: int, seed: int
) -> Iterator[_Place]:
    """Yield where to look for `wanted` keys: everywhere in a small input, else at `count` places.

    They come in an order by chance, so that a sample that ends early is one of the whole, too.
    """
    plain = [split for split in splits if split.length != WHOLE_FILE]
    for split in splits:
        if split.length == WHOLE_FILE:
            yield _Place(split, wanted // len(splits) + 1)
    ends = list(accumulate(split.length for split in plain))
    total = ends[-1] if ends else 0
    if count * place_bytes >= total:
        yield from (_Place(split, total) for split in plain)
        return
    for stretch in sorted(range(count), key=stable_hash):
        start, end = total * stretch // count, total * (stretch + 1) // count
        position = start + stable_hash((seed, stretch)) % (end - start)
        number = bisect_right(ends, position)
        split = plain[number]
        offset = split.offset + split.length - (ends[number] - position)
        length = min(place_bytes, ends[number] - position)
        yield _Place(replace(split, offset=offset, length=length), wanted // count + 1)


def _keys_at(job: Job, spec: JobSpec, places: Sequence[_Place]) -> tuple[list[Any], bool]:
    """Return the keys that the job maps the records of some places to, and whether they are so
    large that the last places were left out."""
    keys: list[Any] = []
    gate = KeyGate("map", secondary_sort=job.secondary_sort)
    left_bytes = KEYS_BYTES_MAX
    mapper = spec.new_job(type(job))
    if type(job).map is not Job.map:
        mapper.map_block = None  # The records of a place are few, and need no numpy.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for place in places:
            before = len(keys)
            keys += _keys_of(mapper, spec, place, gate)
            left_bytes -= sum(map(size_of, keys[before:]))
            if left_bytes < 0:
                return keys, True
    return keys, False


def _keys_of(job: Job, spec: JobSpec, place: _Place, gate: KeyGate) -> list[Any]:
    """Return the keys of one place. What the job prints there, and the records on which it fails,
    are the map task's to report, which meets them again."""
    keys: list[Any] = []
    task = spec.map_task(0, place.split.to_dict())
    position = position_of("the sample", False, NOBODY)
    try:
        yielded = one_by_one(emitted(job, open_source(job, task, position), position))
        for key, _ in islice(checked_pairs(yielded, "map", gate), place.records_max):
            keys.append(key[0] if job.secondary_sort else key)
    except BaseException as error:
        if not (is_users_fault(error) or isinstance(error, MinimrError)):
            raise
    return keys
