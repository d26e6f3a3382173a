"""Which reducer gets a key: a hash defined on the key's value (OSDI 2004, section 4.1).

Python's `hash()` will not do: for strings it changes from process to process. Ours is the same on
every machine and for ever, since the files of one run must agree and a test's golden values must
hold. Text and bytes go through CRC-32; numbers are taken by their 64 bits; both are then stirred by
the finaliser of SplitMix64 (Steele, Lea and Flood 2014), so that the low bits, which decide the
partition, depend on all the others. Tuples and huge ints are hashed by a canonical encoding.

Two keys that are equal and of one kind have the same hash: -0.0 counts as 0.0.
"""

import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

from minimr.errors import BadRecord
from minimr.keys import preview

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from minimr.shuffle.byte_strings import ByteStrings
    from minimr.shuffle.columns import Column

MASK = (1 << 64) - 1
STIR_1 = 0xBF58476D1CE4E5B9
STIR_2 = 0x94D049BB133111EB

VECTOR_KEYS_MIN = 64
"""Below this many keys, numpy's fixed costs are larger than what it saves."""


def stable_hash(key: Any) -> int:
    """Return the uint64 hash of a key of an allowed kind."""
    return _stir(_bits(key))


def partition_of(key: Any, partitions: int) -> int:
    """Return the key's partition, 0 to `partitions` - 1."""
    return stable_hash(key) % partitions


def stable_hash_array(
    keys: "npt.NDArray[np.int64 | np.float64 | np.bool_] | ByteStrings",
) -> "npt.NDArray[np.uint64]":
    """Return the uint64 hashes of n typed keys; equal to `stable_hash` of each."""
    import numpy as np

    if not isinstance(keys, np.ndarray):
        from minimr.shuffle.crc import crc32_of_each

        return _stir_array(crc32_of_each(keys))
    if keys.dtype == np.float64:
        return _stir_array((keys + 0.0).view(np.uint64))  # + 0.0 makes 0.0 of -0.0
    return _stir_array(keys.astype(np.int64, copy=False).view(np.uint64))


def column_partitions(keys: "Column", partitions: int) -> "npt.NDArray[np.int64]":
    """Return the partition of each key of a column, (n,) int64."""
    import numpy as np

    if partitions == 1:
        return np.zeros(len(keys), np.int64)
    from minimr.shuffle.columns import Tuples, items

    if isinstance(keys, list | Tuples):
        return np.array(partitions_of(items(keys), partitions), np.int64)
    return (stable_hash_array(keys) % np.uint64(partitions)).astype(np.int64)


def partitions_of(keys: list[Any], partitions: int) -> list[int]:
    """Return the partition of each key; the keys are of one kind.

    numpy does it faster, but loading it costs more than a job of ordinary size can win back, so it
    is used where it is loaded anyway. The answer is the same.
    """
    if partitions == 1:
        return [0] * len(keys)
    if len(keys) < VECTOR_KEYS_MIN or "numpy" not in sys.modules:
        return [_stir(bits) % partitions for bits in _bits_of_all(keys)]
    import numpy as np

    stirred = _stir_array(np.array(_bits_of_all(keys), np.uint64))
    result: list[int] = (stirred % np.uint64(partitions)).tolist()
    return result


def checked_partition(partition: Any, key: Any, partitions: int) -> int:
    """Return what a job's own `partition` chose, or the hash's choice for None.

    Raises BadRecord if it is no partition's number.
    """
    if partition is None:
        return partition_of(key, partitions)
    if not isinstance(partition, int) or not 0 <= partition < partitions:
        raise BadRecord(
            f"partition({preview(key)}, {partitions}) returned {preview(partition)}; "
            f"it must return None or an int from 0 to {partitions - 1}."
        )
    return int(partition)


def _stir(bits: int) -> int:
    bits = ((bits ^ (bits >> 30)) * STIR_1) & MASK
    bits = ((bits ^ (bits >> 27)) * STIR_2) & MASK
    return bits ^ (bits >> 31)


def _stir_array(bits: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.uint64]":
    import numpy as np

    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(STIR_1)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(STIR_2)
    return bits ^ (bits >> np.uint64(31))


def _bits_of_all(keys: list[Any]) -> list[int]:
    """Return `_bits` of keys of one kind; text, the commonest, goes without a call for each."""
    if keys and type(keys[0]) is str:
        return [zlib.crc32(key.encode("utf-8", "surrogatepass")) for key in keys]
    return list(map(_bits, keys))


def _bits(key: Any) -> int:
    """Return up to 64 bits that stand for the key, before stirring."""
    kind = type(key)
    if kind is str:
        return zlib.crc32(key.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return zlib.crc32(key)
    if kind is int and -(1 << 63) <= key < 1 << 63:
        return int(key) & MASK
    if kind is float:
        return int.from_bytes(struct.pack("<d", key + 0.0), "little")
    if kind is bool:
        return int(key)
    return zlib.crc32(_canonical(key))


def _canonical(key: Any) -> bytes:
    """Return bytes that equal keys of one kind share: a tag, a length, the content."""
    kind = type(key)
    if kind is tuple:
        return _tagged(b"t", b"".join(map(_canonical, key)))
    if kind is str:
        return _tagged(b"s", key.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return _tagged(b"b", key)
    if kind is int:
        size = key.bit_length() // 8 + 1
        return _tagged(b"i", key.to_bytes(size, "little", signed=True))
    if kind is float:
        return b"f" + struct.pack("<d", key + 0.0)
    if kind is bool:
        return b"y" if key else b"n"
    return b"0"


def _tagged(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack("<Q", len(content)) + content
