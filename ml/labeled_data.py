"""Labelled rows that stay parsed at the workers, and what can be asked of them in one round.

A LabeledData is a minimr dataset whose blocks have the columns X (n, k) and y (n,). Partitions of
one libsvm file may be narrower than the whole, since each knows only its own highest index;
`features` is the width of all of them together, and the missing columns are zeros.

`random_split` draws exactly as PySpark does, so the same seed and partitions give the same rows.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from functools import reduce as fold
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any
from zlib import crc32

import numpy as np

import minimr as mr
from ml.arguments import number
from ml.errors import ArgumentError
from ml.vectors import Matrix, Vector


@dataclass(frozen=True)
class Summary:
    """What one round finds out about the rows. Mean, least and greatest label: NaN of no rows, or
    if one is NaN."""

    rows: int
    features: int
    narrowest: int
    """The features of that partition with rows that has fewest; 0 without rows."""
    bad_rows: int
    """Rows that hold NaN or infinity; training on them could only give NaN."""
    label_sum: float
    label_min: float
    label_max: float

    @property
    def label_mean(self) -> float:
        """Mean of the labels."""
        return self.label_sum / self.rows if self.rows else float("nan")

    def merged(self, other: "Summary") -> "Summary":
        """The summary of both sets of rows together."""
        return Summary(
            self.rows + other.rows,
            max(self.features, other.features),
            min((each.narrowest for each in (self, other) if each.rows), default=0),
            self.bad_rows + other.bad_rows,
            self.label_sum + other.label_sum,
            float(np.minimum(self.label_min, other.label_min)),  # NaN if one of them is
            float(np.maximum(self.label_max, other.label_max)),
        )


class SummaryRound(mr.Job):
    """Counts and looks over the rows."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, dict[str, float]]]:
        X, labels = block["X"], block["y"]
        with np.errstate(over="ignore", invalid="ignore"):
            label_sum = float(labels.sum())
        yield (
            0,
            asdict(
                Summary(
                    len(labels),
                    X.shape[1],
                    X.shape[1] if len(labels) else 0,
                    sum(map(bad_rows, block.pieces())),
                    label_sum,
                    float(labels.min(initial=np.inf)),
                    float(labels.max(initial=-np.inf)),
                )
            ),
        )

    def reduce(self, key: int, values: Iterator[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
        parts = (Summary(**value) for value in values)
        yield key, asdict(fold(Summary.merged, parts))


def bad_rows(block: mr.Block) -> int:
    """How many rows hold NaN or infinity."""
    good = np.isfinite(block["X"]).all(axis=1) & np.isfinite(block["y"])
    return int((~good).sum())


class CountRound(mr.Job):
    """The number of rows of every partition, keyed by its number."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, int]]:
        yield self.partition_index, len(block)


class ChecksumRound(mr.Job):
    """A checksum of the rows of every partition, keyed by its number."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, int]]:
        yield self.partition_index, crc32(block["X"].tobytes(), crc32(block["y"].tobytes()))


class CollectRound(mr.Job):
    """Returns every partition whole, keyed by its number."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, dict[str, Vector]]]:
        yield self.partition_index, {"X": block["X"], "y": block["y"]}


class SplitJob(mr.Job):
    """Keeps the rows whose draw u has low <= u < high, with the draws of PySpark."""

    seed: int
    low: float
    high: float

    def map_block(self, block: mr.Block) -> mr.Block:
        draws = uniform_draws(self.seed, self.partition_index, len(block))
        return block.take((self.low <= draws) & (draws < self.high))


class NarrowJob(mr.Job):
    """Rounds the features to float32; what is too large for it becomes infinite."""

    def map_block(self, block: mr.Block) -> mr.Block:
        return block.by_pieces(narrowed)


def narrowed(block: mr.Block) -> mr.Block:
    """The rows with their features as float32."""
    with np.errstate(over="ignore"):
        return mr.Block({**block.columns, "X": block["X"].astype(np.float32)})


def uniform_draws(seed: int, partition_index: int, rows: int) -> Vector:
    """One draw from [0, 1) per row, as PySpark's RDDRangeSampler makes them."""
    generator = random.Random(seed ^ partition_index)
    for _ in range(10):  # PySpark mixes the state, since neighbouring seeds are so similar
        generator.randint(0, 1)
    # The same Mersenne Twister in numpy goes on from there, with the same doubles.
    _, state, _ = generator.getstate()
    draws = np.random.RandomState()
    draws.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
    return draws.random_sample(rows)


class LabeledData:
    """Rows of features with a label each, resident at the workers.

    `dataset` is the minimr dataset underneath: any job can run rounds over it. `feature_names` are
    what the files call the features, in order; empty, if they do not say it.
    """

    def __init__(self, dataset: "mr.Dataset", feature_names: Sequence[str] = ()) -> None:
        """Wrap a dataset whose blocks have the columns X and y."""
        self.dataset = dataset
        self.feature_names = list(feature_names)

    @cached_property
    def _summary(self) -> Summary:
        [(_, parts)] = self.dataset.round(SummaryRound())
        found = Summary(**parts)
        return found if found.rows else replace(found, label_min=math.nan, label_max=math.nan)

    def summary(self) -> Summary:
        """Rows, features and the range of the labels; one round, then remembered."""
        return self._summary

    @property
    def features(self) -> int:
        """The number of features: the highest index that is known."""
        return self.summary().features

    def count(self) -> int:
        """The number of rows."""
        return self.summary().rows

    def partition_rows(self) -> list[int]:
        """The number of rows of each partition, in order; one round."""
        return [rows for _, rows in self.dataset.round(CountRound())]

    def to_arrays(self) -> tuple[Matrix, Vector]:
        """All rows here, in the order of the file: X (n, features) and y (n,). For small data."""
        parts = [part for _, part in self.dataset.round(CollectRound())]
        labels = np.concatenate([part["y"] for part in parts])
        X = np.zeros((len(labels), self.features))
        row = 0
        for part in parts:
            rows, columns = part["X"].shape
            X[row : row + rows, :columns] = part["X"]
            row += rows
        return X, labels

    def as_float32(self) -> "LabeledData":
        """The same rows with their features rounded to float32, labels as they are.

        They take half the memory, and a linear model's sums half the time: they are taken in
        float32 within a piece of rows, labels included, and pieces are added up in float64, so that
        they are good to some five digits. All else computes in float64 with the rounded features.
        """
        return LabeledData(self.dataset.transform(NarrowJob()), self.feature_names)

    def random_split(
        self, weights: Sequence[float], seed: int | None = None
    ) -> list["LabeledData"]:
        """Cut the rows at random into parts of about these relative sizes, as PySpark does.

        The parts keep the width of the whole, and depend on the seed and the partitions, not on
        the number of workers. Raises ArgumentError for weights that are negative or all zero.
        """
        if seed is None:
            seed = random.randint(0, 2**32 - 1)
        elif isinstance(seed, bool) or not isinstance(seed, Integral):
            raise ArgumentError(f"seed must be a whole number or None, but is {seed!r}")
        borders = pairwise(split_borders(weights))
        jobs = [SplitJob(seed=int(seed), low=low, high=high) for low, high in borders]
        return [LabeledData(self.dataset.transform(job), self.feature_names) for job in jobs]


def check_is_data(data: object) -> None:
    """Raise ArgumentError for the name of a file, arrays, or whatever else is no LabeledData."""
    if not isinstance(data, LabeledData):
        raise ArgumentError(
            "data must be LabeledData, as load_file and load_arrays return, but is "
            f"{type(data).__name__}"
        )


def checksums_of(data: LabeledData) -> list[int]:
    """A checksum of the rows of each partition, in order; one round."""
    return [checksum for _, checksum in data.dataset.round(ChecksumRound())]


def split_borders(weights: Sequence[float]) -> list[float]:
    """Borders in [0, 1] of the parts, from 0.0 on, with PySpark's roundings."""
    checked = [number("each weight", weight, lambda w: w >= 0, ">= 0") for weight in weights]
    total = float(sum(checked))
    if total == 0.0:
        raise ArgumentError("weights must hold at least one number > 0")
    if math.isinf(total):  # Each share of it would be 0, and no part hold any row.
        raise ArgumentError("weights must add up to a number; divide them all by the largest")
    return list(accumulate((weight / total for weight in checked), initial=0.0))
