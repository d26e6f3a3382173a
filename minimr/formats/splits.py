"""How input files are cut into splits, one map task each (Dean & Ghemawat, OSDI 2004, section 3.1).

A split is a range of bytes, not of lines: cutting needs only the file's size, so planning a
terabyte reads nothing. The borders fall in the middle of lines, and a rule in the reader makes
that harmless: a split owns exactly the lines that *start* inside it (see `formats/text.py`).
A .gz file cannot be entered in the middle, so it is one split however large it is.

The plan depends on the files and on nothing else. The number of workers has no part in it, since
the splits order the values of a key, and the output must not change with the workers.
"""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from minimr.errors import UsageError

SPLIT_BYTES = 16 << 20
WHOLE_FILE = -1


@dataclass(frozen=True)
class Split:
    """Bytes [offset, offset + length) of a file; length -1 is the whole of a compressed file.

    `input_index` tells which of the job's INPUT arguments the file came from.
    """

    path: str
    offset: int
    length: int
    input_index: int

    def to_dict(self) -> dict[str, Any]:
        """The form that travels inside a map task."""
        return {
            "kind": "split",
            "path": self.path,
            "offset": self.offset,
            "length": self.length,
            "input_index": self.input_index,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Split":
        """The inverse of `to_dict`."""
        return cls(fields["path"], fields["offset"], fields["length"], fields["input_index"])


@dataclass(frozen=True)
class _InputFile:
    path: str
    input_index: int
    size_bytes: int

    @property
    def can_be_cut(self) -> bool:
        return not self.path.endswith(".gz")


def plan_splits(
    inputs: Sequence[str], split_bytes: int = SPLIT_BYTES, minimum: int = 2
) -> list[Split]:
    """The splits of all inputs, in the order of the inputs, then of names, then of bytes.

    An input is a file, a directory or a glob (with `**` for any depth). A directory stands for
    its files and a glob for the files that match; directories among them are skipped, and so are
    names that begin with "." or "_".

    A file larger than `split_bytes` is cut evenly; when there would be fewer than `minimum`
    splits, plain files are cut further, the largest pieces first. An empty file is one empty split.

    Raises UsageError for no input, a missing or unreadable one, a glob that matches nothing and
    a directory without files.
    """
    if not inputs:
        raise UsageError("No input: name at least one file, directory or glob.")
    files = [
        _InputFile(path, index, _size_bytes(path))
        for index, text in enumerate(inputs)
        for path in _expand(os.fspath(text))
    ]
    pieces = [_pieces_needed(file, split_bytes) for file in files]
    _cut_further(files, pieces, minimum)
    return [split for file, count in zip(files, pieces, strict=True) for split in _cut(file, count)]


def _expand(text: str) -> list[str]:
    """The files that one INPUT argument stands for, sorted by name."""
    try:
        if Path(text).is_dir():
            return _files_in(text)
        if os.path.lexists(text) or not glob.has_magic(text):
            return [text]
        return _files_matching(text)
    except OSError as error:
        raise _unreadable(text, error) from error


def _files_in(directory: str) -> list[str]:
    prefix = str(Path(directory) / "x")[:-1]  # There may be a hundred thousand of them.
    with os.scandir(directory) as entries:
        files = sorted(
            prefix + entry.name
            for entry in entries
            if not entry.name.startswith((".", "_")) and not entry.is_dir()
        )
    if not files:
        raise UsageError(
            f"The directory {directory} holds no input files "
            '(names that begin with "." or "_" and directories inside it are skipped).'
        )
    return files


def _files_matching(pattern: str) -> list[str]:
    """`*` matches no "_SUCCESS", just as it matches no dot file; `_*` does."""
    wants_underscore = Path(pattern).name.startswith("_")
    files = [
        str(path)
        for path in map(Path, sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207
        if not path.is_dir() and (wants_underscore or not path.name.startswith("_"))
    ]
    if not files:
        raise UsageError(f"No file matches {pattern!r}; check the pattern and the directory.")
    return files


def _size_bytes(path: str) -> int:
    """The size, after making sure that the file can be read, now rather than inside a task."""
    try:
        # Non-blocking, because opening a named pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(
            f"The input {path} is not a plain file; a task may read its input more than once, "
            "so save the data to a file first."
        )
    return status.st_size


def _unreadable(path: str, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError):
        return UsageError(f"The input {path!r} does not exist; check the path.")
    return UsageError(f"Cannot read the input {path}: {error.strerror}.")


def _pieces_needed(file: _InputFile, split_bytes: int) -> int:
    if not file.can_be_cut:
        return 1
    return max(1, -(-file.size_bytes // split_bytes))


def _cut_further(files: list[_InputFile], pieces: list[int], minimum: int) -> None:
    """Cut where the pieces are largest, until there are `minimum` or only single bytes are left."""
    plain = [index for index, file in enumerate(files) if file.can_be_cut and file.size_bytes]
    while plain and sum(pieces) < minimum:
        largest = max(plain, key=lambda index: files[index].size_bytes / pieces[index])
        if pieces[largest] == files[largest].size_bytes:
            return
        pieces[largest] += 1


def _cut(file: _InputFile, pieces: int) -> Iterator[Split]:
    if not file.can_be_cut:
        yield Split(file.path, 0, WHOLE_FILE, file.input_index)
        return
    borders = [file.size_bytes * piece // pieces for piece in range(pieces + 1)]
    for start, end in pairwise(borders):
        yield Split(file.path, start, end - start, file.input_index)
