"""Copies of what was parsed, so that an unchanged file is parsed once.

Parsing text takes a hundred times as long as mapping the columns that come of it. A copy is known
by everything it depends on: the file's path, inode, size and time of change, the range of bytes,
the format with its options, and PARSER_VERSION. If any of these differs, no copy is found. A copy
holds that description, the columns in the codec's form, and at its end a CRC-32 of all of it; what
does not check out counts as absent and is written anew.

The copies lie in a directory of the user, $XDG_CACHE_HOME/minimr/parsed or ~/.cache/minimr/parsed,
which is used only if nobody else may enter it: whoever can write there could choose the data that
we train on. They are a convenience. Where none can be written, everything works, and takes longer.
"""

import hashlib
import json
import mmap
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimr.block import Block
from minimr.errors import CorruptData
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.shuffle import codec

PARSER_VERSION = 2
"""To be raised when a parser gives other columns for the same bytes."""

SPLIT_BYTES_MIN = 256 << 10
"""Less than this is parsed in milliseconds, and not worth a file."""
TOTAL_BYTES_MAX = 4 << 30
"""What all copies may take; those that were used longest ago go first."""
SETTLED_S = 1.0
"""A file that changed this recently may change again under the same time stamp."""
CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Copy:
    """A copy as it lies there; what it was parsed from is None if it does not say."""

    path: Path
    size_bytes: int
    last_used: float
    parsed_from: dict[str, Any] | None


def read_through(split: Split, format_name: str, parse: Callable[[Split], Block]) -> Block:
    """Return the columns of the split: from a copy if there is one, else parsed, and then copied.

    The columns of a copy are views of a mapped file. Raises what `parse` raises.
    """
    before = _description(split, format_name)
    directory = copies_directory() if before is not None else None
    if before is None or directory is None:
        return parse(split)
    path = directory / hashlib.sha256(before.encode()).hexdigest()
    block = _open_copy(path, before)
    if block is None:
        block = parse(split)
        if _description(split, format_name) == before:  # nobody wrote to it meanwhile
            with suppress(OSError):  # a full disk, say
                _write_copy(path, before, block)
                _remove_oldest(directory)
    return block


def copies_directory(create: bool = True) -> Path | None:
    """Return where the copies of this user lie; None if there is no such place that is safe."""
    try:
        directory = copies_place()
        if create:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
    except (OSError, RuntimeError):  # no home at all is a RuntimeError
        return None
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return directory if ours and not status.st_mode & 0o077 else None


def copies_place() -> Path:
    """Where the copies belong, whether or not it is there and safe. Raises RuntimeError."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    cache = given if given.is_absolute() else Path.home() / ".cache"
    return cache / "minimr" / "parsed"


def kept_copies() -> list[Copy]:
    """Return what lies there, the copy used longest ago first, each without reading its columns."""
    return [
        Copy(path, size_bytes, used_ns / 1e9, _parsed_from(path))
        for used_ns, size_bytes, path in _by_age(copies_directory(create=False))
    ]


def remove_copies() -> None:
    """Remove all copies; those that are in use stay mapped where they are used."""
    for _, _, path in _by_age(copies_directory(create=False)):
        path.unlink(missing_ok=True)


def _description(split: Split, format_name: str) -> str | None:
    """Everything the columns depend on; None if the split should not be copied."""
    try:
        status = os.stat(split.path)  # noqa: PTH116 - as a string, beside the split's path
    except OSError:
        return None  # the parser will say so
    length = status.st_size if split.length == WHOLE_FILE else split.length
    if length < SPLIT_BYTES_MIN or not stat.S_ISREG(status.st_mode):
        return None
    if time.time() - status.st_mtime < SETTLED_S:
        return None
    return json.dumps(
        {
            "path": os.path.realpath(split.path),
            "file": [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns],
            "range": [split.offset, split.length],
            "format": format_name,
            "version": PARSER_VERSION,
        }
    )


def _open_copy(path: Path, description: str) -> Block | None:
    try:
        mapped = _mapped(path)
        os.utime(path)  # the time of its last use
        content = memoryview(mapped)[:-CHECKSUM_BYTES]
        if zlib.crc32(content) != int.from_bytes(mapped[-CHECKSUM_BYTES:], "little"):
            return None
        value: Any = codec.loads(content)
    except (OSError, ValueError, CorruptData):
        return None
    match value:
        case {"description": str(found), "columns": dict() as columns} if found == description:
            return Block(columns)
    return None


def _parsed_from(path: Path) -> dict[str, Any] | None:
    try:
        value: Any = codec.loads(memoryview(_mapped(path))[:-CHECKSUM_BYTES])
        found = json.loads(value["description"])
    except (OSError, ValueError, TypeError, KeyError, CorruptData):
        return None
    return found if isinstance(found, dict) else None


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _write_copy(path: Path, description: str, block: Block) -> None:
    partial, crc = path.with_name(f"{path.name}.{os.getpid()}.partial"), 0
    try:
        with partial.open("xb") as file:
            for part in _parts(description, block):
                file.write(part)
                crc = zlib.crc32(part, crc)
            file.write(crc.to_bytes(CHECKSUM_BYTES, "little"))
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _parts(description: str, block: Block) -> Iterator[codec.Buffer]:
    """Yield the content of a copy: the columns one after the other, each in pieces."""
    import numpy as np

    columns = block.unfilled()
    names = iter(columns)
    for part in codec.dump_parts({"description": description, "columns": columns}):
        if isinstance(part, memoryview):
            name = next(names)
            for piece in block.pieces():
                yield np.ascontiguousarray(piece[name]).data
        else:
            yield part


def _remove_oldest(directory: Path) -> None:
    copies = _by_age(directory)
    excess = sum(size_bytes for _, size_bytes, _ in copies) - TOTAL_BYTES_MAX
    for _, size_bytes, path in copies:
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size_bytes


def _by_age(directory: Path | None) -> list[tuple[int, int, Path]]:
    """(time of last use, size in bytes, path) of everything there, the oldest first."""
    found = []
    for path in [] if directory is None else directory.iterdir():
        with suppress(FileNotFoundError):  # somebody else makes room too
            status = path.lstat()
            found.append((status.st_mtime_ns, status.st_size, path))
    return sorted(found)
