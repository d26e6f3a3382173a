"""Ray on this machine: tasks and objects in shared memory. python on_ray.py CASE OUT INPUT..."""

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray

WORD = re.compile("[A-Za-z]+")
WORKERS = 2
ROUNDS, WARM_UP = 200, 20
RECORD_BYTES, SAMPLES = 100, 1000


def wordcount(out, inputs):
    counts = ray.get([words_of.remote(path) for path in inputs])
    write(out, sum(counts, Counter()).items())


@ray.remote
def words_of(path):
    return Counter(WORD.findall(Path(path).read_text()))


def index(out, inputs):
    halves = ray.get([index_of.remote(inputs[start::WORKERS]) for start in range(WORKERS)])
    first, second = halves
    for word, paths in second.items():
        first.setdefault(word, []).extend(paths)
    write(out, ((word, json.dumps(sorted(paths))) for word, paths in first.items()))


@ray.remote
def index_of(paths):
    places = {}
    for path in paths:
        for word in set(WORD.findall(Path(path).read_text(errors="surrogateescape"))):
            places.setdefault(word, []).append(path)
    return places


def sort(out, inputs):
    """numpy in tasks, the shuffle through the object store."""
    import numpy as np

    first_keys = [np.fromfile(path, np.uint8, SAMPLES * RECORD_BYTES) for path in inputs]
    sample = np.sort(
        np.concatenate([keys_of(each.reshape(-1, RECORD_BYTES)) for each in first_keys])
    )
    borders = sample[[len(sample) * each // WORKERS for each in range(1, WORKERS)]]
    cut = [cut_at.options(num_returns=WORKERS).remote(path, borders) for path in inputs]
    sides = [[pieces[side] for pieces in cut] for side in range(WORKERS)]
    ray.get([sort_side.remote(str(out / f"part-{side}"), *each) for side, each in enumerate(sides)])


@ray.remote
def cut_at(path, borders):
    import numpy as np

    rows = np.fromfile(path, np.uint8).reshape(-1, RECORD_BYTES)
    sides = np.searchsorted(borders, keys_of(rows), side="right")
    return [rows[sides == side] for side in range(WORKERS)]


@ray.remote
def sort_side(path, *pieces):
    import numpy as np

    rows = np.concatenate(pieces)
    low = np.ascontiguousarray(rows[:, 8:10]).view(">u2").ravel()
    rows[np.lexsort((low, keys_of(rows)))].tofile(path)


def keys_of(rows):
    import numpy as np

    return np.ascontiguousarray(rows[:, :8]).view(">u8").ravel().astype(np.uint64)


def rounds(out, _):
    times = []
    for _ in range(WARM_UP + ROUNDS):
        started = perf_counter()
        answer = sum(ray.get([one.remote() for _ in range(8)]))
        times.append((perf_counter() - started) * 1e3)
    figure(out, median(times[WARM_UP:]), answer)


def tasks(out, counts):
    ray.get([one.remote() for _ in range(100)])
    started = perf_counter()
    answer = sum(ray.get([one.remote() for _ in range(int(counts[0]))]))
    figure(out, perf_counter() - started, answer)


@ray.remote
def one():
    return 1


def figure(out, value, answer):
    (out / "figure.json").write_text(json.dumps(value))
    (out / "answer").write_text(json.dumps(answer))


def write(out, pairs):
    with (out / "part-0").open("w") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs)


if __name__ == "__main__":
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
    ray.shutdown()
