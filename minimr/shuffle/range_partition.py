"""Total order: which part gets a key if the parts are to follow one another (OSDI 2004, 5.3).

A hash spreads the keys evenly and tears their order apart. To sort a whole, part r must hold the
keys from one boundary to the next, and the boundaries must cut the input evenly. Where they lie is
not known before the input was read; but a sample tells it well enough. That is Hadoop's
TotalOrderPartitioner and TeraSort's, and the idea is sample sort's (Frazer and McKellar 1970).

How even? Let R parts be cut from s * R keys picked at random. The share of a part then varies by
about 1/sqrt(s) of itself, and a part is larger than 1 + e times its even share with a probability
of at most exp(-s e^2 / (2 (1 + e))) (Chernoff's bound; Blelloch et al. 1991 use it for sample
sort). With s = 1000, one standard deviation is 3 %, and of 64 parts none exceeds its share by more
than a fifth, but once in 100,000 sorts.

One key is never split, for its values must meet. So where a key is so frequent that it fills more
than a part, it gets a part of its own, the others share the rest evenly, and some may be empty.
That helps a job that needs no order, too (`balance_keys`), where a few keys hold most of the pairs.

Boundaries are R - 1 keys b[0] <= b[1] <= ...; part r holds the keys with b[r-1] <= key < b[r].
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from minimr.errors import BadRecord
from minimr.keys import key_kind, preview

LONGEST_BOUNDARY = 1_000
"""Characters or bytes of a boundary: it need be no key, and the beginning of one orders as well."""


def boundaries_of(sample: Iterable[Any], partitions: int) -> list[Any]:
    """Return the `partitions` - 1 boundaries that cut the sample most evenly.

    The keys are of one kind. An empty sample has no boundaries; all keys are then in part 0.
    """
    counts = sorted(Counter(sample).items())
    if not counts:
        return []
    upto = [0, *accumulate(count for _, count in counts)]
    keys = [key for key, _ in counts]
    boundaries: list[Any] = []
    start = 0
    for parts_left in range(partitions, 1, -1):
        start = _next_cut(upto, start, parts_left)
        if start == len(keys):
            break
        boundaries.append(_shortened(keys[start]))
    return boundaries


def _next_cut(upto: Sequence[int], start: int, parts_left: int) -> int:
    """Return where the next part begins if one begins at `start`: where it comes nearest to its
    share of what is left, but at least one key further."""
    goal = upto[start] + (upto[-1] - upto[start]) / parts_left
    cut = bisect_left(upto, goal)
    if goal - upto[cut - 1] < upto[cut] - goal:
        cut -= 1
    return max(cut, start + 1)


def _shortened(key: Any) -> Any:
    return key[:LONGEST_BOUNDARY] if type(key) in (str, bytes) else key


def range_partitions(keys: Sequence[Any], boundaries: Sequence[Any]) -> list[int]:
    """Return the part of each key. Raises BadRecord if keys and boundaries are of two kinds."""
    try:
        return [bisect_right(boundaries, key) for key in keys]
    except TypeError:
        raise _other_kind(keys, boundaries) from None


def range_borders(sorted_keys: Any, boundaries: Sequence[Any], partitions: int) -> list[int]:
    """Return the R + 1 positions at which the parts begin and end in a sorted column of keys.

    Whatever has a length and items will do: a list, an array, ByteStrings. Raises BadRecord as
    `range_partitions` does.
    """
    end = len(sorted_keys)
    try:
        cuts = [bisect_left(sorted_keys, boundary) for boundary in boundaries]
    except TypeError:
        raise _other_kind(sorted_keys, boundaries) from None
    return [0, *cuts, *[end] * (partitions - len(cuts))]


def _other_kind(keys: Sequence[Any], boundaries: Sequence[Any]) -> BadRecord:
    key, boundary = keys[0], boundaries[0]
    return BadRecord(
        f"Keys of two kinds meet in one job: {preview(boundary)} ({key_kind(boundary)}) in the "
        f"sample and {preview(key)} ({key_kind(key)}). Make map yield one kind of key."
    )
