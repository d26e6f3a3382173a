"""Word counts: what a word is, is the same for all, runs of ASCII letters."""

from tests.bench import inputs
from tests.bench.answers import word_counts
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import ROOT, Setting

BUILT_IN = ("--", "--words", "ascii")
TEN_LINES = ROOT / "tests" / "bench" / "jobs" / "ten_lines.py"
BY_HAND = "Pool, a Counter per file"


def built_in(setting: Setting, paths: list, *options: object) -> list[str]:
    """The built-in job over the folder of these files, or over each of them by name."""
    output = ["-o", f"{OUT}/result"]
    return setting.minimr("run", "wordcount", *paths, *output, *options, *BUILT_IN)


def wordcount(setting: Setting) -> list[Candidate]:
    paths = inputs.text(setting)
    return [Candidate("minimr", built_in(setting, paths)), *peers(setting, paths)]


def peers(setting: Setting, paths: list) -> list[Candidate]:
    """Everybody else, the fastest first."""

    def peer(name: str, script: str, case: str, needs: str) -> Candidate:
        return Candidate(name, setting.peer(script, case, OUT, *paths), needs)

    return [
        peer("Polars", "on_polars.py", "wordcount", "polars"),
        mawk(paths),
        peer("DuckDB", "on_duckdb.py", "wordcount", "duckdb"),
        *by_hand(setting, paths),
        peer("Dask futures", "on_dask.py", "wordcount_futures", "distributed"),
        peer("Dask bag", "on_dask.py", "wordcount_bag", "dask"),
        peer("Dask distributed", "on_dask.py", "wordcount_distributed", "distributed"),
        peer("Ray", "on_ray.py", "wordcount", "ray"),
        peer("Spark DataFrame", "on_spark.py", "wordcount_dataframe", "pyspark"),
        peer("Spark RDD", "on_spark.py", "wordcount_rdd", "pyspark"),
    ]


def mawk(paths: list) -> Candidate:
    script = ROOT / "tests" / "bench" / "peers" / "on_mawk.sh"
    return Candidate(
        "mawk, two processes", ["sh", str(script), OUT, *map(str, paths)], "program mawk"
    )


def by_hand(setting: Setting, paths: list) -> list[Candidate]:
    return [
        Candidate(
            "Pool, translate and split", setting.ours("on_pool.py", "wordcount_split", OUT, *paths)
        ),
        Candidate(BY_HAND, setting.ours("on_pool.py", "wordcount", OUT, *paths)),
        Candidate("plain Python, by lines", setting.ours("on_python.py", "wordcount", OUT, *paths)),
    ]


def ten_lines(setting: Setting, job: str, paths: list) -> list[str]:
    return setting.minimr("run", f"{TEN_LINES}:{job}", *paths, "-o", f"{OUT}/result")


def records(setting: Setting) -> list[Candidate]:
    paths = inputs.text(setting)
    return [Candidate("minimr", ten_lines(setting, "WordCount", paths)), *peers(setting, paths)]


def no_combiner(setting: Setting) -> list[Candidate]:
    paths = inputs.text(setting)
    return [
        Candidate("minimr", ten_lines(setting, "WithoutCombiner", paths)),
        Candidate("minimr, with a combiner", ten_lines(setting, "WordCount", paths)),
    ]


def mrjob(setting: Setting) -> list[Candidate]:
    """At a tenth of the size: mrjob starts a process for each task, and sorts text."""
    paths = inputs.text(setting, 20)
    options = ["-r", "local", "--output-dir", f"{OUT}/result"]
    return [
        Candidate("minimr", ten_lines(setting, "WordCount", paths)),
        Candidate("mrjob, local", setting.peer("on_mrjob.py", *options, *paths), "mrjob"),
        *by_hand(setting, paths),
    ]


def books(setting: Setting) -> list[Candidate]:
    paths = inputs.books(setting)
    return [
        Candidate("minimr", built_in(setting, paths)),
        Candidate("minimr, the ten-line job", ten_lines(setting, "WordCount", paths)),
        *peers(setting, paths),
    ]


CASES = {
    "wordcount": Case(
        "Word count of 200 MB, the built-in job",
        wordcount,
        word_counts,
        [
            Goal(1.0, "Polars"),
            Goal(0.7, "DuckDB"),
            Goal(1.0, "mawk, two processes", stretch=True),
        ],
    ),
    "records": Case(
        "Word count of 200 MB, record by record, with a combiner",
        records,
        word_counts,
        [
            Goal(1.3, BY_HAND),
            *(
                Goal(1.0, name)
                for name in ("Dask bag", "Dask distributed", "Ray", "Spark DataFrame", "Spark RDD")
            ),
        ],
    ),
    "no-combiner": Case(
        "Word count of 200 MB, record by record, without a combiner",
        no_combiner,
        word_counts,
        [Goal(3.0, "minimr, with a combiner")],
    ),
    "mrjob": Case(
        "Word count of 20 MB, record by record, beside mrjob",
        mrjob,
        word_counts,
        [Goal(1.0, "mrjob, local")],
    ),
    "books": Case("Word count of eight books, 3.3 MB", books, word_counts),
}
