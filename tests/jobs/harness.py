"""MapReduce in thirty lines: the definition that the built-in jobs are tested against.

It shares the text reader with minimr and nothing else: no tasks, no shuffle, no runner.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from minimr.formats.splits import Split, plan_splits
from minimr.formats.text import read_text, read_text_blocks
from minimr.job import Job

Pair = tuple[Any, Any]

# Line ends and what looks like one, letters of every sort, numerals, marks, invalid bytes.
PIECES = ["\n", "\n\n", "\r\n", "\r", " ", "\t", ".", "'", "_", "\u2028", "\x1c", "\x85", "\u0301"]
PIECES += ["a", "Tag", "tag", "STRASSE", "straße", "ΣΟΦΟΣ", "σοφος", "naïve", "日本", "ǅ", "İ", "ª"]
PIECES += ["1", "٣", "½", "x²y", "Ⅷ", "😀", "\udcff", "\udcc3", "\udc85", "\x00"]


def as_read(text: str) -> str:
    """The text that reading gives: neighbouring escaped bytes may turn out to be a character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join).map(as_read)


def write_text(path: Path, text: str) -> str:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(path)


def lines_of(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def run(job: Job, inputs: list[str], form: str = "records", split_bytes: int = 10) -> list[Pair]:
    """All pairs of the job, in the order of their keys.

    `form` is "records" or "blocks", which runs `map_block`, with " combined" after it or not.
    """
    groups: dict[Any, list[Any]] = {}
    for split in plan_splits(inputs, split_bytes=split_bytes):
        pairs = list(mapped(job, split, form))
        if form.endswith("combined"):
            pairs = [
                pair for key in keys_of(pairs) for pair in job.combine(key, values(pairs, key))
            ]
        for key, value in pairs:
            groups.setdefault(key, []).append(value)
    if job.secondary_sort:
        groups = in_order_of_the_second(groups)
    return [pair for key in sorted(groups) for pair in job.reduce(key, iter(groups[key]))]


def in_order_of_the_second(groups: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    """The values of keys (group, order) as (order, value), by group."""
    by_group: dict[Any, list[Any]] = {}
    for group, order in sorted(groups):
        pairs = [(order, value) for value in groups[group, order]]
        by_group.setdefault(group, []).extend(pairs)
    return by_group


def mapped(job: Job, split: Split, form: str) -> Iterator[Pair]:
    job.input_path, job.input_index = split.path, split.input_index
    if form.startswith("blocks"):
        for block in read_text_blocks(split):
            yield from job.map_block(block)
    else:
        for offset, line in read_text(split):
            yield from job.map(offset, line)


def keys_of(pairs: list[Pair]) -> list[Any]:
    return list(dict.fromkeys(key for key, _ in pairs))


def values(pairs: list[Pair], key: Any) -> Iterator[Any]:
    return iter([value for other, value in pairs if other == key])
