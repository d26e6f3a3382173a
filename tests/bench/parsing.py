"""How fast libsvm text becomes numbers, one core, beside numpy's own two parsers of text:
`python -m tests.bench.parsing`.

They read numbers that are apart by spaces, so they are given the text with its colons replaced
beforehand, and rows of equal length; what they make of it must be the same bits. Six decimals are
what most files have, seventeen digits what `repr` writes of a float that was computed. Freed memory
is kept, for all of them, as it is in slots.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from minimr.cluster.heap import keep_freed_memory
from minimr.formats.libsvm import read_libsvm
from minimr.formats.splits import Split

ROWS, FEATURES, RUNS = 50_000, 20, 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, spaced = Path(folder) / "rows.libsvm", Path(folder) / "rows.txt"
        for name, form in (("6 decimals", "{:.6f}"), ("17 digits", "{!r}")):
            write(path, form)
            text = path.read_text().replace(":", " ")
            spaced.write_text(text)
            split = Split(str(path), 0, path.stat().st_size, 0)
            ours = read_libsvm(split)["X"]
            assert np.array_equal(np.loadtxt(spaced)[:, 2::2], ours)
            parsers: dict[str, Callable[[], object]] = {
                "minimr": partial(read_libsvm, split),
                "numpy.fromstring": partial(np.fromstring, text, sep=" "),
                "numpy.loadtxt": partial(np.loadtxt, spaced),
            }
            for parser, call in parsers.items():
                print(f"{name}, {parser}: {split.length / median_s(call) / 1e6:.0f} MB/s")


def write(path: Path, form: str) -> None:
    numbers = np.random.default_rng(1).standard_normal((ROWS, FEATURES)).tolist()
    with path.open("w") as file:
        for row in numbers:
            cells = (f"{index}:{form.format(cell)}" for index, cell in enumerate(row, 1))
            file.write(f"1 {' '.join(cells)}\n")


def median_s(call: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    keep_freed_memory()
    main()
