"""The inputs: generated, seeded, and kept in the cache from one call to the next.

*Text* is a bag of lines. Lines are drawn at random, with replacement, from natural text until there
is enough: words keep their neighbours and their frequencies, and the number of different words
grows to that of the source and no further. The source is the eight books beside the repository if
they are there (22,107 different runs of ASCII letters), else Python's own documentation, the help
topics and the docstrings of its library (about 13,000).

*Records* are those of `minimr data terasort --ascii`: 100 bytes, the first ten a random key, in
lines, so that tools which know only lines can sort them too.

*Numbers* are pairs of an int64 key and a float64 value in .npy files. The keys are Zipf's: the
k-th most frequent of a million is drawn with a probability of about 1/k, and stands for some
int64, so that nobody can use it as an index. The values are multiples
of 1/1024 below 1024, so that their sums are exact in every order and all answers must be equal.

*Labelled rows* are those of a linear regression with noise: libsvm text with six decimals, 250 MB
for a million rows of 20 features, or .npy files with the labels in the last column.

*Sources* are the files of Python's standard library, flat in one folder.
"""

import ast
import random
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.setting import ROOT, Setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BOOKS = ROOT.parent / "shared" / "data" / "books"
FILES = 16
SEED = 2004
MB = 1_000_000
RECORDS = 5_000_000
RECORD_FILES = 8
NUMBERS = 10_000_000
NUMBER_FILES = 16
ZIPF_KEYS = 1_000_000
SPREAD = 0x9E3779B97F4A7C15
EMPTY_FILES = 10_000
ROWS = 1_000_000
TEXT_COLUMNS = 20
MATRIX_FILES = 2
DRAWN_AT_ONCE = 10_000


def text(setting: Setting, megabytes: int = 200) -> list[Path]:
    """About so many MB (times the scale) in 16 files."""
    size_bytes = setting.scaled(megabytes * MB, at_least=FILES * 1000)

    def make(folder: Path) -> None:
        lines, chance = natural_lines(), random.Random(SEED)
        for number in range(FILES):
            write_text(folder / f"{number:02}.txt", lines, size_bytes // FILES, chance)

    source = "books" if BOOKS.is_dir() else "docs"
    return files_in(setting.cached(f"text-{source}-{size_bytes}", make))


def write_text(path: Path, lines: list[str], size_bytes: int, chance: random.Random) -> None:
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size_bytes:
            drawn = "".join(f"{line}\n" for line in chance.choices(lines, k=DRAWN_AT_ONCE))
            rest = drawn[: size_bytes - written]
            whole = rest[: rest.rfind("\n") + 1]
            written += file.write(whole)
            if len(rest) < len(drawn):
                break


@cache
def natural_lines() -> list[str]:
    """The source. Without the books it takes seconds to read all of the library's docstrings."""
    books = sorted(BOOKS.glob("*.txt"))
    texts = [path.read_text("utf-8") for path in books] if books else documentation()
    return [line for text in texts for line in text.splitlines()]


def documentation() -> Iterator[str]:
    """Python's help topics and docstrings, always in the same order."""
    import pydoc_data.topics

    yield from pydoc_data.topics.topics.values()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in standard_library():
        with warnings.catch_warnings(action="ignore"):
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue  # The library holds files that are wrong on purpose.
        for node in ast.walk(tree):
            if isinstance(node, documented):
                yield ast.get_docstring(node) or ""


def standard_library() -> list[Path]:
    """The library's sources, without installed packages."""
    library = Path(sysconfig.get_path("stdlib"))
    found = sorted(library.rglob("*.py"))
    return [path for path in found if "site-packages" not in path.relative_to(library).parts]


def times(setting: Setting, paths: list[Path], count: int) -> list[Path]:
    """The same files `count` times, by links: more input that takes no more disk."""

    def make(folder: Path) -> None:
        for turn in range(count):
            for path in paths:
                (folder / f"{turn:03}-{path.name}").symlink_to(path)

    return files_in(setting.cached(f"{paths[0].parent.name}-times-{count}", make))


def one_kilobyte(setting: Setting) -> list[Path]:
    def make(folder: Path) -> None:
        write_text(folder / "text.txt", natural_lines(), 1000, random.Random(SEED))

    return files_in(setting.cached("text-1kB", make))


def books(setting: Setting) -> list[Path]:
    """The eight books as they are; without them, as much text in eight files."""
    found = sorted(BOOKS.glob("*.txt"))
    return found or text(setting, 3)[:8]


def records(setting: Setting, count: int = RECORDS) -> list[Path]:
    from minimr.formats.terasort import terasort_rows

    count = setting.scaled(count, at_least=RECORD_FILES * 100) // RECORD_FILES

    def make(folder: Path) -> None:
        for number in range(RECORD_FILES):
            with (folder / f"{number}.txt").open("wb") as file:
                for start in range(0, count, 100_000):
                    first = number * count + start
                    rows = terasort_rows(first, min(100_000, count - start), SEED, ascii=True)
                    file.write(rows.tobytes())

    return files_in(setting.cached(f"records-{count * RECORD_FILES}", make))


def numbers(setting: Setting) -> list[Path]:
    """Files NN.keys.npy and NN.values.npy; only the former are listed."""
    import numpy as np

    count = setting.scaled(NUMBERS, at_least=NUMBER_FILES * 100) // NUMBER_FILES

    def make(folder: Path) -> None:
        chance = np.random.default_rng(SEED)
        # Any int64 may be a key: an odd factor spreads the first million over all of them.
        names = (chance.permutation(ZIPF_KEYS).astype(np.uint64) * np.uint64(SPREAD)).view(np.int64)
        for number in range(NUMBER_FILES):
            # By inverting its distribution function, which is nearly log k / log n.
            ranks = np.exp(chance.random(count) * np.log(ZIPF_KEYS)).astype(np.int64) - 1
            values = chance.integers(0, 1 << 20, count).astype(np.float64) / 1024
            np.save(folder / f"{number:02}.keys.npy", names[ranks])
            np.save(folder / f"{number:02}.values.npy", values)

    folder = setting.cached(f"pairs-{count * NUMBER_FILES}", make)
    return sorted(folder.glob("*.keys.npy"))


def labelled_text(setting: Setting) -> list[Path]:
    """libsvm text in 16 files, about 250 MB."""
    form = " ".join(["%.6f", *(f"{index}:%.6f" for index in range(1, TEXT_COLUMNS + 1))]) + "\n"

    def make(folder: Path) -> None:
        for number, rows in enumerate(_labelled_rows(setting, TEXT_COLUMNS, FILES)):
            labels_first = rows[:, [-1, *range(TEXT_COLUMNS)]].tolist()
            text = "".join(form % tuple(row) for row in labels_first)
            (folder / f"{number:02}.libsvm").write_text(text)

    return files_in(setting.cached(f"regression-text-{setting.scaled(ROWS)}", make))


def matrices(setting: Setting, columns: int) -> list[Path]:
    """Files NN.npy, (rows, columns + 1), the labels in the last column."""
    import numpy as np

    def make(folder: Path) -> None:
        for number, rows in enumerate(_labelled_rows(setting, columns, MATRIX_FILES)):
            np.save(folder / f"{number:02}.npy", rows)

    name = f"matrices-{columns}-{setting.scaled(ROWS)}-in-{MATRIX_FILES}"
    return files_in(setting.cached(name, make))


def _labelled_rows(
    setting: Setting, columns: int, files: int
) -> "Iterator[npt.NDArray[np.float64]]":
    """The rows of each file, features and label."""
    import numpy as np

    chance = np.random.default_rng(SEED)
    weights = chance.normal(size=columns)
    count = setting.scaled(ROWS, at_least=files * 10) // files
    for _ in range(files):
        features = chance.normal(size=(count, columns))
        labels = features @ weights + chance.normal(size=count)
        yield np.column_stack([features, labels])


def sources(setting: Setting) -> list[Path]:
    files = standard_library()
    library = Path(sysconfig.get_path("stdlib"))
    chosen = files[: setting.scaled(len(files))]

    def make(folder: Path) -> None:
        for path in chosen:
            flat = ".".join(path.relative_to(library).parts)
            # Names that begin so are passed over in a directory.
            (folder / f"lib.{flat}").write_bytes(path.read_bytes())

    version = sysconfig.get_python_version()
    return files_in(setting.cached(f"sources-{version}-{len(chosen)}", make))


def empty_files(setting: Setting, count: int = EMPTY_FILES) -> list[Path]:
    """Files of one line each, for tasks that do nothing."""
    count = setting.scaled(count)

    def make(folder: Path) -> None:
        for number in range(count):
            (folder / f"{number:06}.txt").write_text("x\n")

    return files_in(setting.cached(f"lines-{count}", make))


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
