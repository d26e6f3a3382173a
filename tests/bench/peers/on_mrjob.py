"""mrjob, the older Python framework for MapReduce; it starts this file again for each task.

python on_mrjob.py -r local --output-dir OUT/result INPUT...
"""

import re

from mrjob.job import MRJob
from mrjob.protocol import RawProtocol

WORD = re.compile("[A-Za-z]+")


class WordCount(MRJob):
    OUTPUT_PROTOCOL = RawProtocol

    def mapper(self, _, line):
        for word in WORD.findall(line):
            yield word, 1

    def combiner(self, word, counts):
        yield word, sum(counts)

    def reducer(self, word, counts):
        yield word, str(sum(counts))


if __name__ == "__main__":
    WordCount.run()
