"""The records of the sort benchmark: 100 bytes each, the first 10 are a random key.

Every result since TeraSort (O'Malley 2008; Dean and Ghemawat, OSDI 2004, section 5.3, sort such
records too) is over data from one generator, gensort; this one is made in its spirit.

    bytes 0 to 9     the key: random bytes, or random printable characters with `ascii`
    bytes 10 to 29   the record's number from 0, in decimal
    bytes 30 to 97   one letter, which tells the number modulo 26
    bytes 98, 99     carriage return, line feed

Record n depends on the seed and on n alone: its key is SplitMix64's output number n (Steele, Lea
and Flood 2014), a counter that is stirred. So any range of records can be made anywhere, and a
longer file begins with the shorter one. With `ascii` keys the file is text, a record a line.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from minimr.shuffle.whole_file import WholeFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.uint8]

RECORD_BYTES = 100
KEY_BYTES = 10
NUMBER_DIGITS = 20
FILLER = slice(KEY_BYTES + NUMBER_DIGITS, RECORD_BYTES - 2)
CHUNK_RECORDS = 50_000
"""Records made at once: 5 MB of them, and the generator needs about four times that."""

STEP = 0x9E3779B97F4A7C15
PRINTABLE_FIRST, PRINTABLE_COUNT = 32, 95


def write_terasort(path: str | Path, records: int, seed: int = 0, ascii: bool = False) -> int:
    """Write a file of `records` records and return its size in bytes.

    Raises MinimrError if it cannot be written; there is no file then.
    """
    with WholeFile(Path(path), "file") as file:
        for start in range(0, records, CHUNK_RECORDS):
            count = min(CHUNK_RECORDS, records - start)
            file.write(terasort_rows(start, count, seed, ascii).reshape(-1).data)
    return file.position


def terasort_rows(start: int, count: int, seed: int = 0, ascii: bool = False) -> "Rows":
    """Return records `start` to `start + count` as a uint8 matrix of shape (count, 100)."""
    import numpy as np

    numbers = np.arange(start, start + count, dtype=np.uint64)
    rows = np.empty((count, RECORD_BYTES), np.uint8)
    rows[:, :KEY_BYTES] = _keys(numbers, seed, ascii)
    for place, digits in enumerate(_four_digits(numbers)):
        rows[:, KEY_BYTES + 4 * place : KEY_BYTES + 4 * place + 4] = digits
    rows[:, FILLER] = (numbers % np.uint64(26) + np.uint64(ord("A")))[:, np.newaxis]
    rows[:, -2:] = np.frombuffer(b"\r\n", np.uint8)
    return rows


def _keys(numbers: "npt.NDArray[np.uint64]", seed: int, ascii: bool) -> "Rows":
    """Two outputs of the generator make the 10 bytes of a key, the second one in part."""
    import numpy as np

    from minimr.shuffle.partition import stable_hash, stable_hash_array

    outputs = numbers[:, np.newaxis] * np.uint64(2) + np.arange(1, 3, dtype=np.uint64)
    states = outputs * np.uint64(STEP) + np.uint64(stable_hash(seed))
    stirred = stable_hash_array(states.view(np.int64))
    keys = stirred.astype("<u8", copy=False).view(np.uint8)[:, :KEY_BYTES]
    if not ascii:
        return keys
    scaled = keys.astype(np.uint16) * np.uint16(PRINTABLE_COUNT) >> np.uint16(8)
    return (scaled + np.uint16(PRINTABLE_FIRST)).astype(np.uint8)


def _four_digits(numbers: "npt.NDArray[np.uint64]") -> "Iterator[Rows]":
    """Yield the decimal digits in groups of four, the highest first, as ASCII of shape (n, 4).

    A table of 10,000 entries costs a fifth of dividing by ten for each digit.
    """
    import numpy as np

    table = np.frombuffer("".join(f"{n:04}" for n in range(10_000)).encode(), np.uint8)
    table = table.reshape(10_000, 4)
    for group in reversed(range(NUMBER_DIGITS // 4)):
        yield table[numbers // np.uint64(10_000**group) % np.uint64(10_000)]
