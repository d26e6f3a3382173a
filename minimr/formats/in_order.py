"""Is an output sorted as a whole, and does it hold what the input held? (The way of `valsort`.)

Sorting can go wrong in two ways. The records may be out of order, which comparing neighbours shows,
those at the seam of two parts among them. Or they may not be those of the input: then they are as
many but for luck, and the sum of their CRC-32 differs, which does not depend on their order. Both
take one pass and the memory of one block.
"""

import operator
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minimr.errors import CorruptData, UsageError
from minimr.formats.binary import read_binary_records
from minimr.formats.committer import Manifest, read_manifest
from minimr.formats.parts import record_sizes
from minimr.formats.splits import Split, plan_splits
from minimr.formats.text import read_whole_lines
from minimr.keys import preview

KeyOf = Callable[[bytes], Any]
"""A record, a line without its end or so many bytes, to what it is sorted by."""


@dataclass
class Contents:
    """How many records there are, and the sum of their checksums."""

    records: int = 0
    checksum: int = 0

    def add(self, records: Sequence[bytes]) -> None:
        self.records += len(records)
        self.checksum += sum(map(zlib.crc32, records))


@dataclass(frozen=True)
class Misplaced:
    """The first record that is less than the one before it; `record` counts from 0 in its part."""

    part: str
    record: int
    offset: int
    text: str


@dataclass
class Verdict:
    """What was found; `duplicates` counts records whose key is that of the record before."""

    parts: int
    contents: Contents = field(default_factory=Contents)
    duplicates: int = 0
    misplaced: int = 0
    first_misplaced: Misplaced | None = None
    expected: Contents | None = None

    @property
    def valid(self) -> bool:
        """Whether all is in order, and as many records as the input's, with their checksum."""
        return not self.misplaced and self.expected in (None, self.contents)


def judge(output: str | Path, key_of: KeyOf, inputs: Sequence[str] = ()) -> Verdict:
    """Look through a published output of lines or of binary records, and through its inputs.

    `key_of` is for lines; a binary part says how long its keys are. Raises UsageError if `output`
    is no such output or an input is missing, CorruptData if a part is not as it was published.
    """
    manifest = read_manifest(output)
    width, key_bytes = _sizes(output, manifest)
    if width is not None:
        key_of = operator.itemgetter(slice(key_bytes))
    verdict = Verdict(len(manifest.parts))
    order = _Order(verdict, key_of, end_bytes=0 if width else len(b"\n"))
    for part in manifest.parts:
        path = Path(output) / part.name
        _check_size(path, part.bytes)
        order.begin(part.name)
        for offset, records in _records(Split(str(path), 0, part.bytes, 0), width):
            verdict.contents.add(records)
            order.add(offset, records)
    if inputs:
        verdict.expected = _contents(inputs, width)
    return verdict


def _sizes(output: str | Path, manifest: Manifest) -> tuple[int | None, int]:
    """Return the size of a record and of its key; None if the records are lines."""
    if manifest.format == "text":
        return None, 0
    if manifest.format != "binary":
        raise UsageError(f"{output} is {manifest.format}; only text and binary can be judged.")
    sizes = {record_sizes(part.kinds) for part in manifest.parts if part.records}
    if len(sizes) > 1:
        raise UsageError(f"The parts of {output} have records of several sizes: {sorted(sizes)}.")
    key_bytes, value_bytes = sizes.pop() if sizes else (1, 0)
    return key_bytes + value_bytes, key_bytes


def _check_size(path: Path, size_bytes: int) -> None:
    found = path.stat().st_size if path.exists() else None
    if found != size_bytes:
        what = "is missing" if found is None else f"has {found} bytes instead of {size_bytes}"
        raise CorruptData(f"{path} {what}; run the job again.")


def _contents(inputs: Sequence[str], width: int | None) -> Contents:
    contents = Contents()
    for split in plan_splits(inputs):
        for _, records in _records(split, width):
            contents.add(records)
    return contents


def _records(split: Split, width: int | None) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (byte offset, some records) in order."""
    if width is not None:
        yield from read_binary_records(split, width)
        return
    for offset, data in read_whole_lines(split):
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        yield offset, lines


class _Order:
    """Compares each record's key with that of the record before it, across the parts."""

    def __init__(self, verdict: Verdict, key_of: KeyOf, end_bytes: int) -> None:
        """`end_bytes` is how many bytes stand between two records."""
        self._verdict, self._key_of, self._end_bytes = verdict, key_of, end_bytes
        self._last: list[Any] = []
        """The key before, once there is one."""
        self._last_record = b""
        self._part = ""
        self._record = 0

    def begin(self, part: str) -> None:
        self._part, self._record = part, 0

    def add(self, offset: int, records: Sequence[bytes]) -> None:
        keys = self._last + list(map(self._key_of, records))
        misplaced = sum(map(operator.gt, keys, keys[1:]))
        if misplaced and self._verdict.first_misplaced is None:
            self._note_first(offset, keys, records)
        self._verdict.misplaced += misplaced
        self._verdict.duplicates += sum(map(operator.eq, keys, keys[1:]))
        self._last = keys[-1:]
        self._last_record = records[-1]
        self._record += len(records)

    def _note_first(self, offset: int, keys: list[Any], records: Sequence[bytes]) -> None:
        place = list(map(operator.gt, keys, keys[1:])).index(True)
        number = place + 1 - len(self._last)
        before = records[number - 1] if number else self._last_record
        before_bytes = sum(map(len, records[:number])) + self._end_bytes * number
        self._verdict.first_misplaced = Misplaced(
            part=self._part,
            record=self._record + number,
            offset=offset + before_bytes,
            text=f"{preview(records[number])} comes after {preview(before)}",
        )
