"""Ways of distributing one descent. Switching between them is one argument of `ml.train`.

A strategy is a function

    strategy(problem, data, start, on_step) -> Trace

of a Problem, a LabeledData, the parameters to begin with (size,), and None or what is told of every
entry of the loss history. It may raise NotFinite as soon as the descent leaves the finite numbers;
a trace that has left them is found by `train`.

STRATEGIES lists them by name. One that takes a number is asked for with it, as in "ssp:4", which
is `partial(ssp, staleness=4)`. Some can send gradients compressed, as in "ssp:4:half" or
"async:top-k" (ml/compression.py). A function of one's own may stand in place of a name.

The measure of all of them is `sync`. Whoever promises its bytes adds up the sums of partitions in
the order of the partitions, from left to right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from ml.compression import find_compression, updates_late
from ml.descent import OnStep, Trace
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.problem import Problem
from ml.vectors import Vector

DIGITS_MAX = 15
"""Of a number behind a strategy's name: what a message can carry, and more than anybody waits."""
Strategy = Callable[[Problem, LabeledData, Vector, OnStep | None], Trace]


@dataclass(frozen=True)
class Entry:
    """Where a strategy lives, the keyword that a number after its name is given under, whether a
    compression may follow, whether members step along rows of their own for a while, and whether
    they ever wait for each other."""

    module: str
    function: str
    number: str | None = None
    compresses: bool = False
    apart: bool = False
    waits: bool = True


STRATEGIES = {
    "sync": Entry("ml.strategies.sync", "sync"),
    "gram": Entry("ml.gram", "gram"),
    "ssp": Entry("ml.strategies.parameter_server", "ssp", "staleness", compresses=True),
    "async": Entry("ml.strategies.parameter_server", "asynchronous", compresses=True, waits=False),
    "allreduce": Entry("ml.strategies.allreduce", "allreduce", compresses=True),
    "local": Entry("ml.strategies.local", "local", "steps", apart=True),
    "average": Entry("ml.strategies.average", "average", apart=True),
    "model_parallel": Entry("ml.strategies.model_parallel", "model_parallel"),
    "pipeline": Entry("ml.strategies.pipeline", "pipeline"),
}


def find_strategy(strategy: str | Strategy) -> Strategy:
    """The strategy of that name, as "sync" or "ssp:4", or the function itself.

    Raises ArgumentError for a name that is not in the table, or a number that does not fit.
    """
    if callable(strategy):
        return strategy
    name, *words = str(strategy).split(":")
    if name not in STRATEGIES:
        known = ", ".join(
            entry_name if entry.number is None else f"{entry_name}:{entry.number.upper()}"
            for entry_name, entry in STRATEGIES.items()
        )
        raise ArgumentError(f"must be one of {known}, but is {strategy!r}", "strategy")
    if "" in words:
        meant = ":".join([name, *filter(None, words)])
        raise ArgumentError(
            f"has nothing behind a colon: write {meant!r} in place of {strategy!r}", "strategy"
        )
    entry = STRATEGIES[name]
    found: Strategy = getattr(import_module(entry.module), entry.function)
    keywords = _keywords(entry, words)
    if words:
        raise ArgumentError(
            f"{name!r} takes {_taken(entry)} behind its name, but is {strategy!r}", "strategy"
        )
    return partial(found, **keywords) if keywords else found


def _keywords(entry: Entry, words: list[str]) -> dict[str, int | str]:
    """What the words behind a strategy's name say; they are taken out of the list."""
    keywords: dict[str, int | str] = {}
    if words and entry.number is not None and words[0].isdecimal():
        if len(words[0]) > DIGITS_MAX:
            raise ArgumentError(f"takes a number of {DIGITS_MAX} digits at most", "strategy")
        keywords[entry.number] = int(words.pop(0))
    if words and entry.compresses:
        keywords["compress"] = compress = words.pop(0)
        find_compression(compress)
    return keywords


def _taken(entry: Entry) -> str:
    """What may stand behind the name of that strategy, in words."""
    number = [] if entry.number is None else ["a whole number >= 0"]
    return " and ".join(number + ["a compression"] * entry.compresses) or "nothing"


@dataclass(frozen=True)
class Strain:
    """What of a strategy asks for shorter steps (divergence.py): that members step along rows of
    their own, and how many updates old a gradient may be."""

    apart: bool = False
    staleness: int = 0


def strain(strategy: str | Strategy, members: int, seen: Sequence[int] = ()) -> Strain:
    """What `members` bring with them, and what staleness was `seen`. Of a function that is none of
    the table's nothing is known."""
    found = find_strategy(strategy)
    function, keywords = (found.func, found.keywords) if isinstance(found, partial) else (found, {})
    entry = _entry_of(function)
    if entry is None:
        return Strain()
    bound = keywords.get("staleness", 0) if entry.waits else None
    staleness = max([members - 1 if bound is None else bound, *seen])
    apart = entry.apart and keywords.get("steps") != 1
    return Strain(apart or bound is None, staleness + updates_late(keywords.get("compress")))


def _entry_of(function: Strategy) -> Entry | None:
    home = (getattr(function, "__module__", ""), getattr(function, "__name__", ""))
    return next((e for e in STRATEGIES.values() if home == (e.module, e.function)), None)
