"""Named aggregates: Sum, Count, Min, Max, Mean and TopK, for `combine`, for `reduce`, or for both.

A combiner adds up a map task's values before they travel (Dean and Ghemawat, OSDI 2004, section
4.3). It may run zero or more times, so the reducer meets values that were combined and values that
were not. For a sum that makes no difference. For a mean it does: the mean of means is not the mean.

The way out is as old as data cubes (Gray et al. 1997, "algebraic" functions): an aggregate works
on *states*. `lift` makes a state of one value, `merge` makes fewer states of many, and `finish`
turns the last states into the answer. Mean's state is (sum, count). When an aggregate is the
combiner, the map task lifts every value exactly once, and merging then may happen anywhere and any
number of times; only the reducer finishes. Sum, Min, Max and TopK need no lifting: their states
are plain values.

Merging goes from left to right, by `+`. The built-in `sum` would not do: since Python 3.12 it
compensates rounding, and the result would depend on how often the combiner ran.

A sum that is no number is always the same NaN. There are many, and which of them inf - inf + nan
becomes depends on the order in which the processor gets the two; Python swaps them in a loop that
it has run a few times.
"""

import heapq
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from typing import Any, ClassVar

from minimr.errors import BadRecord, UsageError
from minimr.keys import preview

NAN = float("nan")
AT_ONCE = 1024
"""Values that are looked at together."""


class Aggregate(ABC):
    """What every aggregate can do; called as `aggregate(key, values)` it is a whole reducer."""

    lifts: ClassVar[bool] = False
    """Whether a state differs from a value, that is, whether `lift` does anything."""

    def lift(self, value: Any) -> Any:
        """Return the state of one value."""
        return value

    @abstractmethod
    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        """Return fewer states that stand for all the given ones (at least one)."""

    def settle(self, state: Any) -> Any:
        """Return the state as `merge` would, which somebody else has added up."""
        return state

    def finish(self, key: Any, states: list[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield the answer's pairs, given what the last `merge` returned."""
        for state in states:
            yield key, state

    def __call__(self, key: Any, values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield the answer's pairs for raw values, as a reducer does."""
        return self.finish(key, self.merge(key, map(self.lift, values)))


@dataclass(frozen=True)
class Sum(Aggregate):
    """Add the values from left to right: ints, floats, numpy arrays, whatever has `+`."""

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        return [one_nan(_fold("Sum", "add", operator.add, key, states))]

    def settle(self, state: Any) -> Any:
        return one_nan(state)


@dataclass(frozen=True)
class Count(Aggregate):
    """Count the values."""

    lifts: ClassVar[bool] = True

    def lift(self, value: Any) -> int:  # noqa: ARG002 - a count does not look at the value
        return 1

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        return [_fold("Count", "add", operator.add, key, states)]


@dataclass(frozen=True)
class Min(Aggregate):
    """Keep the smallest value, the first of equal ones."""

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        return [_fold("Min", "compare", min, key, states)]


@dataclass(frozen=True)
class Max(Aggregate):
    """Keep the largest value, the first of equal ones."""

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        return [_fold("Max", "compare", max, key, states)]


@dataclass(frozen=True)
class Mean(Aggregate):
    """The arithmetic mean. Its state is (sum, count), which a hand-written reducer would see."""

    lifts: ClassVar[bool] = True

    def lift(self, value: Any) -> tuple[Any, int]:
        return value, 1

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        def add(left: tuple[Any, int], right: tuple[Any, int]) -> tuple[Any, int]:
            return left[0] + right[0], left[1] + right[1]

        return [self.settle(_fold("Mean", "add", add, key, states))]

    def settle(self, state: Any) -> Any:
        total, count = state
        return one_nan(total), count

    def finish(self, key: Any, states: list[Any]) -> Iterator[tuple[Any, Any]]:
        for total, count in states:
            try:
                mean = total / count
            except TypeError as error:
                raise _cannot("Mean", "divide", key, error) from error
            yield key, mean


@dataclass(frozen=True)
class TopK(Aggregate):
    """Keep the `n` largest values, one pair each, the largest first; ties stay in order.

    A NaN is neither large nor small, so which values are the largest would depend on where it
    stands: it is an error, alone or within a tuple.
    """

    n: int

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise UsageError(f"TopK keeps a whole number of values, at least 1, not {self.n!r}.")

    def merge(self, key: Any, states: Iterable[Any]) -> list[Any]:
        try:
            return heapq.nlargest(self.n, _without_nan(key, states))
        except (TypeError, ValueError) as error:
            raise _cannot("TopK", "compare", key, error) from error


def check_pair(job: str, combine: Any, reducer: Any) -> None:
    """Raise UsageError if `reducer` would misread the states that the aggregate `combine` leaves.

    A hand-written reducer may read any states; another aggregate may only add up counts.
    """
    if not (isinstance(combine, Aggregate) and isinstance(reducer, Aggregate)):
        return
    if combine == reducer or (isinstance(combine, Count) and isinstance(reducer, Sum)):
        return
    raise UsageError(
        f"{job}: combine = {combine!r} does not go with reduce = {reducer!r}; "
        "use the same aggregate for both, or leave combine out."
    )


def one_nan(total: Any) -> Any:
    """Return the total, or NAN for a float that is no number."""
    return NAN if type(total) is float and total != total else total


def _without_nan(key: Any, values: Iterable[Any]) -> Iterator[Any]:
    """Pass values on. Raises BadRecord for a NaN."""

    def checked(some: list[Any]) -> list[Any]:
        if _holds_nan(some):
            raise BadRecord(
                f"TopK met a NaN among the values of the key {preview(key)}; it has no place in "
                "an order. Drop or replace it in map."
            )
        return some

    rest = iter(values)
    pieces = iter(lambda: list(islice(rest, AT_ONCE)), [])
    return chain.from_iterable(map(checked, pieces))


def _holds_nan(values: Sequence[Any]) -> bool:
    if any(map(operator.ne, values, values)):
        return True
    nested = {tuple, list} & set(map(type, values))
    return bool(nested) and any(_holds_nan(each) for each in values if type(each) in nested)


def _fold(
    name: str, verb: str, step: Callable[[Any, Any], Any], key: Any, states: Iterable[Any]
) -> Any:
    try:
        return reduce(step, states)
    except (TypeError, ValueError) as error:
        raise _cannot(name, verb, key, error) from error


def _cannot(name: str, verb: str, key: Any, error: Exception) -> BadRecord:
    return BadRecord(f"{name} cannot {verb} the values of the key {preview(key)}: {error}.")
