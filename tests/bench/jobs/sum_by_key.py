"""Sum of values by key, in block form: each line of the input names a file of keys."""

import numpy as np

import minimr as mr


class SumByKey(mr.Job):
    def map_block(self, block):
        for path in block.text().split():
            yield mr.Pairs(np.load(path), np.load(path.replace(".keys.", ".values.")))

    combine = reduce = mr.Sum()
