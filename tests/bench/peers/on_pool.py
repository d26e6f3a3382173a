"""multiprocessing and concurrent.futures by hand, as well as one would: two processes.

python on_pool.py CASE OUT INPUT...
"""

import json
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

WORD = re.compile("[A-Za-z]+")
ONLY_LETTERS = bytes(byte if bytes([byte]).isalpha() else 32 for byte in range(256))
PROCESSES = 2
ROUNDS, WARM_UP = 200, 20


def wordcount(out, inputs, method="fork"):
    with get_context(method).Pool(PROCESSES) as pool:
        counts = sum(pool.imap_unordered(words_of, inputs), Counter())
    write(out / "part-0", counts.items())


def words_of(path):
    with Path(path).open() as file:
        return Counter(WORD.findall(file.read()))


def wordcount_split(out, inputs):
    """Everything but letters becomes a space, for split is faster than any pattern."""
    with get_context("fork").Pool(PROCESSES) as pool:
        counts = sum(pool.imap_unordered(words_split, inputs), Counter())
    write(out / "part-0", ((word.decode(), count) for word, count in counts.items()))


def words_split(path):
    return Counter(Path(path).read_bytes().translate(ONLY_LETTERS).split())


def cold_spawned(out, inputs):
    wordcount(out, inputs, "spawn")


def index(out, inputs):
    """Each process indexes every other file; the halves are put together at the end."""
    with get_context("fork").Pool(PROCESSES) as pool:
        halves = pool.map(index_of, [inputs[start::PROCESSES] for start in range(PROCESSES)])
    first, second = halves
    for word, paths in second.items():
        first.setdefault(word, []).extend(paths)
    write(out / "part-0", ((word, json.dumps(sorted(paths))) for word, paths in first.items()))


def index_of(paths):
    places = {}
    for path in paths:
        with Path(path).open(errors="surrogateescape") as file:
            for word in set(WORD.findall(file.read())):
                places.setdefault(word, []).append(path)
    return places


def rounds(out, _):
    """A warm round: eight calls, whose results are added up."""
    with get_context("fork").Pool(PROCESSES) as pool:
        figure(out, *timed(lambda: sum(pool.map(one, range(8), chunksize=1))))


def executor_rounds(out, _):
    with ProcessPoolExecutor(PROCESSES) as executor:
        figure(out, *timed(lambda: sum(executor.map(one, range(8)))))


def tasks(out, counts):
    """Empty tasks, one message each way for each."""
    with get_context("fork").Pool(PROCESSES) as pool:
        all_of(out, int(counts[0]), partial(pool.map, one, chunksize=1))


def executor_tasks(out, counts):
    with ProcessPoolExecutor(PROCESSES) as executor:
        all_of(out, int(counts[0]), partial(executor.map, one))


def all_of(out, count, run):
    run(range(PROCESSES))
    started = perf_counter()
    answer = sum(run(range(count)))
    figure(out, perf_counter() - started, answer)


def one(_):
    return 1


def timed(run):
    """(median milliseconds of a round, its answer)"""
    times = []
    for _ in range(WARM_UP + ROUNDS):
        started = perf_counter()
        answer = run()
        times.append((perf_counter() - started) * 1e3)
    return median(times[WARM_UP:]), answer


def figure(out, value, answer):
    (out / "figure.json").write_text(json.dumps(value))
    (out / "answer").write_text(json.dumps(answer))


def write(path, pairs):
    with Path(path).open("w") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
