"""Job: what a user writes. Map and Reduce are Dean and Ghemawat's (OSDI 2004, section 2).

Five promises, which hold on every runner:

1. `map(key, value)` yields pairs; `reduce(key, values)` yields pairs; both may run more than once
   for the same input, and only one run counts.
2. All values of a key meet in one reduce call, ordered by map task, then by emission. With
   `secondary_sort` a key is (group, order): all pairs of a group meet, ordered by `order` first.
3. Keys of a partition come in increasing order. Keys are str, bytes, int, float (not NaN), bool,
   None, or tuples of them; one job uses one kind per stage. Anything else is an error at the first
   record, which names the record.
4. A combiner must be associative and commutative; it may run zero or more times.
5. The same inputs, job, partitions and seed give the same bytes, on any runner, whatever fails.

A job in full:

    class WordCount(mr.Job):
        def map(self, offset, line):
            for word in line.split():
                yield word, 1

        combine = reduce = mr.Sum()

Options are annotated class attributes (see options.py) and are given by name: `Grep(pattern="x")`.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import index
from typing import Any, ClassVar

from minimr.aggregates import Aggregate, check_pair
from minimr.errors import UsageError
from minimr.keys import key_kind
from minimr.options import REQUIRED, Option, read_options

__all__ = ["REQUIRED", "Job", "Option", "Pair", "key_kind"]

Pair = tuple[Any, Any]
Combiner = Callable[[Any, Iterator[Any]], Iterable[Pair]]


class Job:
    """Subclass this and give `map`, and `reduce` or an aggregate in its place.

    The defaults pass everything through: a job that overrides nothing sorts its input by key.
    """

    input_format: str = "text"

    output_format: str = "text"
    """The format of the parts if nobody says: text, jsonl, msgpack or binary."""

    default_reducers: ClassVar[int | None] = None
    """How many reduce tasks the job has if nobody says; None lets the size of the input decide."""

    total_order: ClassVar[bool] = False
    """Whether the parts follow one another in the order of the keys, as if they were one. A sample
    of what `map` yields says where they are cut; see shuffle/range_partition.py."""

    secondary_sort: ClassVar[bool] = False
    """Whether the values of a key come in an order. Keys are then pairs (group, order). `reduce` is
    called once for each group, in increasing order of the groups, as `reduce(group, pairs)`: the
    iterator gives (order, value) in increasing order, however many there are. `partition` is asked
    about the group, `combine` about the whole key. See shuffle/secondary_sort.py."""

    combine: Combiner | None = None
    """A method or an aggregate that shrinks a map task's values of one key; it keeps the key."""

    map_block: Callable[[Any], Any] | None = None
    """A method `map_block(block)`, the vectorised twin of `map`. It gets a TextBlock of whole lines
    or, from a format of columns, a Block, and yields pairs, one by one, or many at once as Pairs
    (never both in one job); over a dataset being transformed it returns the new Block. Pairs travel
    as columns: ints, floats, bools, vectors, matrices, bytes and texts never become Python objects
    on their way to `reduce_block`, to a named aggregate or to the default reduce."""

    reduce_block: Callable[[Any], Any] | None = None
    """A method `reduce_block(groups)`, the vectorised twin of `reduce`, which it precedes. It gets
    Groups: many keys, each with all its values, and returns or yields Pairs. It is called several
    times for a partition. A key whose values outgrow the task's memory goes to `reduce`, if the job
    gives one, and is an error otherwise."""

    gang: Callable[[Any, Any], Any] | None = None
    """A method `gang(blocks, members)` that yields pairs: a program of which several run at the
    same time and talk to each other (`Dataset.gang`). `blocks` is a list of (partition index,
    Block), in order; a partition without columns is a list of its pairs. `members` is a Members."""

    state: Any = None
    """The state broadcast to a round or a gang; None elsewhere."""

    splits_hot_keys: bool = False
    """Whether map tasks reduce their own pairs first; set by the runner. Unlike a combiner's, these
    values are merged only where no rounding can tell: ints, for example, and no floats."""

    partition_index: int = 0
    """The number of this map task, or of this partition of a dataset, from 0."""

    input_index: int = 0
    """Which of the job's inputs the current record came from, from 0."""

    input_path: str = ""
    """The file of the current record."""

    counters: dict[str, int]
    """What `count` has counted so far."""

    def __init__(self, **options: Any) -> None:
        """Take the options by name. Raises UsageError for a wrong name, type or choice."""
        check_pair(type(self).__name__, self.combine, self.reduce)
        self._check_secondary_sort()
        table = self.option_table()
        for name in options:
            if name not in table:
                known = ", ".join(table) or "none"
                raise UsageError(f"{type(self).__name__} has no option {name!r}; it has: {known}.")
        for option in table.values():
            value = options.get(option.name, option.default)
            if value is REQUIRED:
                raise UsageError(
                    f"{type(self).__name__} needs the option {option.name} ({option.expects()})."
                )
            setattr(self, option.name, option.check(value))
        self.counters = {}

    def _check_secondary_sort(self) -> None:
        """Raise UsageError if the reducer cannot read what a secondary sort gives it."""
        if not self.secondary_sort:
            return
        name, reducer = type(self).__name__, self.reduce
        if isinstance(reducer, Aggregate):
            raise UsageError(
                f"{name}: with secondary_sort reduce gets pairs (order, value), which {reducer!r} "
                "cannot read; write a method reduce(self, group, pairs)."
            )
        if self.reduce_block is not None:
            raise UsageError(
                f"{name}: secondary_sort calls reduce(group, pairs) for each group; "
                "leave reduce_block out."
            )

    @classmethod
    def option_table(cls) -> dict[str, Option]:
        """Return the job's options by name, in the order of their declaration."""
        # mypy takes the __hash__ of a class's instances for that of the class.
        return read_options(cls, Job)  # type: ignore[arg-type]

    def options(self) -> dict[str, Any]:
        """Return the values that are in force; `type(job)(**job.options())` makes an equal job."""
        return {name: getattr(self, name) for name in self.option_table()}

    def map(self, key: Any, value: Any, /) -> Iterable[Pair]:
        """Yield pairs for one record. A text record is (byte offset, line without its end)."""
        yield key, value

    def reduce(self, key: Any, values: Iterator[Any], /) -> Iterable[Pair]:
        """Yield pairs for one key. `values` is an iterator: it can be walked once."""
        for value in values:
            yield key, value

    def partition(self, key: Any, partitions: int, /) -> int | None:  # noqa: ARG002
        """Return the key's partition, 0 to `partitions` - 1, or None for the stable hash's."""
        return None

    def count(self, name: str, n: int = 1) -> None:
        """Add `n` to a counter; the job's result has the sums over the attempts that won.

        Raises TypeError if `n` is no whole number, or the name no text.
        """
        if type(n) is not int or type(name) is not str:
            name, n = _plain(name, n)
        self.counters[name] = self.counters.get(name, 0) + n


def _plain(name: Any, n: Any) -> tuple[str, int]:
    """Return what `count` takes as messages carry it: a member of an enum of texts as its text, a
    number of numpy's as an int. Raises TypeError for others."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a counter is a text, not {name!r}")
    try:
        return str.__str__(name), index(n)
    except TypeError:
        raise TypeError(f"a counter counts whole numbers, not {n!r}") from None
