"""What `make bench` measures. Each candidate returns its seconds and its answer."""

import multiprocessing
import os
import pydoc_data.topics
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minimr as mr
from minimr.jobs.wordcount import WordCount
from tests.bench.faults import with_faults

Candidate = Callable[[], tuple[float, Any]]
ROUNDS = 200
BOOKS = Path("../shared/data/books")


@dataclass(frozen=True)
class Case:
    title: str
    prepare: Callable[[], Any]


class NothingToDo(mr.Job):
    """The emptiest round there is: every partition emits one number, one task adds them up."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, int]]:
        yield 0, 1

    reduce = mr.Sum()


def words_of(path: str) -> Counter[str]:
    text = Path(path).read_bytes().decode(errors="surrogateescape")
    return Counter(text.split())


def fingerprint(counts: dict[str, int]) -> list[int]:
    return [len(counts), sum(counts.values())]


def whole_process(arguments: list[str]) -> tuple[float, bytes]:
    started = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, check=True)
    return time.perf_counter() - started, done.stdout


@contextmanager
def cold_start() -> Iterator[dict[str, Candidate]]:
    """Process start to process end, over 1 kB of text."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(pydoc_data.topics.topics["assert"][:1000])
        minimr = [sys.executable, "-m", "cli.main", "run", "wordcount", str(text)]
        plain = [sys.executable, "-c", PLAIN, str(text)]
        pool = [sys.executable, "-c", POOL, str(text)]

        def lines(arguments: list[str]) -> Candidate:
            def run() -> tuple[float, Any]:
                seconds, output = whole_process(arguments)
                return seconds, sorted(output.decode().splitlines())

            return run

        yield {
            "minimr run wordcount, 2 workers": lines(minimr),
            "Pool of 2, spawned": lines(pool),
            "plain Python": lines(plain),
        }


PLAIN = """
import sys, collections
counts = collections.Counter(open(sys.argv[1]).read().split())
for word, count in counts.items(): print(word, count, sep="\\t")
"""
POOL = """
import sys, collections, multiprocessing
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        words = open(sys.argv[1]).read().split()
        halves = [words[: len(words) // 2], words[len(words) // 2 :]]
        counts = sum(pool.map(collections.Counter, halves), collections.Counter())
    for word, count in counts.items(): print(word, count, sep="\\t")
"""


@contextmanager
def empty_round() -> Iterator[dict[str, Candidate]]:
    """The median of many rounds over 8 small partitions, everything warm."""
    with tempfile.TemporaryDirectory() as folder, mr.Cluster(2) as cluster:
        data = Path(folder) / "data.libsvm"
        data.write_text("".join(f"{row} 1:{row}\n" for row in range(800)))
        dataset = cluster.load(data, "libsvm", partitions=8)
        with multiprocessing.Pool(2) as pool:
            yield {
                "minimr, 8 maps and 1 reduce": lambda: repeated(
                    lambda: dataset.round(NothingToDo)[0][1]
                ),
                "Pool of 2, map of 8 and a sum": lambda: repeated(
                    lambda: sum(pool.map(one, range(8), chunksize=1))
                ),
            }


def one(_: int) -> int:
    return 1


def repeated(run: Callable[[], int]) -> tuple[float, int]:
    times, answer = [], 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        answer = run()
        times.append(time.perf_counter() - started)
    return statistics.median(times), answer


@contextmanager
def books() -> Iterator[dict[str, Candidate]]:
    """Words of a few MB of text; the cluster is started and stopped within the time."""
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(map(str, BOOKS.glob("*.txt"))) or made_up_books(Path(folder))

        def timed(count: Callable[[], dict[str, int]]) -> Candidate:
            def run() -> tuple[float, Any]:
                started = time.perf_counter()
                counts = count()
                return time.perf_counter() - started, fingerprint(counts)

            return run

        def with_pool() -> dict[str, int]:
            with multiprocessing.Pool(2) as pool:
                return sum(pool.map(words_of, paths), Counter())

        yield {
            "minimr, built-in job, 2 workers": timed(lambda: dict(mr.run(WordCount, paths))),
            "minimr, ten-line job, 2 workers": timed(lambda: dict(mr.run(TenLines, paths))),
            "Pool of 2, a Counter per file": timed(with_pool),
            "plain Python, one Counter": timed(lambda: sum(map(words_of, paths), Counter())),
        }


class TenLines(mr.Job):
    """The README's job: one pair per word."""

    def map(self, key: int, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1

    combine = reduce = mr.Sum()


def made_up_books(folder: Path) -> list[str]:
    """Without the real books: Python's own documentation, eight times."""
    text = "\n".join(pydoc_data.topics.topics.values())
    for number in range(8):
        (folder / f"{number}.txt").write_text(text)
    return sorted(os.fspath(path) for path in folder.glob("*.txt"))


CASES = {
    "cold": Case("Cold start: word count of 1 kB, whole process", cold_start),
    "round": Case("An empty round on a warm cluster (median of 200)", empty_round),
    "faults": Case("A job of waiting tasks on ten workers, with faults", with_faults),
    "books": Case("Word count of eight books, start of the workers included", books),
}
