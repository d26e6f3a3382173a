"""Figures as tables that read well on a terminal and in a Markdown document alike."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.case import Case
from tests.bench.figures import Figures, Verdict, changes, ratios

HEADS = ("system", "median", "from", "to", "minimr takes", "CPU s", "peak MB", "runs")


def table_of(case: Case, figures: Mapping[str, Figures]) -> list[str]:
    """A row for each candidate; below, those without figures and why."""
    ratio = ratios(figures)
    rows = [_row(case, name, each, ratio) for name, each in figures.items() if each.values]
    missing = [f"- {name}: {each.why}" for name, each in figures.items() if not each.values]
    heads = [f"{head}, {case.unit}" if head == "median" else head for head in HEADS]
    return [*markdown(heads, rows), *([""] if missing else []), *missing]


def _row(case: Case, name: str, figures: Figures, ratio: Mapping[str, float]) -> list[str]:
    shown = [f"{value:.{case.digits}f}" for value in _spread(figures.values)]
    times = f"{ratio[name]:.2f} x" if name in ratio else ""
    runs = "1, watched" if figures.watched else str(len(figures.values))
    cpu = f"{median(figures.cpu_s):.2f}"
    return [name, *shown, times, cpu, f"{figures.peak_mb:.0f}", runs]


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return median(values), min(values), max(values)


def goals_of(case: Case, verdicts: Sequence[Verdict]) -> list[str]:
    return [f"- {_sentence(case, verdict)}" for verdict in verdicts]


def _sentence(case: Case, verdict: Verdict) -> str:
    goal = verdict.goal
    unit = "MB" if goal.figure == "peak_mb" else case.unit
    bound = f"{goal.at_most:g} x {goal.times}" if goal.times else f"{goal.at_most:g} {unit}"
    kind = "stretch goal" if goal.stretch else "goal"
    said = f"{kind}: {goal.of} takes at most {bound}"
    if verdict.seen is None:
        return f"{said}: not measured"
    seen = f"{verdict.seen:.2f} {'x' if goal.times else unit}"
    if verdict.met:
        return f"{said}: {seen}, reached"
    return f"{said}: {seen}, missed by {verdict.seen / goal.at_most - 1:.0%}"


def changes_of(now: Mapping[str, Figures], then: Mapping[str, Figures]) -> list[str]:
    rows = [
        [name, f"{before:.2f} x", f"{ratio:.2f} x", f"{ratio / before - 1:+.0%}"]
        for name, before, ratio in changes(now, then)
    ]
    return markdown(["minimr against", "then", "now", "change"], rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table with columns of one width; the first is set left, the others right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        set_right = [cell.rjust(width) for cell, width in others]
        return " ".join(["|", first[0].ljust(first[1]), *(f"| {cell}" for cell in set_right), "|"])

    return [line(heads), line(rule), *map(line, rows)]
