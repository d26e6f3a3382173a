"""Sort binary records of fixed width by the bytes at their beginning.

    minimr data terasort 5000000 -o records.bin
    minimr run terasort records.bin -o sorted
    minimr validate sorted --input records.bin

A record has 100 bytes of which the first 10 are its key, as in the benchmark after which the job is
named; `record_bytes` and `key_bytes` are for others. The parts follow one another, evenly filled,
and hold the records as they were. Records with equal keys stay in the order of the input.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import minimr as mr


class TeraSort(mr.Job):
    """Emits (key, rest of the record); the engine sorts by key, and the default reduce keeps it."""

    total_order: ClassVar[bool] = True
    output_format = "binary"

    record_bytes: int = 100
    key_bytes: int = 10

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not 0 < self.key_bytes <= self.record_bytes:
            raise mr.UsageError(
                f"A key of {self.key_bytes} bytes cannot lie in a record of {self.record_bytes}."
            )
        self.input_format = f"binary:{self.record_bytes}"

    def map(self, _offset: int, record: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield record[: self.key_bytes], record[self.key_bytes :]

    def map_block(self, block: mr.Block) -> mr.Pairs:
        records = block["record"]
        keys, rest = records[:, : self.key_bytes], records[:, self.key_bytes :]
        return mr.Pairs(mr.ByteStrings.fixed(keys), mr.ByteStrings.fixed(rest))
