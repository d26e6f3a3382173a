"""Packing: many small splits as the input of one map task.

A task costs some milliseconds of messages, whatever it reads. Ten thousand files of one kilobyte
would be ten thousand tasks that do nothing else. So neighbours may share a task (Hadoop calls it
CombineFileInputFormat). Only neighbours, in the order of the splits: then the values of a key keep
their order, and the plan depends on the inputs alone, never on the workers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from minimr.formats.splits import SPLIT_BYTES, Split

PACKS_WANTED = 16
"""How many tasks there should be at least, as far as there are splits: workers need something to
share."""


def packed(splits: Sequence[Split], sizes_bytes: Sequence[int]) -> list[list[Split]]:
    """Group neighbours up to SPLIT_BYTES together; a larger split stays alone."""
    pack_bytes = min(SPLIT_BYTES, -(-sum(sizes_bytes) // PACKS_WANTED))
    packs: list[list[Split]] = []
    room_bytes = 0
    for split, size_bytes in zip(splits, sizes_bytes, strict=True):
        if not packs or size_bytes > room_bytes:
            packs.append([])
            room_bytes = pack_bytes
        packs[-1].append(split)
        room_bytes -= size_bytes
    return packs


def task_input(pack: Sequence[Split]) -> dict[str, Any]:
    """The form in which splits travel inside a map task."""
    if len(pack) == 1:
        return pack[0].to_dict()
    return {"kind": "pack", "splits": [split.to_dict() for split in pack]}


def splits_of(source: dict[str, Any]) -> Iterator[Split]:
    """The inverse of `task_input`."""
    members = source["splits"] if source["kind"] == "pack" else [source]
    return map(Split.from_dict, members)
