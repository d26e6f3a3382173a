"""Part files read back as pairs: the inverse of `formats/output.py`.

jsonl and msgpack carry their types. Text does not, so the kinds that its writer noted choose a
parser for the keys and one for the values. Where text cannot be undone, as with a tab inside a
key or with strings and numbers mixed, reading refuses rather than guesses.

In JSON a tuple became a list; it comes back as a tuple where it is a key and as a list elsewhere.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack

from minimr.errors import BadRecord, CorruptData, MinimrError
from minimr.formats.output import DUMPED, MULTILINE, SIZED, TABBED, Kinds, encoder
from minimr.shuffle import codec

Pair = tuple[Any, Any]
Parser = Callable[[bytes], Any]

PLAIN_PAIR = 0x92
"""How a msgpack array of two begins; a pair with arrays begins with an extension's code."""


def read_part(path: str | Path, output_format: str, kinds: Kinds) -> Iterator[Pair]:
    """The pairs of a part, in order, their types restored.

    Raises UsageError for an unknown format, BadRecord for text that cannot be undone, CorruptData
    for a damaged file, MinimrError when it cannot be read.
    """
    encoder(output_format)  # refuses an unknown name
    path = Path(path)
    try:
        yield from READERS[output_format](path, kinds)
    except (CorruptData, ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise CorruptData(f"{path} is damaged: {error}. Run the job again.") from error
    except OSError as error:
        raise MinimrError(f"Cannot read {path}: {error.strerror}.") from error


def _read_text(path: Path, kinds: Kinds) -> Iterator[Pair]:
    key_kinds, value_kinds = (set(kind.split("|")) for kind in kinds)
    keys_alone = value_kinds <= {"null", ""}
    if MULTILINE in key_kinds | value_kinds or (TABBED in key_kinds and not keys_alone):
        raise _ambiguous(path, "a key holds a tab, or a key or value a line end")
    key_of = _parser(path, key_kinds - {TABBED})
    value_of = _parser(path, value_kinds - {"null"})
    for line in _lines(path):
        key, tab, value = (line, b"", b"") if keys_alone else line.partition(b"\t")
        yield _as_key(key_of(key)), value_of(value) if tab else None


def _read_jsonl(path: Path, kinds: Kinds) -> Iterator[Pair]:  # noqa: ARG001 - JSON has types
    for line in _lines(path):
        key, value = json.loads(line)
        yield _as_key(key), value


def _read_msgpack(path: Path, kinds: Kinds) -> Iterator[Pair]:  # noqa: ARG001 - so has msgpack
    for record in _msgpack_objects(path):
        if record[0] != PLAIN_PAIR:
            key, value = codec.loads(_dumped_pair(record))
        else:
            key, value = codec.unpack(record, [])
        yield key, value


def _read_binary(path: Path, kinds: Kinds) -> Iterator[Pair]:
    if kinds == ("", ""):
        return
    key_bytes, value_bytes = record_sizes(kinds)
    width = key_bytes + value_bytes
    with path.open("rb") as file:
        while record := file.read(width):
            if len(record) < width:
                raise ValueError(f"it ends within a record of {width} bytes")
            yield record[:key_bytes], record[key_bytes:] if value_bytes else None


def record_sizes(kinds: Kinds) -> tuple[int, int]:
    """How many bytes the keys and the values of a binary part have. Raises ValueError."""
    return _sized(kinds[0]), _sized(kinds[1])


def _sized(kind: str) -> int:
    """How many bytes a key or a value of a binary part has; ValueError for any other kind."""
    name, _, size_bytes = kind.partition(":")
    if name != SIZED.partition(":")[0]:
        raise ValueError(f"its kind {kind!r} gives no size")
    return int(size_bytes)


READERS: dict[str, Callable[[Path, Kinds], Iterator[Pair]]] = {
    "text": _read_text,
    "jsonl": _read_jsonl,
    "msgpack": _read_msgpack,
    "binary": _read_binary,
}


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.removesuffix(b"\n")


def _msgpack_objects(path: Path) -> Iterator[bytes]:
    """The bytes of one object after another; msgpack finds where each ends."""
    with path.open("rb") as scanned, path.open("rb") as read:
        scanner = msgpack.Unpacker(scanned, max_buffer_size=0)
        start, size_bytes = 0, path.stat().st_size
        while start < size_bytes:
            scanner.skip()
            yield read.read(scanner.tell() - start)
            start = scanner.tell()


def _dumped_pair(record: bytes) -> bytes:
    extension = msgpack.unpackb(record)
    if not isinstance(extension, msgpack.ExtType) or extension.code != DUMPED:
        raise ValueError("it holds something that is no pair")
    return bytes(extension.data)


def _parser(path: Path, kinds: set[str]) -> Parser:
    """What turns a field of these kinds back into its value."""
    if len(kinds) == 1:
        return PARSERS[kinds.pop()]
    if kinds & {"str", "bytes"}:
        raise _ambiguous(path, f"it mixes {' and '.join(sorted(kinds))}")
    return _number_or_json


def _number_or_json(text: bytes) -> Any:
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return json.loads(text)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


PARSERS: dict[str, Parser] = {
    "str": _text,
    "bytes": bytes,
    "int": int,
    "float": float,
    "bool": json.loads,
    "null": json.loads,
    "json": json.loads,
    "": json.loads,
}


def _as_key(key: Any) -> Any:
    """A list, which is what JSON makes of a tuple, cannot be a key."""
    return tuple(map(_as_key, key)) if type(key) is list else key


def _ambiguous(path: Path, why: str) -> BadRecord:
    return BadRecord(
        f"{path} cannot be read back as pairs, since {why}; the file itself is whole. "
        "Use the output format jsonl or msgpack to read the pairs in Python."
    )
