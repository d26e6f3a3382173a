"""What is paid beside the work: a cold start, a warm round, a task with nothing in it."""

from tests.bench import inputs
from tests.bench.answers import number, word_counts
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.cases.words import built_in, mawk
from tests.bench.setting import Setting


def cold(setting: Setting) -> list[Candidate]:
    paths = inputs.one_kilobyte(setting)

    def peer(name: str, script: str, case: str, needs: str) -> Candidate:
        return Candidate(name, setting.peer(script, case, OUT, *paths), needs)

    mrjob = ["--output-dir", f"{OUT}/result", *paths]
    return [
        Candidate("minimr", built_in(setting, paths)),
        Candidate("plain Python", setting.ours("on_python.py", "wordcount", OUT, *paths)),
        Candidate("Pool, forked", setting.ours("on_pool.py", "wordcount", OUT, *paths)),
        Candidate("Pool, spawned", setting.ours("on_pool.py", "cold_spawned", OUT, *paths)),
        mawk(paths),
        peer("DuckDB", "on_duckdb.py", "wordcount", "duckdb"),
        peer("Polars", "on_polars.py", "wordcount", "polars"),
        peer("Dask bag", "on_dask.py", "wordcount_bag", "dask"),
        peer("Dask distributed", "on_dask.py", "wordcount_distributed", "distributed"),
        Candidate("mrjob, inline", setting.peer("on_mrjob.py", "-r", "inline", *mrjob), "mrjob"),
        Candidate("mrjob, local", setting.peer("on_mrjob.py", "-r", "local", *mrjob), "mrjob"),
        peer("Ray", "on_ray.py", "wordcount", "ray"),
        peer("Spark RDD", "on_spark.py", "wordcount_rdd", "pyspark"),
    ]


def rounds(setting: Setting) -> list[Candidate]:
    return [
        Candidate("minimr", setting.ours("on_minimr.py", "rounds", OUT)),
        Candidate("Pool", setting.ours("on_pool.py", "rounds", OUT)),
        Candidate("ProcessPoolExecutor", setting.ours("on_pool.py", "executor_rounds", OUT)),
        Candidate("Ray", setting.peer("on_ray.py", "rounds", OUT), "ray"),
        Candidate("Dask distributed", setting.peer("on_dask.py", "rounds", OUT), "distributed"),
        Candidate("Spark", setting.peer("on_spark.py", "rounds", OUT), "pyspark"),
    ]


def tasks(setting: Setting) -> list[Candidate]:
    files = inputs.empty_files(setting)
    folder, count = files[0].parent, len(files)
    return [
        Candidate("minimr", setting.ours("on_minimr.py", "tasks", OUT, folder)),
        Candidate(
            "minimr, journal on", setting.ours("on_minimr.py", "tasks_with_journal", OUT, folder)
        ),
        Candidate("Pool, one by one", setting.ours("on_pool.py", "tasks", OUT, count)),
        Candidate("ProcessPoolExecutor", setting.ours("on_pool.py", "executor_tasks", OUT, count)),
        Candidate("Ray", setting.peer("on_ray.py", "tasks", OUT, count), "ray"),
        Candidate(
            "Dask distributed", setting.peer("on_dask.py", "tasks", OUT, count), "distributed"
        ),
    ]


def coordinator(setting: Setting) -> list[Candidate]:
    """A coordinator's peak in a job of 50,000 tasks, less that in one of 10,000."""
    folders = [inputs.empty_files(setting, count)[0].parent for count in (50_000, 10_000)]
    return [Candidate("minimr", setting.ours("on_minimr.py", "coordinator_memory", OUT, *folders))]


CASES = {
    "cold": Case(
        "Cold start: word count of 1 kB",
        cold,
        word_counts,
        [
            Goal(0.6),
            *(Goal(1.0, name) for name in ("Dask bag", "Ray", "Spark RDD", "mrjob, local")),
        ],
        digits=3,
    ),
    "round": Case(
        "A warm round over 8 partitions (each figure is the median of many rounds)",
        rounds,
        number,
        [Goal(0.8), Goal(1.0, "Pool", stretch=True)],
        unit="ms",
    ),
    "tasks": Case(
        "10,000 empty tasks; 1 s is 10,000 tasks per second",
        tasks,
        number,
        [Goal(1.0), Goal(2.0, of="minimr, journal on")],
    ),
    "coordinator": Case(
        "What a coordinator remembers of a task",
        coordinator,
        number,
        [Goal(1000)],
        unit="bytes",
        digits=0,
    ),
}
