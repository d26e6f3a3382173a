"""What all strategies share of a problem."""

import numpy as np

import minimr as mr
from ml.problem import Problem


class Reader:
    """A model that notes which way it is to read."""

    def __init__(self):
        self.backwards = []

    def sums(self, parameters, X, y, backwards=False):
        self.backwards.append(backwards)
        return np.zeros(len(parameters) + 2)


def test_every_other_iteration_reads_its_rows_backwards():
    reader = Reader()
    block = mr.Block({"X": np.ones((2, 1)), "y": np.ones(2)})
    for iteration in (1, 2, 3):
        Problem(reader, 1).sums(np.zeros(1), block, iteration, 0)
    assert reader.backwards == [False, True, False]
