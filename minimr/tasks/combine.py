"""A job's `combine` and `reduce` as plain functions, written by hand or named aggregates."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minimr.aggregates import Aggregate
from minimr.errors import BadRecord
from minimr.job import Job, Pair
from minimr.keys import preview
from minimr.tasks.emitted import as_iterable, as_pair

Combine = Callable[[Any, Iterable[Any]], list[Any]]
"""A key and its values (or states) to fewer of them."""
Reduce = Callable[[Any, Iterator[Any]], Iterable[Pair]]


def combiner_of(job: Job) -> Combine | None:
    """Return what shrinks the values of one key, or None if the job has no combiner."""
    combine = job.combine
    if combine is None:
        return None
    if isinstance(combine, Aggregate):
        return combine.merge

    def shrink(key: Any, values: Iterable[Any]) -> list[Any]:
        kept = []
        for yielded in as_iterable(combine(key, iter(values)), "combine"):
            if type(yielded) is not tuple or len(yielded) != 2:
                yielded = as_pair(yielded, "combine")
            own_key, value = yielded
            if own_key != key:
                raise BadRecord(
                    f"combine yielded the key {preview(own_key)} for the key {preview(key)}; "
                    "it must keep the key it was given."
                )
            kept.append(value)
        return kept

    return shrink


def lift_of(job: Job) -> Callable[[Any], Any] | None:
    """Return what turns each emitted value into a combiner's state, or None if nothing need."""
    if isinstance(job.combine, Aggregate) and job.combine.lifts:
        return job.combine.lift
    return None


def reducer_of(job: Job) -> Reduce:
    """Return the reduce function; after an aggregate's combiner it goes on from the states."""
    reducer: Any = job.reduce
    if not (isinstance(reducer, Aggregate) and reducer == job.combine):
        function: Reduce = reducer
        return function

    def finish(key: Any, states: Iterator[Any]) -> Iterator[Pair]:
        return reducer.finish(key, reducer.merge(key, states))

    return finish
