"""Dask: bags on processes, and the distributed scheduler. python on_dask.py CASE OUT INPUT..."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import perf_counter

import dask
import dask.bag as db

WORD = re.compile("[A-Za-z]+")
WORKERS = 2
ROUNDS, WARM_UP = 100, 10


def wordcount_bag(out, inputs):
    dask.config.set(scheduler="processes", num_workers=WORKERS)
    write(out, counted(inputs).compute())


def wordcount_distributed(out, inputs):
    with client():
        write(out, counted(inputs).compute())


def counted(inputs):
    return db.read_text(inputs).map(WORD.findall).flatten().frequencies()


def wordcount_futures(out, inputs):
    """Beneath the bags: a Counter for each file, as a future."""
    with client() as cluster:
        futures = cluster.map(words_of, inputs)
        write(out, sum(cluster.gather(futures), Counter()).items())


def words_of(path):
    return Counter(WORD.findall(Path(path).read_text()))


def index(out, inputs):
    dask.config.set(scheduler="processes", num_workers=WORKERS)
    pairs = db.from_sequence(inputs, npartitions=16).map(words_in).flatten()
    places = pairs.foldby(lambda pair: pair[0], add, list, extend, list)
    write(out, ((word, json.dumps(sorted(paths))) for word, paths in places.compute()))


def words_in(path):
    text = Path(path).read_text(errors="surrogateescape")
    return [(word, path) for word in set(WORD.findall(text))]


def add(paths, pair):
    return [*paths, pair[1]]


def extend(paths, others):
    return paths + others


def rounds(out, _):
    with client() as cluster:
        times = []
        for _ in range(WARM_UP + ROUNDS):
            started = perf_counter()
            parts = cluster.map(one, range(8), pure=False)
            answer = cluster.submit(sum, parts, pure=False).result()
            times.append((perf_counter() - started) * 1e3)
        figure(out, median(times[WARM_UP:]), answer)


def tasks(out, counts):
    count = int(counts[0])
    with client() as cluster:
        cluster.gather(cluster.map(one, range(WORKERS), pure=False))
        started = perf_counter()
        answer = sum(cluster.gather(cluster.map(one, range(count), pure=False)))
        figure(out, perf_counter() - started, answer)


def one(_):
    return 1


def client():
    from distributed import Client

    return Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)


def figure(out, value, answer):
    (out / "figure.json").write_text(json.dumps(value))
    (out / "answer").write_text(json.dumps(answer))


def write(out, pairs):
    with (out / "part-0").open("w") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
