"""Sorting records of 100 bytes by a key of 10, in one order over all parts."""

from tests.bench import inputs
from tests.bench.answers import sorted_records
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import Setting

BUDGET_MB = 100
PER_PROCESS_MB = 60
PROCESSES = 8
"""The client with its coordinator, the fork server of its workers, and two of these, each with a
nursery and a slot."""
BY_HAND = "numpy, two processes with spills"


def terasort(setting: Setting, paths: list, *options: str) -> list[str]:
    return setting.minimr("run", "terasort", *paths, "-o", f"{OUT}/result", *options)


def gnu_sort(paths: list, *options: str) -> Candidate:
    """Whole lines: what follows the key decides between equal keys, and costs nothing."""
    command = ["env", "LC_ALL=C", "sort", "--parallel=2", *options, "-o", f"{OUT}/part-0"]
    return Candidate("GNU sort", [*command, *map(str, paths)], "program sort")


def sort(setting: Setting) -> list[Candidate]:
    paths = inputs.records(setting)

    def peer(name: str, script: str, needs: str) -> Candidate:
        return Candidate(name, setting.peer(script, "sort", OUT, *paths), needs)

    return [
        Candidate("minimr", terasort(setting, paths)),
        Candidate(BY_HAND, setting.ours("on_numpy.py", "sort", OUT, *paths)),
        Candidate("numpy, one process", setting.ours("on_numpy.py", "sort_in_one", OUT, *paths)),
        peer("DuckDB", "on_duckdb.py", "duckdb"),
        gnu_sort(paths),
        peer("Polars", "on_polars.py", "polars"),
        peer("Ray and numpy", "on_ray.py", "ray"),
        peer("Spark DataFrame", "on_spark.py", "pyspark"),
        Candidate("plain Python", setting.ours("on_python.py", "sort", OUT, *paths)),
    ]


def compressed(setting: Setting) -> list[Candidate]:
    """Everything is written and read twice, as a spill and as the map's output, and sent once."""
    paths = inputs.records(setting)

    def ours(codec: str, needs: str = "") -> Candidate:
        options = ("--memory", f"{BUDGET_MB // 2}MB", "--compress", codec)
        return Candidate(f"minimr, {codec}", terasort(setting, paths, *options), needs)

    return [ours("none"), ours("zlib"), ours("zstd", "our zstandard")]


def sort_within(setting: Setting) -> list[Candidate]:
    """Two slots share the budget evenly; whoever knows a budget is given the same."""
    paths = inputs.records(setting)
    return [
        Candidate("minimr", terasort(setting, paths, "--memory", f"{BUDGET_MB // 2}MB")),
        Candidate("minimr, no budget", terasort(setting, paths)),
        Candidate(BY_HAND, setting.ours("on_numpy.py", "sort_within", OUT, *paths)),
        Candidate("DuckDB", setting.peer("on_duckdb.py", "sort_within", OUT, *paths), "duckdb"),
        gnu_sort(paths, "-S", f"{BUDGET_MB}M", "-T", OUT),
    ]


CASES = {
    "sort": Case(
        "Sort of 5,000,000 records, 500 MB",
        sort,
        sorted_records,
        [Goal(1.3, BY_HAND), *(Goal(1.0, name) for name in ("GNU sort", "DuckDB", "Polars"))],
    ),
    "sort-within": Case(
        "Sort of 500 MB within 100 MB",
        sort_within,
        sorted_records,
        [
            Goal(2.0, "minimr, no budget"),
            Goal(BUDGET_MB + PER_PROCESS_MB * PROCESSES, figure="peak_mb"),
        ],
    ),
    "compress": Case(
        "Sort of 500 MB within 100 MB, spills and shuffle compressed",
        compressed,
        sorted_records,
    ),
}
