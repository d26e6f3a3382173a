"""What is measured: a case has candidates that answer the same question, and goals.

A candidate is a whole process. It writes its answer into the folder that stands for OUT in its
command. What it takes from start to end is the figure, unless it writes another one itself, in
`figure.json`: of a warm round, only the process knows when it was warm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.setting import Setting

OUT = "{out}"
FIGURE = "figure.json"


@dataclass(frozen=True)
class Candidate:
    """`needs` is what must be there: a module of the peers' Python or, as "our NAME", of this one;
    or "program NAME".

    Candidates with a different `question` than the first have answers of their own.
    """

    name: str
    command: Sequence[str]
    needs: str = ""
    question: str = ""


@dataclass(frozen=True)
class Goal:
    """The `figure` of `of` is at most `at_most`, or at most so many times that of `times`.

    `figure` is "median", in the case's unit, or "peak_mb". A stretch goal may be missed.
    """

    at_most: float
    times: str = ""
    of: str = "minimr"
    figure: str = "median"
    stretch: bool = False


@dataclass(frozen=True)
class Case:
    """`candidates` makes the inputs if need be; the first candidate is what the others are held
    against. `answer` reads what a candidate left in its folder; answers must be equal."""

    title: str
    candidates: Callable[[Setting], list[Candidate]]
    answer: Callable[[Path], Any]
    goals: Sequence[Goal] = field(default=())
    unit: str = "s"
    digits: int = 2
