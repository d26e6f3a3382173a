"""Named aggregates over columns: the answer of `minimr/aggregates.py` to the last bit, vectorised.

What an aggregate means is said there, value by value. Here the same is done for all groups of a
sorted column at once, wherever numpy gives the same result; everywhere else the aggregate's own
`merge` runs for each key. Four places need care.

    Sums of floats go from left to right. `np.add.reduceat` adds in pairs, which rounds otherwise;
    `np.add.at` takes the values in their order. It starts from -0.0, the one float that any other
    can be added to without a change.
    Sums of ints have no bounds in Python. Groups that might leave int64 are added up by Python.
    A sum that is no number is the NaN that `minimr/aggregates.py` takes.
    Of equal floats the first stays, and -0.0 equals 0.0. Minima are looked up again for the sign.

A fold is *exact* if merging values in any grouping gives the same bits: for ints always, for sums
of floats never. Only exact folds may run on a run of values that is not the first of its map task;
so the result does not depend on how often memory was full.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from minimr.aggregates import NAN, Aggregate, Count, Max, Mean, Min, Sum, TopK
from minimr.block import Groups
from minimr.shuffle.byte_strings import ByteStrings
from minimr.shuffle.columns import (
    Column,
    Tuples,
    concat,
    cut,
    is_array,
    item,
    items,
    starts,
    take,
    typed,
)  # fmt: skip
from minimr.shuffle.merge_columns import Chunk
from minimr.shuffle.order import field, order_of_fields, sortable

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Merge = Callable[[Any, Iterable[Any]], list[Any]]
"""A key and its values, or states, to fewer states."""

SAFE_SUM = float(1 << 62)
ROUNDS_SHARE = 20
"""Rows are added in rounds over all groups if the longest group is this much shorter than all."""


@dataclass(frozen=True)
class Fold:
    """A combiner, or an aggregate as a reducer: by hand for each key, and perhaps vectorised."""

    merge: Merge
    aggregate: Aggregate | None = None

    def lift(self, values: Column) -> Column:
        """Return the states of raw values."""
        if isinstance(self.aggregate, Count):
            return np.ones(len(values), np.int64)
        if isinstance(self.aggregate, Mean):
            return Tuples((values, np.ones(len(values), np.int64)))
        return values

    def is_exact(self, states: Column) -> bool:
        """Tell whether the states may be merged in any grouping without a change in the result."""
        if isinstance(self.aggregate, Sum | Count | Mean):
            if isinstance(states, Tuples):
                return all(map(self.is_exact, states.places))
            return (isinstance(states, np.ndarray) and states.dtype.kind in "iu") or (
                isinstance(states, list) and set(map(type, states)) <= {int}
            )
        if isinstance(self.aggregate, Min | Max | TopK):
            return _is_ordered(states)
        return False

    def groups(self, groups: Groups) -> tuple[Column, Column]:
        """Return the states of each group, and its key once for each of them."""
        vectorised = FOLDS.get(type(self.aggregate))
        folded = vectorised(self.aggregate, groups) if vectorised else None
        return self._by_hand(groups) if folded is None else folded

    def chunks(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Column, Column]]:
        """Yield keys and states of sorted chunks, as `groups` does, one key's all at once."""
        carried: tuple[Column, Column] | None = None
        for chunk in chunks:
            keys, values = chunk.keys, chunk.values
            if carried is not None:
                keys, values = concat([carried[0], keys]), concat([carried[1], values])
                carried = None
            keys, states = self.groups(Groups(keys, values, starts(keys)))
            if chunk.open:
                last = int(starts(keys)[-1])
                carried = cut(keys, last, len(keys)), cut(states, last, len(keys))
                keys, states = cut(keys, 0, last), cut(states, 0, last)
            yield keys, states
        if carried is not None:
            yield carried

    def finish(self, keys: Column, states: Column) -> tuple[Column, Column]:
        """Return the answer's keys and values."""
        if not isinstance(self.aggregate, Mean):
            return keys, states
        if isinstance(states, Tuples):
            totals, counts = states.places
            if is_array(counts, np.int64) and _divides_exactly(totals):
                with np.errstate(all="ignore"):
                    return keys, totals / counts
        finish = self.aggregate.finish
        pairs = zip(items(keys), items(states), strict=True)
        return keys, typed([mean for key, state in pairs for _, mean in finish(key, [state])])

    def _by_hand(self, groups: Groups) -> tuple[Column, Column]:
        merged = [self.merge(key, values) for key, values in _each(groups)]
        counts = np.fromiter(map(len, merged), np.int64, len(merged))
        keys = take(groups.keys, np.repeat(groups.starts, counts))
        return keys, typed([state for states in merged for state in states])


def _each(groups: Groups) -> Iterator[tuple[Any, list[Any]]]:
    values = items(groups.values)
    bounds = [*groups.starts.tolist(), len(values)]
    for start, end in pairwise(bounds):
        yield item(groups.keys, start), values[start:end]


def _is_ordered(states: Column) -> bool:
    """Tell whether any two of the states can be compared, so that the order of merging is one."""
    if isinstance(states, list):
        kinds = set(map(type, states))
        return len(kinds) <= 1 and kinds <= {int, str, bytes}
    if is_array(states, np.float64):
        return not np.isnan(states).any()
    return is_array(states) or isinstance(states, ByteStrings)


def _divides_exactly(totals: Column) -> bool:
    """Python divides ints of any size exactly; numpy rounds them to floats first."""
    if is_array(totals, np.int64):
        return not len(totals) or bool((np.abs(totals) < 1 << 53).all())
    return is_array(totals, np.float64)


def _firsts(groups: Groups) -> Column:
    return take(groups.keys, groups.starts)


def _sum(_aggregate: Any, groups: Groups) -> tuple[Column, Column] | None:
    totals = _totals(groups.values, groups.starts)
    return None if totals is None else (_firsts(groups), totals)


def _mean(_aggregate: Any, groups: Groups) -> tuple[Column, Column] | None:
    if not isinstance(groups.values, Tuples) or len(groups.values.places) != 2:
        return None
    totals, counts = (_totals(place, groups.starts) for place in groups.values.places)
    if totals is None or counts is None:
        return None
    return _firsts(groups), Tuples((totals, counts))


def _totals(values: Column, begins: Ints) -> Column | None:
    """Return the sum of each group, or None if numpy's would differ from Python's."""
    if not isinstance(values, np.ndarray) or not values.dtype.isnative or not len(values):
        return None
    if values.ndim > 1:
        return _row_totals(values, begins)
    if values.dtype == np.float64:
        totals = np.full(len(begins), -0.0)
        with np.errstate(all="ignore"):
            np.add.at(totals, _group_of_each(begins, len(values)), values)
        totals[np.isnan(totals)] = NAN
        return totals
    return _int_totals(values, begins) if values.dtype == np.int64 else None


def _int_totals(values: Array, begins: Ints) -> Column:
    totals = np.add.reduceat(values, begins)
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * int(_lengths(begins, len(values)).max()) < SAFE_SUM:
        return totals
    at_most = np.add.reduceat(np.abs(values.astype(np.float64)), begins)
    unsafe = np.flatnonzero(at_most >= SAFE_SUM).tolist()
    if not unsafe:
        return totals
    exact: list[int] = totals.tolist()
    ends = [*begins[1:].tolist(), len(values)]
    for group in unsafe:
        exact[group] = sum(values[int(begins[group]) : ends[group]].tolist())
    return typed(exact)


def _row_totals(rows: Array, begins: Ints) -> Array:
    """Add vectors or matrices from left to right: round k adds row k of every group that has it."""
    lengths = _lengths(begins, len(rows))
    totals = rows[begins]
    longest = int(lengths.max())
    with np.errstate(all="ignore"):
        if longest * ROUNDS_SHARE > len(rows):
            for group, (begin, length) in enumerate(
                zip(begins.tolist(), lengths.tolist(), strict=True)
            ):
                for row in rows[begin + 1 : begin + length]:
                    totals[group] += row
            return totals
        by_length = np.argsort(-lengths, kind="stable")
        for place in range(1, longest):
            longer = by_length[: int(np.count_nonzero(lengths > place))]
            totals[longer] += rows[begins[longer] + place]
    return totals


def _extreme(aggregate: Any, groups: Groups) -> tuple[Column, Column] | None:
    """Min and Max: of equal values the first."""
    values, begins = groups.values, groups.starts
    if not is_array(values) or not len(values):
        return None
    ufunc = np.minimum if isinstance(aggregate, Min) else np.maximum
    if values.dtype == np.float64:
        if np.isnan(values).any():
            return None
        return _firsts(groups), _first_zeros(ufunc.reduceat(values, begins), values, begins)
    return _firsts(groups), ufunc.reduceat(values, begins)


def _first_zeros(results: Array, values: Array, begins: Ints) -> Array:
    """Where a group's result is a zero, take the first zero of the group, which has its sign."""
    zeros = np.flatnonzero(values == 0)
    if len(zeros) and np.signbit(values[zeros]).any():
        groups, firsts = np.unique(np.searchsorted(begins, zeros, "right") - 1, return_index=True)
        at_zero = results[groups] == 0
        results[groups[at_zero]] = values[zeros[firsts[at_zero]]]
    return results


def _top(aggregate: Any, groups: Groups) -> tuple[Column, Column] | None:
    values = groups.values
    if not is_array(values, np.int64, np.float64) or not _is_ordered(values):
        return None
    group = _group_of_each(groups.starts, len(values))
    places = order_of_fields(
        [field(group.astype(np.uint64)), field(~sortable(values))], len(values)
    )
    ranks = np.arange(len(values)) - groups.starts[group]
    kept = ranks < aggregate.n
    return take(groups.keys, groups.starts[group[kept]]), values[places[kept]]


def _lengths(begins: Ints, count: int) -> Ints:
    return np.diff(begins, append=count)


def _group_of_each(begins: Ints, count: int) -> Ints:
    return np.repeat(np.arange(len(begins)), _lengths(begins, count))


FOLDS: dict[type, Callable[[Any, Groups], tuple[Column, Column] | None]] = {
    Sum: _sum,
    Count: _sum,
    Mean: _mean,
    Min: _extreme,
    Max: _extreme,
    TopK: _top,
}
