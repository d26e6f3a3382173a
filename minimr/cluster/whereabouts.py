"""What a slot tells its worker while user code runs: that it goes on, and where it is.

User code may hold the slot's only thread for hours or end the process at any instruction, so a
message is out of the question. The slot writes to a file that both map into memory: a store costs
no system call, and what was stored is there for the worker whatever happened to the slot, segfault
and out-of-memory kill included.

    u64 ticks           goes up while the task goes on
    u32 length          of the text, 0 if there is none
    bytes               the text, in UTF-8: the position, NUL, the same in words for people

Only careful attempts publish positions. One is stored between two stores of the length, 0 before
and its own after, so that a slot killed in between seems to be nowhere, not somewhere else.
"""

import mmap
import struct
from pathlib import Path

NAME = "whereabouts"
SIZE_BYTES = 16 << 10
TICKS = struct.Struct("<Q")
LENGTH = struct.Struct("<I")
TEXT_AT = TICKS.size + LENGTH.size
TEXT_BYTES_MAX = SIZE_BYTES - TEXT_AT
END = b"\0"


class Whereabouts:
    """The slot's side: the Watcher (tasks/watcher.py) of all its attempts."""

    def __init__(self, scratch: Path) -> None:
        path = scratch / NAME
        path.write_bytes(bytes(SIZE_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE_BYTES)
        self._ticks = 0

    def begin(self) -> None:
        """A new attempt starts: it is nowhere yet, whatever the last one left."""
        self.at(None)
        self.tick()

    def tick(self) -> None:
        self._ticks += 1
        TICKS.pack_into(self._map, 0, self._ticks)

    def at(self, position: str | None, sentence: str = "") -> None:
        """Publish a position; one too long for its place counts as none."""
        LENGTH.pack_into(self._map, TICKS.size, 0)
        text = (position or "").encode("utf-8", "surrogateescape")
        if sentence:
            words = END + sentence.encode("utf-8", "surrogateescape")
            text += words[: max(0, TEXT_BYTES_MAX - len(text))]
        if len(text) <= TEXT_BYTES_MAX:
            self._map[TEXT_AT : TEXT_AT + len(text)] = text
            LENGTH.pack_into(self._map, TICKS.size, len(text))


def read_ticks(scratch: Path) -> int:
    """The worker's side, at any time: a number that changes as long as the slot's task goes on."""
    return _read(scratch)[0]


def read_position(scratch: Path) -> str | None:
    """The worker's side, after the slot's death: where a careful attempt was, if it was anywhere.

    "path:offset" is a record and "reduce-3:key 'a'" a key group; both can be skipped, as can
    "path:offset+length", a block whose lines are then called one by one. Others cannot.
    """
    return _read(scratch)[1] or None


def read_sentence(scratch: Path) -> str:
    """The worker's side: the position with a preview of the record, for people; "" if unknown."""
    return _read(scratch)[2]


def _read(scratch: Path) -> tuple[int, str, str]:
    try:
        data = (scratch / NAME).read_bytes()
        (ticks,), (length,) = TICKS.unpack_from(data), LENGTH.unpack_from(data, TICKS.size)
    except (OSError, struct.error):
        return 0, "", ""
    if not 0 < length <= TEXT_BYTES_MAX:
        return int(ticks), "", ""
    position, _, sentence = data[TEXT_AT : TEXT_AT + length].partition(END)
    return int(ticks), _text(position), _text(sentence)


def _text(data: bytes) -> str:
    """A sentence may be cut within a character, and a file may have been damaged by user code."""
    return data.decode("utf-8", "surrogateescape")
