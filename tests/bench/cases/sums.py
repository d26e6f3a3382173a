"""Sums by key: numbers that never become Python objects, if a system can help it."""

from pathlib import Path

from tests.bench import inputs
from tests.bench.answers import sums as summed
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import ROOT, Setting

JOB = ROOT / "tests" / "bench" / "jobs" / "sum_by_key.py"
BY_HAND = "numpy, two processes"


def sums(setting: Setting) -> list[Candidate]:
    paths = inputs.numbers(setting)

    def write_list(folder: Path) -> None:
        (folder / "files.txt").write_text("".join(f"{path}\n" for path in paths))

    files = setting.cached(f"{paths[0].parent.name}-listed", write_list) / "files.txt"
    return [
        Candidate("minimr", setting.minimr("run", JOB, files, "-o", f"{OUT}/result")),
        Candidate(BY_HAND, setting.ours("on_numpy.py", "sums", OUT, *paths)),
        Candidate("numpy, one process", setting.ours("on_numpy.py", "sums_in_one", OUT, *paths)),
        Candidate("Polars", setting.peer("on_polars.py", "sums", OUT, *paths), "polars"),
        Candidate("DuckDB", setting.peer("on_duckdb.py", "sums", OUT, *paths), "duckdb"),
    ]


CASES = {
    "sums": Case(
        "Sum of 10,000,000 values by Zipf's keys, int64 to float64",
        sums,
        summed,
        [Goal(1.3, BY_HAND)],
    )
}
