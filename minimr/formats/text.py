"""Text files as records: the key is a line's byte offset, the value is the line.

The rule that lets a split be any range of bytes: **a split owns the lines that start in it.** So
a reader that begins at byte b > 0 looks from b - 1 for the first line end, since only then does
it know that a line starts after it; and it reads its last line to that line's end, however far
past its own border that is. Every line then has exactly one owner, without the readers talking.

Lines end at b"\\n" and nothing else: "\\r" stays in the line, and so do the other characters at
which `str.splitlines` would cut. Bytes that are not valid in the encoding become surrogate
escapes (PEP 383), which the output writer turns back into the same bytes.

Lines travel in blocks of about one MiB, cut after the last line end that was read. A longer line
is collected in pieces and joined once, so that its cost stays linear; it travels alone, and nobody
here holds what was passed on. A line that is longer than a task can take is an error as soon as
that much of it was read: whoever works on it needs several times its size.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, chain, count, starmap
from operator import add
from typing import BinaryIO, cast

from minimr.block import TextBlock
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats.splits import WHOLE_FILE, Split
from minimr.shuffle.passes import record_bytes_max, too_large

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Spreadsheets and some editors put it at the start of a file; tables are read without it."""

# The same whatever the memory, for what a job makes of a block may depend on where it ends.
BLOCK_BYTES = 2 << 20
LINES_BYTES = 1 << 20
# Past the split's end only the rest of one line is wanted, so read in smaller steps there.
LINE_REST_BYTES = 64 << 10
NO_END = 1 << 62
COUNTED_BYTES_MAX = 4 << 30
"""Of a line that is too long it is counted how long it is, but not for ever."""


def read_text(
    split: Split,
    encoding: str = "utf-8",
    errors: str = "surrogateescape",
    memory_bytes: int = NO_END,
) -> Iterator[tuple[int, str]]:
    """(byte offset, line without its line end) for every line that starts in the split.

    In a .gz file offsets count decompressed bytes. Raises as `read_text_blocks` does.
    """
    blocks = read_text_blocks(split, encoding, errors, LINES_BYTES, memory_bytes)
    return chain.from_iterable(map(_lines if _is_utf8(encoding) else TextBlock.lines, blocks))


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False  # as `check_encoding` is about to say


def _lines(block: TextBlock) -> Iterator[tuple[int, str]]:
    """Return what `block.lines()` yields, made by a few calls for all lines at once.

    That holds for UTF-8, where a line end is never part of another character, whatever is invalid.
    """
    if block.is_long_line:
        return block.lines()
    try:
        text = block.data.decode("utf-8", block.errors)
    except UnicodeDecodeError:
        return block.lines()  # which gives the lines before the bad one first
    lines = text.split("\n")
    lengths = map(len, lines if block.data.isascii() else block.data.split(b"\n"))
    if not lines[-1]:
        lines.pop()
    # The ends of the lines before it are one byte each.
    offsets = map(add, accumulate(lengths, initial=block.offset), count())
    return zip(offsets, lines, strict=False)


def read_text_blocks(
    split: Split,
    encoding: str = "utf-8",
    errors: str = "surrogateescape",
    block_bytes: int = BLOCK_BYTES,
    memory_bytes: int = NO_END,
) -> Iterator[TextBlock]:
    """The split's lines in blocks of whole lines, about 2 MiB each (one line may be longer).

    Raises UsageError for an encoding that cannot be used, BadRecord for a damaged .gz file, a file
    that shrank since it was cut or a line that is too large for a task of `memory_bytes`,
    MinimrError when the file cannot be read; a block raises BadRecord when `errors` is "strict" and
    it holds invalid bytes.
    """
    check_encoding(encoding, errors)

    def block(offset: int, data: bytes) -> TextBlock:
        return TextBlock(data, offset, split.path, encoding, errors)

    # A loop's variable would hold a block while the next one is read.
    yield from starmap(block, read_whole_lines(split, block_bytes, memory_bytes))


def read_whole_lines(
    split: Split, block_bytes: int = BLOCK_BYTES, memory_bytes: int = NO_END
) -> Iterator[tuple[int, bytes]]:
    """(byte offset, about `block_bytes` of whole lines) in order; together they are the split."""
    with _open(split) as stream:
        if split.length == WHOLE_FILE:
            yield from _cut_at_line_ends(stream, 0, NO_END, block_bytes, memory_bytes)
            return
        end = split.offset + split.length
        start = _first_line_start(stream, split.offset, end)
        if start is not None:
            stream.seek(start)
            yield from _cut_at_line_ends(stream, start, end, block_bytes, memory_bytes)


def check_encoding(encoding: str, errors: str) -> None:
    """UsageError unless the names exist and the encoding writes a line end as the byte b"\\n"."""
    try:
        codecs.lookup_error(errors)
        usable = b"\n".decode(encoding, errors) == "\n"
    except UnicodeError:  # Codecs of domain names raise it for handlers that they do not know, too.
        usable = False
    except LookupError as error:
        raise UsageError(f"{error}; Python's codecs module lists the names.") from error
    if not usable:
        raise UsageError(
            f"Text in the encoding {encoding!r} cannot be cut into lines at the byte b'\\n'; "
            "convert the input to UTF-8 first."
        )


def _first_line_start(stream: BinaryIO, start: int, end: int) -> int | None:
    """Where the first line begins that starts in [start, end); None if none does."""
    if start == 0:
        return 0 if end > 0 else None
    position = start - 1
    stream.seek(position)
    while position < end - 1:
        chunk = stream.read(min(LINE_REST_BYTES, end - 1 - position))
        if not chunk:
            raise _shrank(stream.name)
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(chunk)
    return None


def _cut_at_line_ends(
    stream: BinaryIO, start: int, end: int, block_bytes: int, memory_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines from `start`, where a line begins, to the end of the line that holds
    byte `end - 1`.
    """
    pieces: list[bytes] = []
    position = start
    while chunk := stream.read(_bytes_to_read(end - position, block_bytes)):
        after = position + len(chunk)
        if after < end:
            cut = chunk.rfind(b"\n") + 1
        else:
            cut = chunk.find(b"\n", max(0, end - 1 - position)) + 1
        position = after
        if not cut:
            pieces.append(chunk)
            # As much as a block is held anyway.
            if position - start > max(record_bytes_max(memory_bytes), block_bytes):
                pieces.clear()
                raise _too_long(stream, start, position - start, memory_bytes)
            continue
        if pieces:
            for size_bytes, data in _with_pieces(pieces, chunk[:cut], block_bytes):
                yield start, data.pop()
                start += size_bytes
        else:
            yield start, chunk[:cut]
            start += cut
        if after >= end:
            return
        pieces = [chunk[cut:]]
    if position < end != NO_END:
        raise _shrank(stream.name)
    if any(pieces):
        yield start, b"".join(pieces)


def _with_pieces(
    pieces: list[bytes], lines: bytes, block_bytes: int
) -> Iterator[tuple[int, list[bytes]]]:
    """Join the beginning of a line that was read before to its end: (size, [data to be taken]).

    A long one travels alone, without the other lines that came with its end.
    """
    are_long = len(pieces) > 1 and sum(map(len, pieces)) >= block_bytes
    cut = lines.find(b"\n") + 1 if are_long else len(lines)
    pieces.append(lines[:cut])
    yield sum(map(len, pieces)), [_emptied(pieces)]
    if cut < len(lines):
        yield len(lines) - cut, [lines[cut:]]


def _emptied(pieces: list[bytes]) -> bytes:
    data = b"".join(pieces)
    pieces.clear()
    return data


def _bytes_to_read(bytes_to_end: int, block_bytes: int) -> int:
    return min(block_bytes, max(LINE_REST_BYTES, bytes_to_end))


@contextmanager
def _open(split: Split) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed; turns what goes wrong while reading into our errors."""
    try:
        if split.path.endswith(".gz"):
            with gzip.open(split.path, "rb") as stream:
                yield cast(BinaryIO, stream)
        else:
            with open(split.path, "rb", buffering=0) as stream:  # noqa: PTH123 - each task pays
                yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadRecord(
            f"{split.path} is not a whole gzip file ({error}); check it with `gzip -t`."
        ) from error
    except OSError as error:
        raise MinimrError(f"Cannot read the input {split.path}: {error.strerror}.") from error


def _too_long(stream: BinaryIO, start: int, read_bytes: int, memory_bytes: int) -> BadRecord:
    line_bytes, is_whole = _rest_of_line(stream, read_bytes)
    what = too_large(memory_bytes, line_bytes, more=not is_whole)
    return BadRecord(
        f"The line at {stream.name}:{start} {what}, or cut the file into shorter lines."
    )


def _rest_of_line(stream: BinaryIO, read_bytes: int) -> tuple[int, bool]:
    """Return how long a line is of which so much was read, and whether that is all of it."""
    while read_bytes < COUNTED_BYTES_MAX:
        chunk = stream.read(BLOCK_BYTES)
        end = chunk.find(b"\n")
        if end >= 0 or not chunk:
            return read_bytes + max(0, end), True
        read_bytes += len(chunk)
    return read_bytes, False


def _shrank(path: str) -> BadRecord:
    return BadRecord(f"{path} became shorter after the job started; run the job again.")
