"""`make bench`: minimr beside plain Python and a bare Pool, on this machine, in one run.

The candidates of a case take turns, so that a machine whose speed drifts is fair to all. What
counts is the ratio of medians; seconds are for this machine and this hour alone.
"""

import json
import statistics
import sys
from pathlib import Path

import click

from tests.bench.cases import CASES


@click.command()
@click.argument("names", nargs=-1, metavar="[CASE]...")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write figures here.")
def main(names: tuple[str, ...], runs: int, json_file: Path | None) -> None:
    """Run each CASE (by default all) RUNS times and print medians."""
    unknown = set(names) - set(CASES)
    if unknown:
        raise click.UsageError(f"no case is called {min(unknown)}; there are {', '.join(CASES)}")
    figures = {}
    for name in names or CASES:
        click.echo(f"\n{CASES[name].title}")
        figures[name] = measure(name, runs)
        show(figures[name])
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def measure(name: str, runs: int) -> dict[str, list[float]]:
    """Milliseconds of each run of each candidate, after one run that does not count."""
    case = CASES[name]
    with case.prepare() as candidates:
        answers = {label: run()[1] for label, run in candidates.items()}
        if len({json.dumps(answer, sort_keys=True) for answer in answers.values()}) != 1:
            sys.exit(f"{name}: the candidates disagree: {answers}")
        times: dict[str, list[float]] = {label: [] for label in candidates}
        for _ in range(runs):
            for label, run in candidates.items():
                times[label].append(run()[0] * 1e3)
    return times


def show(times: dict[str, list[float]]) -> None:
    medians = {label: statistics.median(each) for label, each in times.items()}
    first = next(iter(medians.values()))
    for label, each in times.items():
        spread = f"{min(each):9.2f} to {max(each):9.2f}"
        ratio = first / medians[label]
        click.echo(
            f"  {label:34} {medians[label]:9.2f} ms   ({spread})   minimr takes {ratio:6.2f} x this"
        )


if __name__ == "__main__":
    main()
