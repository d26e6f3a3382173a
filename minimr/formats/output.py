"""Pairs to part files and back. A reduce task writes one part; a part is one file of one format.

    text      key TAB value, one pair a line; for people, `cut`, `sort` and spreadsheets
    jsonl     [key, value] as JSON, one pair a line; for other programs
    msgpack   [key, value] as msgpack, one after the other; keeps every type, arrays included
    binary    the bytes of key and value, nothing between; all keys of one size, all values too

In text, strings and bytes stand as they are, ints and floats as their `repr`, anything else as
JSON; a value of None writes the key alone. Output is UTF-8, and the surrogate escapes that the
text reader made of invalid bytes become those bytes again.

Text does not say whether `1` was an int or a string, so a writer notes the *kinds* it met, with
whose help `formats/parts.py` reads the pairs back.
"""

import errno
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from json.encoder import encode_basestring
from os import fsync
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgpack

from minimr.errors import BadRecord, DiskFull, MinimrError, UsageError
from minimr.keys import preview
from minimr.shuffle import codec
from minimr.shuffle.codec import Buffer

if TYPE_CHECKING:
    from minimr.shuffle.columns import Column

Kinds = tuple[str, str]

FLUSH_BYTES = 1 << 20
DUMPED = 16
"""msgpack extension code of a whole pair, `codec.dumps([key, value])`, that holds arrays."""

KIND_OF_TYPE: dict[type, str] = {
    str: "str",
    bytes: "bytes",
    int: "int",
    float: "float",
    bool: "bool",
    type(None): "null",
}
"""A type that is not here has the kind "json". A part's kinds are joined by "|": "int|null"."""

SIZED = "bytes:{}"
"""The kind of the keys, or of the values, of a binary part: how many bytes each of them has."""

TABBED = "tabbed"
MULTILINE = "multiline"
"""Marks beside the kinds: some key holds a tab; some key or value holds a line end."""


PART_NAME = re.compile(r"part-\d{5,}")


@dataclass(frozen=True)
class PartInfo:
    """What the manifest says of one part; `kinds` are those of its keys and of its values."""

    name: str
    records: int
    bytes: int
    sha256: str
    kinds: Kinds

    def to_dict(self) -> dict[str, Any]:
        """The form that travels in a message."""
        return {**asdict(self), "kinds": list(self.kinds)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "PartInfo":
        """The inverse of `to_dict`. Raises ValueError, KeyError or TypeError for anything else."""
        part = cls(**{**fields, "kinds": tuple(fields["kinds"])})
        if not PART_NAME.fullmatch(part.name):  # It becomes a path.
            raise ValueError(f"{part.name!r} is no name of a part")
        if type(part.records) is not int or type(part.bytes) is not int:
            raise TypeError("records and bytes of a part are numbers")
        if not {str}.issuperset(map(type, (part.sha256, *part.kinds))):
            raise TypeError("the checksum and the kinds of a part are texts")
        return part


class PartWriter:
    """Writes one attempt's pairs to a file. Leaving its `with` unclosed discards the file."""

    def __init__(self, output_format: str, path: Path) -> None:
        self._encode = encoder(output_format)
        self._format = output_format
        self._path = path
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._records = 0
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._key_kinds: set[str] = set()
        self._value_kinds: set[str] = set()
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, key: Any, value: Any) -> int:
        """Add one pair; return its size in bytes. Raises BadRecord if the format has no form for
        it."""
        line = self._encode(key, value)
        self._lines.append(line)
        self._waiting_bytes += len(line)
        self._records += 1
        if self._format == "binary":
            self._note_sizes(SIZED.format(len(key)), SIZED.format(len(line) - len(key)))
        else:
            self._note_kinds(key, value)
        if self._waiting_bytes >= FLUSH_BYTES:
            self._flush()
        return len(line)

    def write_columns(self, keys: "Column", values: "Column") -> None:
        """Add pairs that lie in two columns; the part is the same as if they were added singly."""
        from minimr.formats.output_columns import encode_columns, single_pairs

        encoded = encode_columns(self._format, keys, values) if len(keys) else None
        if encoded is None:
            for key, value in single_pairs(keys, values):
                self.write(key, value)
            return
        if self._format == "binary":
            self._note_sizes(*encoded.key_kinds, *encoded.value_kinds)
        self._key_kinds |= encoded.key_kinds
        self._value_kinds |= encoded.value_kinds
        self._records += len(keys)
        self._flush()
        for piece in encoded.pieces:
            self._put(piece)

    def close(self) -> PartInfo:
        """Bring the file to the disk and describe it. Raises MinimrError if the disk is full."""
        self._flush()
        try:
            fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise cannot_write(self._path, error) from error
        return PartInfo(
            name=self._path.name.partition(".attempt-")[0],
            records=self._records,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            kinds=("|".join(sorted(self._key_kinds)), "|".join(sorted(self._value_kinds))),
        )

    def discard(self) -> None:
        """Remove the file: the attempt failed or lost."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._file.closed:
            self.discard()

    def _note_kinds(self, key: Any, value: Any) -> None:
        self._key_kinds.add(KIND_OF_TYPE.get(type(key), "json"))
        self._value_kinds.add(KIND_OF_TYPE.get(type(value), "json"))
        if _holds(key, "\t", b"\t"):
            self._key_kinds.add(TABBED)
        if _holds(key, "\n", b"\n"):
            self._key_kinds.add(MULTILINE)
        if _holds(value, "\n", b"\n"):
            self._value_kinds.add(MULTILINE)

    def _note_sizes(self, key_kind: str, value_kind: str) -> None:
        """All records of a binary part are alike, or nobody could tell where one begins."""
        self._key_kinds.add(key_kind)
        self._value_kinds.add(value_kind)
        if len(self._key_kinds) + len(self._value_kinds) > 2:
            raise BadRecord(
                f"A key ({key_kind}) and its value ({value_kind}) come after others of "
                f"{' and '.join(sorted(self._key_kinds | self._value_kinds))}; the output format "
                "binary needs all keys of one size, and all values. Use another format."
            )

    def _flush(self) -> None:
        data = b"".join(self._lines)
        self._lines.clear()
        self._waiting_bytes = 0
        self._put(data)

    def _put(self, data: Buffer) -> None:
        """Write bytes behind those that are there."""
        self._digest.update(data)
        self._bytes += len(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise cannot_write(self._path, error) from error


def open_writer(output_format: str, path: str | Path) -> PartWriter:
    """A writer for one attempt's part; UsageError for an unknown format."""
    return PartWriter(output_format, Path(path))


def encoder(output_format: str) -> Callable[[Any, Any], bytes]:
    """The function that writes one pair in that format; UsageError if there is no such format."""
    if output_format not in ENCODERS:
        choices = ", ".join(ENCODERS)
        raise UsageError(f"Unknown output format {output_format!r}; the formats are: {choices}.")
    return ENCODERS[output_format]


def encode_text(key: Any, value: Any) -> bytes:
    """`key TAB value` and a line end; the key alone if the value is None."""
    try:
        if value is None:
            return _text_of(key) + b"\n"
        return _text_of(key) + b"\t" + _text_of(value) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise _no_form("text", key, value, error) from error


def encode_jsonl(key: Any, value: Any) -> bytes:
    """`[key, value]` and a line end."""
    try:
        return _json_of([key, value]) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise _no_form("jsonl", key, value, error) from error


def encode_msgpack(key: Any, value: Any) -> bytes:
    """`[key, value]` as plain msgpack; a pair with arrays is one extension object instead."""
    pair = [key, value]
    try:
        head, buffers = codec.pack(pair)
        if not buffers:
            return head
        return bytes(msgpack.packb(msgpack.ExtType(DUMPED, codec.dumps(pair))))
    except (TypeError, ValueError) as error:
        raise _no_form("msgpack", key, value, error) from error


def encode_binary(key: Any, value: Any) -> bytes:
    """The bytes of the key and those of the value; None has none."""
    if type(key) is bytes and value is None:
        return key
    if type(key) is not bytes or type(value) is not bytes:
        error = TypeError("keys and values must be bytes, or a value None")
        raise _no_form("binary", key, value, error)
    return key + value


ENCODERS: dict[str, Callable[[Any, Any], bytes]] = {
    "text": encode_text,
    "jsonl": encode_jsonl,
    "msgpack": encode_msgpack,
    "binary": encode_binary,
}


def _text_of(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        return bytes(value.encode("utf-8", "surrogateescape"))
    if kind is bytes:
        return bytes(value)
    if kind is int or kind is float:
        return repr(value).encode("ascii")
    if kind is list and value and type(value[0]) is str:
        return _json_of_texts(value)
    return _json_of(value)


def _plain(value: Any) -> Any:
    """A numpy array as lists, a numpy scalar as the number it is."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_JSON = json.JSONEncoder(ensure_ascii=False, default=_plain)
_ASCII_JSON = json.JSONEncoder(default=_plain)


def _json_of(value: Any) -> bytes:
    try:
        return _JSON.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        # Lone surrogates have no UTF-8, but JSON has escapes for them.
        return _ASCII_JSON.encode(value).encode("ascii")


def _json_of_texts(texts: list[Any]) -> bytes:
    """A list that begins with a text: an index is full of those, and most hold nothing else."""
    try:
        return f"[{', '.join(map(encode_basestring, texts))}]".encode()
    except (TypeError, UnicodeEncodeError):
        return _json_of(texts)


def _holds(value: Any, character: str, byte: bytes) -> bool:
    if type(value) is str:
        return character in value
    return type(value) is bytes and byte in value


def _no_form(output_format: str, key: Any, value: Any, error: Exception) -> BadRecord:
    advice = "" if output_format == "msgpack" else ", or use the output format msgpack"
    return BadRecord(
        f"The pair ({preview(key)}, {preview(value)}) cannot be written as {output_format}: "
        f"{error}. Change what reduce yields{advice}."
    )


def cannot_write(path: Path, error: OSError) -> MinimrError:
    """Our error for a failed write, which says what to do about a full disk."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "; free some space there and run again" if full else ""
    kind = DiskFull if full else MinimrError
    return kind(f"Cannot write {path}: {error.strerror or error}{advice}.")
