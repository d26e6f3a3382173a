"""Files of fixed-width records: no line ends, no separators, record n begins at byte n * width.

The format's name says the width: `input_format = "binary:100"`. Splits are any ranges of bytes, as
for text, and the same rule makes that harmless: **a split owns the records that start in it.** With
a fixed width there is nothing to search for, since the first one starts at the next multiple.

To `map` a record is (byte offset, bytes). `map_block` gets Blocks with one column, `record`: a
matrix (records, width) of uint8 into which the file is read without a copy in between. It is as
large as memory permits, since a split that is sorted at once need not be joined. (numpy's own byte
strings would drop trailing zeros, which here are data.)
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from minimr.block import Block
from minimr.errors import BadRecord, MinimrError, UsageError
from minimr.formats.splits import WHOLE_FILE, Split

BLOCK_BYTES = 1 << 20
BLOCK_BYTES_MAX = 16 << 20
RECORD_BYTES_MAX = 1 << 30


def record_width(argument: str) -> int:
    """Return the width in bytes that the name of a format gives, 100 for "binary:100".

    Raises UsageError.
    """
    if not (argument.isascii() and argument.isdigit() and 0 < int(argument) <= RECORD_BYTES_MAX):
        raise UsageError(
            f"The format binary needs the size of a record, as in binary:100, not {argument!r}."
        )
    return int(argument)


def check_size(path: str, size_bytes: int, width: int) -> None:
    """Raise UsageError unless a file of that size can consist of records of that width."""
    if path.endswith(".gz"):
        raise UsageError(
            f"{path} is compressed; the format binary reads files as they are: unpack it."
        )
    if size_bytes % width:
        raise UsageError(
            f"{path} has {size_bytes:,} bytes, which is no multiple of the record size of {width}; "
            "is it the right file, and the right size?"
        )


def read_binary(split: Split, width: int) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset, record) for every record that starts in the split.

    Raises BadRecord for a file that ends within a record, MinimrError if it cannot be read.
    """
    for position, records in read_binary_records(split, width):
        yield from ((position + number * width, each) for number, each in enumerate(records))


def read_binary_records(split: Split, width: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (byte offset of the first, about one MiB of records) in order; raises as above."""
    for position, buffer in _buffers(split, width, BLOCK_BYTES, _new_buffer):
        data = bytes(buffer)
        yield position, [data[start : start + width] for start in range(0, len(data), width)]


def _new_buffer(size_bytes: int) -> memoryview:
    return memoryview(bytearray(size_bytes))


def read_binary_blocks(split: Split, width: int, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield the same records as Blocks of about `block_bytes` with the column `record`.

    Raises as `read_binary` does.
    """
    import numpy as np

    def new_buffer(size_bytes: int) -> memoryview:
        return np.empty(size_bytes, np.uint8).data

    step_bytes = min(block_bytes, BLOCK_BYTES_MAX)
    for _, buffer in _buffers(split, width, step_bytes, new_buffer):
        yield Block({"record": np.frombuffer(buffer, np.uint8).reshape(-1, width)})


def _buffers(
    split: Split, width: int, block_bytes: int, new_buffer: Callable[[int], memoryview]
) -> Iterator[tuple[int, memoryview]]:
    """Yield (byte offset, about `block_bytes` of whole records) until the split's end."""
    if split.length == WHOLE_FILE:
        check_size(split.path, 0, width)  # raises: only a compressed file is never cut
    position = _next_record(split.offset, width)
    end = _next_record(split.offset + split.length, width)
    step_bytes = max(1, block_bytes // width) * width
    try:
        with Path(split.path).open("rb") as file:
            file.seek(position)
            while position < end:
                buffer = new_buffer(min(step_bytes, end - position))
                read_bytes = file.readinto(buffer)
                if read_bytes < len(buffer):
                    raise _ends_within(split.path, position + read_bytes, width)
                yield position, buffer
                position += read_bytes
    except OSError as error:
        raise MinimrError(f"Cannot read the input {split.path}: {error.strerror}.") from error


def _next_record(position: int, width: int) -> int:
    """Return where the first record begins that does not begin before `position`."""
    return -(-position // width) * width


def _ends_within(path: str, size_bytes: int, width: int) -> BadRecord:
    return BadRecord(
        f"{path} ends at byte {size_bytes:,}, within a record of {width} bytes; "
        "it is cut short, or its records have another size."
    )
