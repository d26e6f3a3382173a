"""From runs to figures: medians, ratios, goals, and what has changed since an earlier run.

Seconds belong to one machine and one hour. What can be compared is a ratio of two candidates that
took turns in one run; and between two runs, the ratio of such ratios.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.bench.case import Goal

MB = 1_000_000


@dataclass
class Figures:
    """Of one candidate in one case. `values` are in the case's unit, one for each timed run.

    `watched` says that the only run was the one whose memory was watched. `why` there are no
    figures: the candidate is absent or failed. The CPU seconds are those of whole processes.
    """

    values: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_bytes: int | None = None
    processes: int | None = None
    watched: bool = False
    answer: Any = None
    why: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def peak_mb(self) -> float:
        return (self.peak_bytes or 0) / MB

    def to_dict(self) -> dict[str, Any]:
        if self.why:
            return {"why": self.why}
        return asdict(self) | {"median": self.median, "median_cpu_s": median(self.cpu_s)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Figures":
        """The inverse of `to_dict`."""
        names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in fields.items() if name in names})


@dataclass(frozen=True)
class Verdict:
    """A goal and what came of it; `seen` is None if a candidate that it needs has no figures."""

    goal: Goal
    seen: float | None

    @property
    def met(self) -> bool:
        return self.seen is not None and self.seen <= self.goal.at_most


def verdicts(goals: Sequence[Goal], figures: Mapping[str, Figures]) -> list[Verdict]:
    return [Verdict(goal, _seen(goal, figures)) for goal in goals]


def _seen(goal: Goal, figures: Mapping[str, Figures]) -> float | None:
    names = [goal.of, *([goal.times] if goal.times else [])]
    values = [getattr(figures[name], goal.figure) for name in names if _measured(figures, name)]
    if len(values) < len(names):
        return None
    return float(values[0] / values[1]) if goal.times else float(values[0])


def ratios(figures: Mapping[str, Figures]) -> dict[str, float]:
    """How many times as much the first candidate takes as each other one."""
    first, *others = figures
    if not _measured(figures, first):
        return {}
    return {
        name: figures[first].median / figures[name].median
        for name in others
        if _measured(figures, name) and figures[name].median
    }


def changes(
    now: Mapping[str, Figures], then: Mapping[str, Figures]
) -> Iterator[tuple[str, float, float]]:
    """(candidate, ratio then, ratio now) for each that the first was held against both times."""
    before = ratios(then)
    for name, ratio in ratios(now).items():
        if name in before:
            yield name, before[name], ratio


def _measured(figures: Mapping[str, Figures], name: str) -> bool:
    return name in figures and bool(figures[name].values)
