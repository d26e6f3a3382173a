"""Hot keys: the few keys that hold a large share of a map task's pairs.

All pairs of a key meet in one reduce call, so a key that holds a third of them keeps one reducer
busy while the others have finished. Which keys those are is found while the map runs, and for
almost nothing: whenever the pairs are sorted for a spill or for the output, their groups are there
to be counted. Of each such batch the KEPT_MAX largest groups are kept, and batches are added up.

A sketch that keeps few counters must err somewhere (Misra and Gries 1982; merging such summaries:
Agarwal et al., PODS 2012). This one errs by leaving out: a key that is not among the largest of a
batch has less than 1/KEPT_MAX of the batch's pairs, so no count is too small by more than
1/KEPT_MAX of all pairs, and none is too large. A key above the HOT_SHARE is never missed.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from minimr.keys import preview
from minimr.shuffle.partition import stable_hash

Group = tuple[Any, list[Any]]

KEPT_MAX = 32
HOT_SHARE = 1 / 16
LARGE_GROUP = 32
LONG_KEY = 10_000
"""Characters of a key that is known by its preview and its hash: nobody needs it whole."""
HOT_PAIRS_MIN = 1_000
"""Below that nobody waits for a key, whatever its share."""


@dataclass(frozen=True)
class _LongKey:
    """Stands for a key that would take much memory."""

    shown: str
    number: int


def _shown(key: Any) -> str:
    return key.shown if isinstance(key, _LongKey) else preview(key)


class HotKeys:
    """Counts of the largest groups, over all batches of one map task.

    With `by_group` the keys that are counted are pairs (group, order), and it is groups that are
    hot (see secondary_sort.py).
    """

    def __init__(self, *, by_group: bool = False) -> None:
        self._by_group = by_group
        self._counts: dict[Any, int] = {}
        self._pairs = 0

    def add(self, groups: Iterable[tuple[Any, int]], pairs: int) -> None:
        """Count a batch of `pairs` pairs, given as (key, its pairs); small groups may be left out.

        Of groups of one size, those that come first are kept.
        """
        self._pairs += pairs
        largest = heapq.nlargest(KEPT_MAX, groups, key=lambda group: group[1])
        for key, count in largest:
            if type(key) in (str, bytes) and len(key) > LONG_KEY:
                key = _LongKey(preview(key), stable_hash(key))
            self._counts[key] = self._counts.get(key, 0) + count

    def counting(self, groups: Iterable[Group]) -> Iterator[Group]:
        """Pass on a batch's keys, in order and each with its values, and count them."""
        return self._counting_runs(groups) if self._by_group else self._counting(groups)

    def _counting(self, groups: Iterable[Group]) -> Iterator[Group]:
        large: list[tuple[Any, int]] = []
        pairs = 0
        for group in groups:
            count = len(group[1])
            pairs += count
            if count >= LARGE_GROUP:
                large.append((group[0], count))
            yield group
        self.add(large, pairs)

    def _counting_runs(self, groups: Iterable[Group]) -> Iterator[Group]:
        """Count neighbours together whose keys have the same first half."""
        large: list[tuple[Any, int]] = []
        pairs = 0
        for first, members in groupby(groups, key=lambda group: group[0][0]):
            count = 0
            for member in members:
                count += len(member[1])
                yield member
            pairs += count
            if count >= LARGE_GROUP:
                large.append((first, count))
        self.add(large, pairs)

    def found(self) -> list[dict[str, Any]]:
        """Return {"key": its preview, "pairs": how many} for each hot key, the hottest first."""
        least = max(HOT_PAIRS_MIN, self._pairs * (HOT_SHARE - 1 / KEPT_MAX))
        hot = [(key, count) for key, count in self._counts.items() if count >= least]
        hot.sort(key=lambda item: -item[1])
        return [{"key": _shown(key), "pairs": count} for key, count in hot]
