"""Linear regression by gradient descent: as a whole process over text, and a round of it."""

from functools import partial
from pathlib import Path

from tests.bench import inputs
from tests.bench.answers import number
from tests.bench.case import OUT, Candidate, Case, Goal
from tests.bench.setting import Setting

BY_HAND, ALONE = "numpy, two processes", "numpy, one process"
ONE_PASS, TWO_PASSES = "numpy, two processes, one pass", "numpy, two processes, two passes"
PEERS = {"Dask": "distributed", "Ray": "ray", "torch": "torch"}
"""Each by the module that it needs."""
MLLIB = "Spark MLlib"
ALL_REDUCE = "minimr, all-reduce"
WIDE = "minimr, float64"
WIDE_ALL_REDUCE = "minimr, all-reduce, float64"
ROWS = 1_000_000
FLOAT_BYTES = 8


def whole(setting: Setting) -> list[Candidate]:
    """From start to end, parsing included: a run begins without copies of parsed files, unless it
    is said."""
    paths = inputs.labelled_text(setting)
    seed_program = setting.ours("on_minimr_descent.py", "whole", OUT, paths[0].parent)
    kept = setting.cache / "parsed"
    return [
        Candidate("minimr", ["env", f"XDG_CACHE_HOME={OUT}/cache", *seed_program]),
        Candidate("minimr, parsed before", ["env", f"XDG_CACHE_HOME={kept}", *seed_program]),
        Candidate(BY_HAND, setting.ours("on_numpy_descent.py", "whole", OUT, *paths)),
        Candidate(ALONE, setting.ours("on_numpy_descent.py", "whole_in_one", OUT, *paths)),
        *_peers(setting, "whole", paths),
        Candidate(MLLIB, setting.peer("descents.py", "spark_whole", OUT, *paths), "pyspark"),
    ]


def rounds(setting: Setting, columns: int) -> list[Candidate]:
    paths = inputs.matrices(setting, columns)
    by_hand = partial(setting.ours, "on_numpy_descent.py")
    ours = partial(setting.ours, "on_minimr_descent.py")
    return [
        Candidate("minimr", ours("rounds", OUT, paths[0].parent)),
        Candidate("minimr, 8 partitions", ours("rounds_over_eight", OUT, paths[0].parent)),
        Candidate(ALL_REDUCE, ours("all_reduces", OUT, paths[0].parent)),
        Candidate(ONE_PASS, by_hand("rounds", OUT, *paths)),
        Candidate(TWO_PASSES, by_hand("rounds_of_two_passes", OUT, *paths)),
        *_peers(setting, "rounds", paths),
    ]


def narrow(setting: Setting, columns: int) -> list[Candidate]:
    paths = inputs.matrices(setting, columns)
    ours = partial(setting.ours, "on_minimr_descent.py")
    return [
        Candidate("minimr", ours("narrow_rounds", OUT, paths[0].parent)),
        Candidate(WIDE, ours("wide_rounds", OUT, paths[0].parent)),
        Candidate(ALL_REDUCE, ours("narrow_all_reduces", OUT, paths[0].parent)),
        Candidate(WIDE_ALL_REDUCE, ours("wide_all_reduces", OUT, paths[0].parent)),
    ]


def _peers(setting: Setting, case: str, paths: list[Path]) -> list[Candidate]:
    return [
        Candidate(name, setting.peer("descents.py", f"{name.lower()}_{case}", OUT, *paths), module)
        for name, module in PEERS.items()
    ]


CASES = {
    "regression": Case(
        "Linear regression on libsvm text, 1,000,000 x 20, 100 iterations: the whole process",
        whole,
        number,
        [Goal(4.0), *(Goal(1.0, name) for name in (BY_HAND, ALONE, *PEERS, MLLIB))],
    ),
    **{
        f"float32-{columns}": Case(
            f"A round of gradient descent over 1,000,000 x {columns}, the features as float32",
            partial(narrow, columns=columns),
            number,
            [Goal(0.6, WIDE), Goal(0.6, WIDE_ALL_REDUCE, of=ALL_REDUCE)],
            unit="ms",
        )
        for columns in (20, 100)
    },
    **{
        f"descent-{columns}": Case(
            f"A round of gradient descent over 1,000,000 x {columns} float64",
            partial(rounds, columns=columns),
            number,
            [
                Goal(1.15, ONE_PASS),
                Goal(1.15, ONE_PASS, of=ALL_REDUCE),
                *(Goal(1.0, name) for name in (TWO_PASSES, *PEERS)),
                Goal(1.3 * FLOAT_BYTES * ROWS * (columns + 1) / 1e6, figure="peak_mb"),
            ],
            unit="ms",
        )
        for columns in (20, 100)
    },
}
