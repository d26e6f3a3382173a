"""Secondary sort: the values of a key arrive in an order that the job chooses.

The shuffle sorts by key and leaves values as they came, so that a reducer which needs them in order
of, say, time would have to hold and sort them all. But the shuffle sorts anyway, and on disk. So
put what orders the values into the key, and let three things look at different parts of it
(Dean and Ghemawat, OSDI 2004, section 4.2, promise the sorted keys on which this rests; Lin and
Dyer call it value-to-key conversion; Hadoop's three classes are a partitioner, a sort comparator
and a grouping comparator, Spark's call is repartitionAndSortWithinPartitions):

    a key is a pair (group, order)
    the partition is chosen by the group        all pairs of a group meet in one reduce task
    the sort is by the whole key                within a group the orders increase
    one reduce call is made for each group      it walks over (order, value), however many

Pairs of equal keys keep the order of the map tasks, then of emission, as everywhere.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from minimr.errors import BadRecord
from minimr.keys import preview
from minimr.shuffle.merge import Group

if TYPE_CHECKING:
    from minimr.shuffle.columns import Column


def check_key(key: Any, function: str) -> None:
    """Raise BadRecord unless the key is a pair. `function` is what yielded it."""
    if type(key) is not tuple or len(key) != 2:
        raise BadRecord(
            f"{function} yielded the key {preview(key)}; with secondary_sort a key is a pair "
            "(group, order)."
        )


def by_group(choose: Callable[[list[Any]], list[int]]) -> Callable[[list[Any]], list[int]]:
    """Return a function of whole keys that gives to `choose` their groups alone."""
    return lambda keys: choose([group for group, _ in keys])


def groups_of(keys: Any) -> "Column":
    """Return the column of the groups of a column of keys."""
    places = getattr(keys, "places", None)
    return [group for group, _ in keys] if places is None else places[0]


def one_call_each(sorted_groups: Iterator[Group]) -> Iterator[Group]:
    """Turn (key, values) in order of key into (group, iterator over its (order, value) pairs).

    A group's iterator ends when the next group is asked for.
    """
    for group, members in groupby(sorted_groups, key=lambda each: each[0][0]):
        yield group, _in_order(members)


def _in_order(members: Iterator[Group]) -> Iterator[tuple[Any, Any]]:
    for (_, order), values in members:
        for value in values:
            yield order, value
