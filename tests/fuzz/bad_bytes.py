"""Damaged bytes, and the judge of what a parser does with them."""

import os
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SOAK = int(os.environ.get("MINIMR_SOAK", "1"))
EXAMPLES = 100

fuzz = settings(
    max_examples=EXAMPLES * SOAK,
    derandomize=SOAK == 1,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""Decorates a test: the same inputs in every CI run, others in every soak."""

MEMORY_FLOOR_BYTES = 1 << 20
"""What any input may cost. A msgpack packer alone begins with 256 KiB, and a tuple has its own."""
MEMORY_PER_BYTE = 160
"""An empty map is one byte of msgpack and 64 bytes of Python, with 8 in the list that holds it; a
list or an input that grows is copied, so twice that and a little."""

INTERESTING = [b"\0", b"\xff", b"\0" * 8, b"\xff" * 4, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\n"]


def written(write: Callable[[Path], Any]) -> bytes:
    """The bytes of the file that `write(path)` makes."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        write(path)
        return path.read_bytes()


Damage = Callable[[bytes, int, int, bytes], bytes]
"""(valid bytes, position, length, other bytes) -> damaged bytes."""

DAMAGES: dict[str, Damage] = {
    "flip": lambda data, at, length, other: (
        data[:at] + bytes(byte ^ (1 << length % 8) for byte in data[at : at + 1]) + data[at + 1 :]
    ),
    "cut": lambda data, at, length, other: data[:at],
    "drop": lambda data, at, length, other: data[:at] + data[at + length :],
    "insert": lambda data, at, length, other: data[:at] + other + data[at:],
    "overwrite": lambda data, at, length, other: data[:at] + other + data[at + len(other) :],
    "double": lambda data, at, length, other: data[: at + length] + data[at:],
    "zero": lambda data, at, length, other: (
        data[:at] + bytes(len(data[at : at + length])) + data[at + length :]
    ),
    "move": lambda data, at, length, other: (
        data[:at] + data[at + length :] + data[at : at + length]
    ),
}


@st.composite
def damaged(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """One of the valid inputs after one to four damages, or spliced with another one."""
    data = draw(st.sampled_from(valid))
    if draw(st.integers(0, 4)) == 0:
        other = draw(st.sampled_from(valid))
        data = data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]
    junk = st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=12)
    for name in draw(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=4)):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(1, 24))
        data = DAMAGES[name](data, at, length, draw(junk))
    return data


def bad_bytes(valid: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Damaged inputs, mostly; now and then arbitrary bytes, bare or behind a valid beginning."""
    return st.one_of(
        damaged(valid),
        damaged(valid),
        st.binary(max_size=200),
        st.builds(bytes.__add__, st.sampled_from([each[:12] for each in valid]), st.binary()),
    )


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 1 << 63])
    | st.floats()
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)

DEEP = {"lists": b"[" * 20_000, "objects": b'{"a":' * 20_000, "closed": b"[" * 9999 + b"]" * 9999}
"""JSON that overflows a parser which calls itself."""


def judge(
    parse: Callable[[Any], Any],
    data: Any,
    allowed: type[BaseException] | tuple[type[BaseException], ...],
    *,
    size_bytes: int | None = None,
    floor_bytes: int = MEMORY_FLOOR_BYTES,
) -> Any:
    """What `parse(data)` returns, or None if it raised an error it may raise.

    AssertionError if its peak of memory is over the bound; other errors pass through and fail the
    test. `size_bytes` is the size of the input where `data` is not bytes.
    """
    size_bytes = len(data) if size_bytes is None else size_bytes
    bound_bytes = floor_bytes + MEMORY_PER_BYTE * size_bytes
    tracemalloc.start()
    try:
        return parse(data)
    except allowed as error:
        if not str(error).strip():
            raise AssertionError(f"a {type(error).__name__} without a message") from error
        return None
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes <= bound_bytes, f"{peak_bytes} bytes for an input of {size_bytes}"
