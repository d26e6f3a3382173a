"""`make bench`, `minimr bench`: minimr beside plain Python, a Pool by hand, and its peers.

    python -m tests.bench [CASE]... [--runs N] [--json FILE] [--against FILE]

Without a CASE all are run, which takes the better part of an hour. Peers are measured if they are
installed, in this Python or in the one that --peers-python (or $MINIMR_BENCH_PEERS) names:

    python3 -m venv peers
    peers/bin/pip install polars duckdb 'dask[bag,distributed]' ray mrjob pyspark numpy setuptools
    python -m tests.bench --peers-python peers/bin/python wordcount

What counts is the ratio of medians; seconds are for this machine and this hour alone.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tests.bench import table
from tests.bench.cases import CASES
from tests.bench.figures import verdicts
from tests.bench.machine import machine
from tests.bench.measure import Disagreement, measure
from tests.bench.report import Report, read_report
from tests.bench.setting import PEERS_PYTHON, Setting, default_cache


@click.command()
@click.argument("names", nargs=-1, metavar="[CASE]...")
@click.option("--list", "list_cases", is_flag=True, help="Name the cases and stop.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True, max=10),
    default=1.0,
    show_default=True,
    help="Inputs so many times as large; 0.01 is a quick look.",
)
@click.option("--only", multiple=True, metavar="WORD", help="minimr and candidates named so.")
@click.option(
    "--peers-python",
    envvar=PEERS_PYTHON,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=sys.executable,
    help=f"The interpreter that has the peers.  [default: ${PEERS_PYTHON}, this one]",
)
@click.option(
    "--patience",
    type=float,
    default=8.0,
    show_default=True,
    help="A candidate that takes more seconds than this is run once.",
)
@click.option(
    "--limit", type=float, default=300.0, show_default=True, help="Stop a run after SECONDS."
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where inputs are kept.  [default: a folder of the temporary directory]",
)
@click.option("--clean", is_flag=True, help="Remove the kept inputs and stop.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write figures here.")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with what --json wrote earlier.",
)
def main(
    names: tuple[str, ...],
    list_cases: bool,
    runs: int,
    scale: float,
    only: tuple[str, ...],
    peers_python: Path,
    patience: float,
    limit: float,
    cache: Path | None,
    clean: bool,
    json_file: Path | None,
    against: Path | None,
) -> None:
    """Run each CASE (by default all) and print medians, ratios and goals."""
    if list_cases:
        click.echo("\n".join(f"{name:14} {case.title}" for name, case in CASES.items()))
        return
    # A link that leads to an interpreter is what makes it a virtual environment: not resolved.
    setting = Setting(scale, (cache or default_cache()).absolute(), str(peers_python.absolute()))
    if clean:
        shutil.rmtree(setting.cache, ignore_errors=True)
        return
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        raise click.UsageError(f"no case is called {unknown[0]}; there are {', '.join(CASES)}")
    earlier = read_report(against) if against else None
    report = Report(machine(setting), scale)
    failed = False
    for name in names or CASES:
        case = CASES[name]
        size = "" if scale == 1 else f" (inputs {scale:g} times as large)"
        click.echo(f"\n### {name}: {case.title}{size}\n")
        try:
            figures = measure(
                case, setting, runs, patience, limit, only, lambda text: click.echo(text, err=True)
            )
        except Disagreement as error:
            click.echo(f"{name}: {error}", err=True)
            failed = True
            continue
        report.cases[name] = figures
        failed |= bool(next(iter(figures.values())).why)
        click.echo("\n".join(lines_of(name, report, earlier)))
        if json_file:  # After each case, so that an interrupted run leaves what it has.
            report.write(json_file)
    sys.exit(int(failed))


def lines_of(name: str, report: Report, earlier: Report | None) -> Iterator[str]:
    """The table of a case, its goals, and what has changed."""
    case, figures = CASES[name], report.cases[name]
    yield from table.table_of(case, figures)
    if case.goals:
        yield ""
        yield from table.goals_of(case, verdicts(case.goals, figures))
    if earlier and name in earlier.cases:
        yield ""
        if earlier.scale != report.scale:
            yield f"(The inputs were {earlier.scale:g} times full size then, {report.scale:g} now.)"
            yield ""
        yield from table.changes_of(figures, earlier.cases[name])
