"""`minimr bench`: the benchmark of the source tree, which the installed package leaves at home.

It holds minimr against peers, so it needs their scripts and belongs to the tests. A clone has it,
whether this minimr runs from the clone or the clone is only where somebody stands.
"""

import os
import subprocess
import sys
from pathlib import Path

import click

from minimr.errors import UsageError

HERE = Path(__file__).resolve().parent.parent


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CASE]... [OPTIONS]")
def bench(arguments: tuple[str, ...]) -> int:
    """Measure minimr beside Python, a Pool and its peers.

    Everything is passed on: `minimr bench --list` names the cases, `minimr bench -- --help` tells
    of the options. Needs a clone of the repository.

    \b
    Examples:
      minimr bench cold wordcount --runs 3
      minimr bench sort --scale 0.01
    """
    root = find_bench([HERE, Path.cwd()])
    if root is None:
        raise UsageError(
            "the benchmark is not part of the installed package; clone minimr's repository and "
            "run 'minimr bench' there, or 'make bench'"
        )
    # -P: the folder where somebody stands may have a package "tests" of its own.
    command = [sys.executable, "-P", "-m", "tests.bench", *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}).returncode


def find_bench(places: list[Path]) -> Path | None:
    """The first of these folders that is a source tree of minimr with its benchmark."""
    for place in places:
        if (place / "tests" / "bench" / "__main__.py").is_file() and (place / "minimr").is_dir():
            return place
    return None
