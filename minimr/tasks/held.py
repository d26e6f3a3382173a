"""What a map task holds in memory of the pairs it was given, by key, until it is sorted or spilled.

Two ways. *Lists* keep all values of a key, in order of emission; a combiner shrinks them from time
to time. *States* need no values where a named aggregate combines: each value is added to its key's
state at once, from left to right, which is what the combiner would do later. That saves the lists,
and so most of the time and memory of a job that counts.

Both take the pairs of many records in one loop, the one that every pair of a job goes through. So
it tests for the common case and leaves all others to functions, and it asks for a key's entry as if
it were there: for most pairs it is, and an exception costs nothing as long as none is raised. Where
a job's code proves what its pairs are (proof.py), only keys that are new are looked at.

Numpy scalars become Python's numbers before they are combined, as they would if they were spilled:
200 + 200 is 400, and not the 144 of uint8, whatever the memory.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import add
from typing import Any, Protocol

from minimr.aggregates import Aggregate, Count, Max, Mean, Min, Sum, TopK
from minimr.job import Job
from minimr.keys import key_kind, plain_key
from minimr.tasks.combine import combiner_of, lift_of
from minimr.tasks.emitted import KeyGate, as_pair
from minimr.tasks.failure import Position
from minimr.tasks.proof import yields_constant_ints
from minimr.tasks.sizes import (
    ENTRY_BYTES,
    GROUP_BYTES,
    LARGE_BYTES,
    POINTER_BYTES,
    SIZED_TYPES,
    exact_size_of,
    is_large,
    own_size_of,
    size_of,
    stands_out,
)  # fmt: skip

SAMPLE_EVERY = 16
"""Entries of which one is measured."""
TRIED_MAX = 256
"""Keys with which a combiner is given a chance: if it shortens no list of theirs, it gets no
others."""
FLAT = (int, float, bool)
"""Types of states that do not grow as values are added (or by a few bytes)."""
EQUAL_IS_SAME = (str, bytes)
"""Types of keys that nothing of another kind is equal to, as 1.0 is to 1."""


class Held(Protocol):
    """Values or states by key; `size_bytes` estimates how much memory they take.

    `largest_bytes` is the size of the largest key or value that is_large; 0 if there was none.
    """

    size_bytes: int
    largest_bytes: int

    def __len__(self) -> int:
        """Return the number of keys."""

    def take(self, pairs: Iterator[Any], count: int) -> tuple[Any, Any] | None:
        """Take at most `count` pairs, up to a large one; return the last, or None if there is none.

        Raises BadRecord for what is no pair or key.
        """

    def shrink(self, after_exact: bool) -> None:
        """Combine what can be combined, and estimate the size anew.

        `after_exact` tells whether all that was spilled before is exact.
        """

    def is_exact(self) -> bool:
        """Tell whether an aggregate may merge what is held with what comes in any grouping."""

    def keys(self) -> Iterable[Any]:
        """Return the keys."""

    def pop(self, key: Any) -> list[Any]:
        """Remove a key and return its values or states, in order."""


def held_for(job: Job, gate: KeyGate, position: Position, *, first: bool) -> Held:
    """Return what holds a task's pairs, at first or after a spill.

    After a spill, what comes later must not be added up before it is added to what was spilled,
    unless it makes no difference: floats would be rounded otherwise, and the last bits of the
    result would tell how much memory there was. So Lists are used, which combine what is *exact*
    if all before it is: 0.5 + (a + b) is not (0.5 + a) + b, though a and b be ints.
    """
    step = STEPS.get(type(job.combine))
    if first and step is not None:
        assert isinstance(job.combine, Aggregate)
        proven = yields_constant_ints(job)
        return States(job.combine, step, gate, position, proven=proven)
    return Lists(job, gate, position)


class Lists:
    """All values of each key, in order; a Held."""

    def __init__(self, job: Job, gate: KeyGate, position: Position) -> None:
        self.size_bytes = self.largest_bytes = 0
        self._value_bytes = self._key_bytes = 0
        self._combine = combiner_of(job)
        self._aggregate = job.combine if isinstance(job.combine, Aggregate) else None
        self._lift = lift_of(job)
        self._gate = gate
        self._position = position
        self._lists: dict[Any, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._lists)

    def take(self, pairs: Iterator[Any], count: int) -> tuple[Any, Any] | None:
        keys_before = len(self._lists)
        last = self._append(pairs)
        if last is not None:
            key, value = last
            new_keys = len(self._lists) - keys_before
            large_bytes = _large_bytes(key, value, new_keys)
            if not large_bytes:
                self._value_bytes, self._key_bytes = own_size_of(value), size_of(key)
            self.largest_bytes = max(self.largest_bytes, large_bytes)
            self.size_bytes += large_bytes
            self.size_bytes += count * (POINTER_BYTES + self._value_bytes)
            self.size_bytes += new_keys * (GROUP_BYTES + self._key_bytes)
        return last

    def shrink(self, after_exact: bool) -> None:
        if self._combine is None or not (self._aggregate is None or after_exact):
            return
        every, measure = (1, exact_size_of) if self.largest_bytes else (SAMPLE_EVERY, size_of)
        sampled, sampled_bytes, tried, useful = 0, 0, 0, 0
        with self._position.during("combine"):
            for number, (key, values) in enumerate(self._lists.items()):
                if (
                    len(values) > 1
                    and (useful or tried < TRIED_MAX)
                    and (self._aggregate is None or exact(self._aggregate, values))
                ):
                    self._position.key = key
                    combined = self._combine(key, values)
                    tried += 1
                    useful += len(combined) < len(values)
                    values = self._lists[key] = combined
                if number % every == 0:
                    sampled += 1
                    sampled_bytes += GROUP_BYTES + size_of(key) + measure(values)
        self.size_bytes = sampled_bytes * len(self._lists) // max(1, sampled)

    def is_exact(self) -> bool:
        everything = chain.from_iterable(self._lists.values())
        return self._aggregate is None or exact(self._aggregate, list(everything))

    def keys(self) -> Iterable[Any]:
        return self._lists.keys()

    def pop(self, key: Any) -> list[Any]:
        return self._lists.pop(key)

    def _append(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        lists, gate, lift, combines = self._lists, self._gate, self._lift, self._combine is not None
        careful = self.largest_bytes > 0
        key: Any = None
        value: Any = None
        fast_type, plain_type, pair = gate.fast_type, int, None
        for pair in pairs:
            if type(pair) is not tuple:
                pair = as_pair(pair, "map")
            try:
                key, value = pair
            except ValueError:
                as_pair(pair, "map")  # raises: the tuple is too long or too short
            if type(key) is not fast_type:
                key = gate.admit(key)
                fast_type = gate.fast_type
            if combines and type(value) is not plain_type:
                value = plain_key(value)
                plain_type = type(value)
            if lift is not None:
                value = lift(value)
            try:
                lists[key].append(value)
            except KeyError:
                if key != key:
                    key_kind(key)  # raises: a NaN is equal to nothing, not even itself
                lists[key] = [value]
                kind = type(key)
                if kind is not int and (
                    len(key) > LARGE_BYTES if kind in SIZED_TYPES else careful and is_large(key)
                ):
                    break
            kind = type(value)
            if kind is not int and (
                len(value) > LARGE_BYTES if kind in SIZED_TYPES else careful and is_large(value)
            ):
                break
        return None if pair is None else (key, value)


class States:
    """The state of each key, to which every value is added as it comes; a Held."""

    def __init__(
        self,
        aggregate: Aggregate,
        step: "Step",
        gate: KeyGate,
        position: Position,
        *,
        proven: bool = False,
    ) -> None:
        """With `proven`, all that will be taken is known to be pairs with an int as the value."""
        self.size_bytes = self.largest_bytes = 0
        self._value_bytes = self._entry_bytes = 0
        self._aggregate = aggregate
        self._step = step
        self._proven = proven
        self._lift = aggregate.lift if aggregate.lifts else None
        self._gate = gate
        self._position = position
        self._states: dict[Any, Any] = {}
        self._grow = False

    def __len__(self) -> int:
        return len(self._states)

    def take(self, pairs: Iterator[Any], count: int) -> tuple[Any, Any] | None:
        keys_before = len(self._states)
        last = self._way()(pairs)
        if last is not None:
            key, value = last
            new_keys = len(self._states) - keys_before
            large_bytes = _large_bytes(key, value, new_keys)
            if not large_bytes:
                self._value_bytes = size_of(value)
                self._entry_bytes = ENTRY_BYTES + size_of(key) + self._value_bytes
            self.largest_bytes = max(self.largest_bytes, large_bytes)
            self.size_bytes += large_bytes + new_keys * self._entry_bytes
            if type(value) not in FLAT:
                self._grow = True
                self.size_bytes += (count - new_keys) * self._value_bytes
        return last

    def shrink(self, after_exact: bool) -> None:  # noqa: ARG002 - nothing was spilled before
        if not self._grow:
            return
        every = 1 if self.largest_bytes else SAMPLE_EVERY
        sample = [
            ENTRY_BYTES + size_of(key) + size_of(state)
            for number, (key, state) in enumerate(self._states.items())
            if number % every == 0
        ]
        self.size_bytes = sum(sample) * len(self._states) // max(1, len(sample))

    def is_exact(self) -> bool:
        return exact(self._aggregate, list(self._states.values()))

    def keys(self) -> Iterable[Any]:
        return self._states.keys()

    def pop(self, key: Any) -> list[Any]:
        state = self._states.pop(key)
        return [state if type(state) is int else self._aggregate.settle(state)]

    def _way(self) -> "Callable[[Iterator[Any]], tuple[Any, Any] | None]":
        if self._step is not add or self._lift is not None:
            return self._fold
        knows_all = self._proven and self._gate.fast_type in EQUAL_IS_SAME
        return self._add_proven if knows_all else self._add

    def _add_proven(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        """Add each value by `+`, knowing that there is nothing wrong but perhaps with a new key."""
        states, fast_type = self._states, self._gate.fast_type
        key = value = None
        for key, value in pairs:
            try:
                states[key] = states[key] + value
            except Exception:  # There is no such key, or it is none that could be looked for.
                if type(key) is not fast_type:
                    key = self._gate.admit(key)
                if self._begin(key, value):
                    break
        return None if value is None else (key, value)

    def _add(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        """Add each value by `+`: the same as `_fold`, without the call of a step for each pair."""
        states, gate = self._states, self._gate
        kind_of, pair_type, fast_type, plain_type = type, tuple, gate.fast_type, int
        key = value = pair = None
        for pair in pairs:
            if kind_of(pair) is not pair_type:
                pair = as_pair(pair, "map")
            try:
                key, value = pair
            except ValueError:
                as_pair(pair, "map")  # raises: the tuple is too long or too short
            if kind_of(key) is not fast_type:
                key = gate.admit(key)
                fast_type = gate.fast_type
            if kind_of(value) is not plain_type:
                value = plain_key(value)
                plain_type = kind_of(value)
            try:
                states[key] = states[key] + value
            except KeyError:
                if self._begin(key, value):
                    break
            except Exception:
                self._fold_again(key, value)
        return None if pair is None else (key, value)

    def _fold(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        states, gate, lift, step = self._states, self._gate, self._lift, self._step
        fast_type, plain_type, key, value, pair = gate.fast_type, int, None, None, None
        careful = self.largest_bytes > 0
        for pair in pairs:
            if type(pair) is not tuple:
                pair = as_pair(pair, "map")
            try:
                key, value = pair
            except ValueError:
                as_pair(pair, "map")  # raises: the tuple is too long or too short
            if type(key) is not fast_type:
                key = gate.admit(key)
                fast_type = gate.fast_type
            if type(value) is not plain_type:
                value = plain_key(value)
                plain_type = type(value)
            if lift is not None:
                value = lift(value)
            try:
                states[key] = step(states[key], value)
            except KeyError:
                if self._begin(key, value):
                    break
            except Exception:
                self._fold_again(key, value)
            if lift is None and type(value) is not int and stands_out(value, careful):
                break
        return None if pair is None else (key, value)

    def _begin(self, key: Any, value: Any) -> bool:
        """Take a new key's first value as its state; tell whether one of them is large."""
        if key in self._states:  # The KeyError came out of a user's `+`.
            self._fold_again(key, value)
        elif key != key:
            key_kind(key)  # raises: a NaN is equal to nothing, not even itself
        else:
            self._states[key] = value
            careful = self.largest_bytes > 0
            return stands_out(key, careful) or stands_out(value, careful)
        return False

    def _fold_again(self, key: Any, value: Any) -> None:
        """Do what failed once more, as the combiner, whose errors say where they are."""
        with self._position.during("combine"):
            self._position.key = key
            (self._states[key],) = self._aggregate.merge(key, [self._states[key], value])


def _large_bytes(key: Any, value: Any, new_keys: int) -> int:
    """Return the size of what is large of a pair, 0 if nothing is; a key counts if it is new."""
    size_bytes = exact_size_of(value) if is_large(value) else 0
    return size_bytes + (exact_size_of(key) if new_keys and is_large(key) else 0)


Step = Callable[[Any, Any], Any]
"""A state and the state of one more value to the state of both."""


def _add_means(left: tuple[Any, int], right: tuple[Any, int]) -> tuple[Any, int]:
    return left[0] + right[0], left[1] + right[1]


STEPS: dict[type, Step] = {Sum: add, Count: add, Min: min, Max: max, Mean: _add_means}
"""The aggregates that have one state for each key, and how it goes on."""


def exact(aggregate: Aggregate, states: list[Any]) -> bool:
    """Tell whether the states may be merged in any grouping without a change in the result."""
    if isinstance(aggregate, Mean):
        states = [total for total, _ in states]
    kinds = set(map(type, states))
    if isinstance(aggregate, Sum | Count | Mean):
        return kinds == {int}
    if isinstance(aggregate, Min | Max | TopK):
        return kinds in ({int}, {str}, {bytes}) or (
            kinds == {float} and all(state == state for state in states)
        )
    return False
