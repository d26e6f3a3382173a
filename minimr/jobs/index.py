"""Build an inverted index: each word with the files that it occurs in.

    minimr run index books/*.txt -o index -- --words letters --ignore-case

The result is the word and the sorted list of its files' paths, as they were given. `words` says
what a word is (see words.py); `ignore_case` takes "The" and "the" as "the".
"""

from collections.abc import Iterable, Iterator
from itertools import repeat

import minimr as mr
from minimr.jobs.words import Words, words_in, words_of


class Index(mr.Job):
    """Emits (word, path), once for each block of a file; reduces to (word, sorted paths)."""

    words: Words = "space"
    ignore_case: bool = False

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, str]]:
        for word in words_in(line, self.words, self.ignore_case):
            yield word, self.input_path

    def map_block(self, block: mr.TextBlock) -> Iterator[tuple[str, str]]:
        # In their order: that of a set is another one in every process, and with it the spills.
        words = dict.fromkeys(words_of(block, self.words, self.ignore_case))
        return zip(words, repeat(block.path))

    def combine(self, word: str, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        return zip(repeat(word), dict.fromkeys(paths))

    def reduce(self, word: str, paths: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
        # They mostly come in order, and what is in order is sorted at once: so no set.
        yield word, sorted(dict.fromkeys(paths))
