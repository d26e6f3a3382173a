"""Count how often each word occurs.

    minimr run wordcount books/*.txt -o counts
    minimr run wordcount books/*.txt -- --words letters --ignore-case

`words` says what a word is (see words.py); `ignore_case` counts "The" and "the" as "the".
"""

from collections.abc import Iterable, Iterator

import minimr as mr
from minimr.jobs.words import Words, word_counts, words_in


class WordCount(mr.Job):
    """Emits (word, 1) for each word, or a whole block's counts at once; adds them up."""

    words: Words = "space"
    ignore_case: bool = False

    def map(self, _offset: int, line: str) -> Iterator[tuple[str, int]]:
        for word in words_in(line, self.words, self.ignore_case):
            yield word, 1

    def map_block(self, block: mr.TextBlock) -> Iterable[tuple[str, int]]:
        return word_counts(block, self.words, self.ignore_case)

    combine = reduce = mr.Sum()
