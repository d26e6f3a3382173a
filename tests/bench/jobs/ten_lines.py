"""The README's job in ten lines, with the same idea of a word as all candidates."""

import re

import minimr as mr

WORD = re.compile("[A-Za-z]+")


class WordCount(mr.Job):
    def map(self, key, line):
        for word in WORD.findall(line):
            yield word, 1

    combine = reduce = mr.Sum()


class WithoutCombiner(mr.Job):
    def map(self, key, line):
        for word in WORD.findall(line):
            yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)
