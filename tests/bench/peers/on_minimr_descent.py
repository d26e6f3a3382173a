"""minimr's linear regression, as its users call it: python on_minimr_descent.py CASE OUT FOLDER

`whole` is the seed program of this project over libsvm text; its figure is that of the process.
The figure of `rounds` is the median time of a round over resident .npy files, with one partition
for each slot as by hand; that of `all_reduces` is the time of a step of the same descent by two
members of a gang.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median

import minimr as mr
import ml

ITERATIONS, WARM_UP, STEP = 100, 10, 0.1
ROUNDS, WORKERS, PARTITIONS = 40, 2, 8


def whole(out: Path, folder: str) -> None:
    with mr.Cluster(WORKERS) as cluster:
        data = ml.load_libsvm(folder, PARTITIONS, cluster)
        model = ml.LinearRegressionWithSGD.train(data, ITERATIONS, STEP, convergenceTol=0.0)
    save(out, model.weights.tolist())


def rounds(out: Path, folder: str) -> None:
    steps(out, folder, "sync")


def rounds_over_eight(out: Path, folder: str) -> None:
    steps(out, folder, "sync", partitions=PARTITIONS)


def all_reduces(out: Path, folder: str) -> None:
    steps(out, folder, "allreduce")


def wide_rounds(out: Path, folder: str) -> None:
    steps(out, folder, "sync", digits=3)


def narrow_rounds(out: Path, folder: str) -> None:
    steps(out, folder, "sync", digits=3, narrow=True)


def wide_all_reduces(out: Path, folder: str) -> None:
    steps(out, folder, "allreduce", digits=3)


def narrow_all_reduces(out: Path, folder: str) -> None:
    steps(out, folder, "allreduce", digits=3, narrow=True)


def steps(
    out: Path,
    folder: str,
    strategy: str,
    digits: int = 6,
    narrow: bool = False,
    partitions: int = WORKERS,
) -> None:
    with mr.Cluster(WORKERS) as cluster:
        data = ml.load_npy(folder, -1, partitions, cluster)
        data = data.as_float32() if narrow else data
        trained = ml.train(ml.Linear(), data, strategy, step=STEP, iterations=ROUNDS)
    save(out, trained.parameters.tolist(), digits)
    times = [1e3 * (later - earlier) for earlier, later in pairwise(trained.seconds)]
    (out / "figure.json").write_text(json.dumps(median(times[WARM_UP:])))


def save(out: Path, weights: list[float], digits: int = 6) -> None:
    (out / "answer").write_text(json.dumps([round(each, digits) + 0.0 for each in weights]))


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
