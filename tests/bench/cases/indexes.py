"""An inverted index: for each word the files that it occurs in. Many small files, long values."""

from tests.bench import inputs
from tests.bench.answers import index as postings
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import Setting

BY_HAND = "Pool, half of the files each"


def index(setting: Setting) -> list[Candidate]:
    paths = inputs.sources(setting)
    folder = paths[0].parent
    ours = setting.minimr(
        "run", "index", folder, "--pack", "-o", f"{OUT}/result", "--", "--words", "ascii"
    )
    return [
        Candidate("minimr", ours),
        Candidate(BY_HAND, setting.ours("on_pool.py", "index", OUT, *paths)),
        Candidate("plain Python", setting.ours("on_python.py", "index", OUT, *paths)),
        Candidate("Dask bag", setting.peer("on_dask.py", "index", OUT, *paths), "dask"),
        Candidate("Ray", setting.peer("on_ray.py", "index", OUT, *paths), "ray"),
        Candidate("Spark RDD", setting.peer("on_spark.py", "index", OUT, *paths), "pyspark"),
    ]


CASES = {
    "index": Case(
        "Inverted index of Python's standard library",
        index,
        postings,
        [Goal(1.2, BY_HAND)],
    )
}
