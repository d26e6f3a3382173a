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
from minimr.tasks.sizes import ENTRY_BYTES, GROUP_BYTES, POINTER_BYTES, own_size_of, size_of

SAMPLE_EVERY = 16
"""Entries of which one is measured."""
FLAT = (int, float, bool)
"""Types of states that do not grow as values are added (or by a few bytes)."""
EQUAL_IS_SAME = (str, bytes)
"""Types of keys that nothing of another kind is equal to, as 1.0 is to 1."""


class Held(Protocol):
    """Values or states by key; `size_bytes` estimates how much memory they take."""

    size_bytes: int

    def __len__(self) -> int:
        """Return the number of keys."""

    def take(self, pairs: Iterator[Any], count: int) -> tuple[Any, Any] | None:
        """Take all of at most `count` pairs and return the last one, or None if there was none.

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
        self.size_bytes = 0
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
            self.size_bytes += count * (POINTER_BYTES + own_size_of(value))
            self.size_bytes += (len(self._lists) - keys_before) * (GROUP_BYTES + size_of(key))
        return last

    def shrink(self, after_exact: bool) -> None:
        if self._combine is None or not (self._aggregate is None or after_exact):
            return
        sampled_bytes = 0
        with self._position.during("combine"):
            for number, (key, values) in enumerate(self._lists.items()):
                if len(values) > 1 and (self._aggregate is None or exact(self._aggregate, values)):
                    self._position.key = key
                    values = self._lists[key] = self._combine(key, values)
                if number % SAMPLE_EVERY == 0:
                    sampled_bytes += GROUP_BYTES + size_of(key) + size_of(values)
        self.size_bytes = _of_all(sampled_bytes, len(self._lists))

    def is_exact(self) -> bool:
        everything = chain.from_iterable(self._lists.values())
        return self._aggregate is None or exact(self._aggregate, list(everything))

    def keys(self) -> Iterable[Any]:
        return self._lists.keys()

    def pop(self, key: Any) -> list[Any]:
        return self._lists.pop(key)

    def _append(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        lists, gate, lift, combines = self._lists, self._gate, self._lift, self._combine is not None
        fast_type, plain_type, key, value, pair = gate.fast_type, int, None, None, None
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
        self.size_bytes = 0
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
            self.size_bytes += new_keys * (ENTRY_BYTES + size_of(key) + size_of(value))
            if type(value) not in FLAT:
                self._grow = True
                self.size_bytes += (count - new_keys) * size_of(value)
        return last

    def shrink(self, after_exact: bool) -> None:  # noqa: ARG002 - nothing was spilled before
        if not self._grow:
            return
        sample = [
            ENTRY_BYTES + size_of(key) + size_of(state)
            for number, (key, state) in enumerate(self._states.items())
            if number % SAMPLE_EVERY == 0
        ]
        self.size_bytes = _of_all(sum(sample), len(self._states))

    def is_exact(self) -> bool:
        return exact(self._aggregate, list(self._states.values()))

    def keys(self) -> Iterable[Any]:
        return self._states.keys()

    def pop(self, key: Any) -> list[Any]:
        return [self._states.pop(key)]

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
                self._begin(key, value)
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
                self._begin(key, value)
            except Exception:
                self._fold_again(key, value)
        return None if pair is None else (key, value)

    def _fold(self, pairs: Iterator[Any]) -> tuple[Any, Any] | None:
        states, gate, lift, step = self._states, self._gate, self._lift, self._step
        fast_type, plain_type, key, value, pair = gate.fast_type, int, None, None, None
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
                self._begin(key, value)
            except Exception:
                self._fold_again(key, value)
        return None if pair is None else (key, value)

    def _begin(self, key: Any, value: Any) -> None:
        """Take a new key's first value as its state."""
        if key in self._states:  # The KeyError came out of a user's `+`.
            self._fold_again(key, value)
        elif key != key:
            key_kind(key)  # raises: a NaN is equal to nothing, not even itself
        else:
            self._states[key] = value

    def _fold_again(self, key: Any, value: Any) -> None:
        """Do what failed once more, as the combiner, whose errors say where they are."""
        with self._position.during("combine"):
            self._position.key = key
            (self._states[key],) = self._aggregate.merge(key, [self._states[key], value])


def _of_all(sampled_bytes: int, entries: int) -> int:
    """Estimate the size of all entries by that of every SAMPLE_EVERYth."""
    return sampled_bytes * entries // max(1, -(-entries // SAMPLE_EVERY))


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
