"""What `minimr run --profile` says on stderr: the functions in which a job spent its time."""

from pathlib import Path
from typing import NamedTuple

from cli.output import say
from minimr.observe.sentences import count

ROWS = 15
PLACE_PARTS = 3
Function = tuple[str, int, str]
Times = tuple[int, int, float, float, object]
"""As pstats keeps them: calls that are no recursion, calls, seconds inside, seconds in all."""


class Hot(NamedTuple):
    own_s: float
    total_s: float
    calls: int
    place: str


def say_profile(path: Path) -> None:
    """The head of a merged profile, and where the rest is."""
    if not path.exists():
        say("no task ran, so there is no profile")
        return
    from pstats import Stats

    stats: dict[Function, Times] = Stats(str(path)).stats  # type: ignore[attr-defined]
    calls = sum(times[1] for times in stats.values())
    total_s = sum(times[2] for times in stats.values())
    say(f"{path}: {total_s:.2f} s of all slots together, {count(calls, 'call')}")
    say("   own s  total s       calls  function")
    for hot in hottest(stats, ROWS):
        say(f"{hot.own_s:8.3f} {hot.total_s:8.3f} {hot.calls:11,}  {hot.place}")


def hottest(stats: dict[Function, Times], rows: int) -> list[Hot]:
    """Those with the most time of their own; at a tie in the order of their places."""
    found = [
        Hot(own_s, total_s, calls, place_of(function))
        for function, (_, calls, own_s, total_s, _) in stats.items()
    ]
    return sorted(found, key=lambda hot: (-hot.own_s, hot.place))[:rows]


def place_of(function: Function) -> str:
    """`minimr/shuffle/codec.py:88 dumps`; what is built in has no file."""
    file, line, name = function
    if file == "~":
        return name
    return f"{'/'.join(Path(file).parts[-PLACE_PARTS:])}:{line} {name}"
