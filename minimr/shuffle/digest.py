"""Digests: short names for what a task made, by which two versions of it are told apart.

A lost map output is made again. If user code is not deterministic, the new one differs, and
reducers that read the old one and the new one silently mix two versions (SPARK-23243, SPARK-25341).
So each map output has a digest of the lengths and checksums of its segments, which every attempt of
a deterministic map shares; and each reduce output has a digest of those of all maps that it read.
Comparing a few dozen characters then answers what would need all the bytes.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping

DIGEST_CHARACTERS = 32
SEGMENT = struct.Struct("<QI")


def segments_digest(segments: Iterable[tuple[int, int]]) -> str:
    """Return the digest of a map output, from the (length in bytes, crc32) of all its segments."""
    packed = b"".join(SEGMENT.pack(length, crc) for length, crc in segments)
    return _short(packed)


def inputs_digest(digests: Mapping[int, str]) -> str:
    """Return the digest of all that a reduce task reads, from its maps' digests by map index."""
    lines = "".join(f"{index}:{digests[index]}\n" for index in sorted(digests))
    return _short(lines.encode())


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARACTERS]
