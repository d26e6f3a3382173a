"""The table of strategies and their oracles: what is printed, what is shown, what is promised."""

import runpy
import subprocess
import sys
from itertools import takewhile
from math import nan

import pytest

from ml.strategies import STRATEGIES
from tests.docs.play import ROOT

SCRIPT = ROOT / "tutorials" / "scripts" / "strategies.py"
DOCUMENT = ROOT / "tutorials" / "internals" / "strategies.md"
HEAD = ["strategy", "beside", "distance", "promised"]


def table_in(text: str) -> list[list[str]]:
    """The rows of the table that begins with HEAD, without it."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()]
    first = rows.index(HEAD) + 2
    return list(takewhile(lambda row: len(row) == len(HEAD), rows[first:]))


@pytest.mark.slow
def test_every_strategy_is_as_near_to_its_oracle_as_the_table_says() -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--markdown"], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stderr) == (0, "")
    printed = table_in(run.stdout)
    shown = table_in(DOCUMENT.read_text("utf-8"))
    assert [[name, beside, promise] for name, beside, _, promise in printed] == [
        [name, beside, promise] for name, beside, _, promise in shown
    ]
    for name, beside, distance, promise in [*printed, *shown]:
        assert promise == "nothing" or float(distance) <= float(promise), (name, beside)
    assert {name.partition(":")[0] for name, *_ in printed} == set(STRATEGIES)


@pytest.mark.parametrize(
    ("distance", "promise", "said"),
    [(0.1, 0.1, "0.1"), (0.2, 0.1, "0.1, broken"), (nan, 0.1, "0.1, broken"), (9, None, "nothing")],
)
def test_a_promise_that_is_broken_is_marked(distance, promise, said) -> None:
    row = runpy.run_path(str(SCRIPT))["Row"]("sync", "plain numpy", distance, promise)
    assert (row.promised, row.broken) == (said, said.endswith("broken"))


def test_a_misspelt_option_is_refused_before_anything_is_trained() -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--markdwon"], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert "unrecognized arguments: --markdwon" in run.stderr
