"""Labelled rows that stay parsed at the workers, and what can be asked of them in one round.

A LabeledData is a minimr dataset whose blocks have the columns X (n, k) and y (n,). Partitions of
one libsvm file may be narrower than the whole, since each knows only its own highest index;
`features` is the width of all of them together, and the missing columns are zeros.

`random_split` draws exactly as PySpark does, so the same seed and partitions give the same rows.
"""

import math
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from functools import reduce as fold
from itertools import accumulate, count, pairwise
from numbers import Integral
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import number, real_numbers, refuse_sparse, whole_number
from ml.errors import ArgumentError
from ml.tables import TABLES, check_same_names, feature_names, files_of, suffix_of
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


def load_libsvm(
    path: str | os.PathLike[str], partitions: int = 8, cluster: "mr.Cluster | None" = None
) -> "LabeledData":
    """Parse libsvm text into a dataset at the workers of `cluster`, or of this process's own.

    `path` is a file, a directory or a glob. Raises BadRecord naming file and line for a fault,
    UsageError for a path that is not there.
    """
    return _load(path, "libsvm", partitions, cluster)


def load_csv(
    path: str | os.PathLike[str],
    label: str | int = -1,
    partitions: int = 8,
    cluster: "mr.Cluster | None" = None,
) -> "LabeledData":
    """Parse comma-separated numbers, with or without a line of names, as `load_libsvm` does.

    `label` is the column of labels, by name or by number, from 0 or from the end. All other columns
    are features, in their order.
    """
    return _load(path, f"csv:{label}", partitions, cluster)


def load_npy(
    path: str | os.PathLike[str],
    label: int = -1,
    partitions: int = 8,
    cluster: "mr.Cluster | None" = None,
) -> "LabeledData":
    """Load matrices of numpy's .npy files; `label` is the number of the column of labels."""
    return _load(path, f"npy:{label}", partitions, cluster)


def load_file(
    path: str | os.PathLike[str],
    partitions: int = 8,
    cluster: "mr.Cluster | None" = None,
    label: str | int | None = None,
) -> "LabeledData":
    """Like `load_csv` or `load_npy` for a name in .csv or .npy, and `load_libsvm` for any other.

    Of a directory or a glob all files must have such a name; .csv.gz is one, too. `label` is the
    column of labels of a .csv or .npy file, by default the last one. ArgumentError for one of
    libsvm text, which has no columns.
    """
    suffix = suffix_of(path)
    if suffix in TABLES:
        column = -1 if label is None else label
        return _load(path, f"{suffix[1:]}:{column}", partitions, cluster)
    if label is not None:
        raise ArgumentError("is for .csv and .npy: a row of libsvm text begins with it", "label")
    return load_libsvm(path, partitions, cluster)


def load_arrays(
    X: npt.ArrayLike, y: npt.ArrayLike, partitions: int = 8, cluster: "mr.Cluster | None" = None
) -> "LabeledData":
    """Bring X (n, k) and y (n,) from here to the workers.

    They travel as a temporary file, which stays until this process ends, since a partition that is
    lost is read again. Raises ArgumentError for other shapes and for what is no number, BadRecord
    for NaN or infinity, UsageError if the workers cannot read that file.
    """
    return _load_saved(_saved(X, y), partitions, cluster)


@contextmanager
def arrays_at_the_workers(
    X: npt.ArrayLike, y: npt.ArrayLike, partitions: int
) -> Iterator["LabeledData"]:
    """What `load_arrays` gives, as long as the block lasts: then rows and file are gone."""
    path = _saved(X, y)
    try:
        data = _load_saved(path, partitions, None)
        try:
            yield data
        finally:
            data.dataset.close()
    finally:
        path.unlink(missing_ok=True)


def _saved(X: npt.ArrayLike, y: npt.ArrayLike) -> Path:
    """The temporary file in which arrays travel."""
    refuse_sparse("X", X)
    features, labels = _numbers("X", X), _numbers("y", y)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not features.shape[1]:
        raise ArgumentError(
            f"X must be (rows, features) and y (rows,), but they are {features.shape} and "
            f"{labels.shape}"
        )
    path = Path(_array_files().name) / f"{next(_file_numbers)}.npy"
    np.save(path, np.column_stack([features, labels]))
    return path


def _load_saved(path: Path, partitions: int, cluster: "mr.Cluster | None") -> "LabeledData":
    try:
        return _load(path, "npy", partitions, cluster)
    except mr.JobFailed as error:
        if f"Cannot read the input {path}" not in str(error):
            raise
        raise mr.UsageError(
            f"the workers cannot read {path}, the temporary file in which arrays travel; they run "
            "on another machine or as another user. Save np.column_stack([X, y]) with numpy.save "
            "on a file system that they share, and give that name to load_npy"
        ) from error


def _numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        return real_numbers(values)
    except ArgumentError:  # It says what is wrong with them.
        raise
    except (TypeError, ValueError):
        more = ". For classes with names there is DescentClassifier" if name == "y" else ""
        raise ArgumentError(f"must be an array of real numbers, and is none{more}", name) from None


@cache
def _array_files() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="minimr-arrays-")


_file_numbers = count()


def _load(
    path: str | os.PathLike[str], data_format: str, partitions: int, cluster: "mr.Cluster | None"
) -> "LabeledData":
    cut = whole_number("partitions", partitions, 1)
    kind, _, label = data_format.partition(":")
    named = files_of(path) if kind == "csv" else []
    if len(named) > 1:
        check_same_names(named)
    if cluster is None:
        cluster = mr.default_cluster()
    data = LabeledData(cluster.load(os.fspath(path), format=data_format, partitions=cut))
    if kind != "libsvm":
        _check_as_wide(path, data)
    data.feature_names = feature_names(named, label)
    return data


def _check_as_wide(path: str | os.PathLike[str], data: "LabeledData") -> None:
    """Raise UsageError for tables of different widths; features that libsvm lacks are zeros."""
    summary = data.summary()
    if summary.rows and summary.narrowest < summary.features:
        data.dataset.close()
        raise mr.UsageError(
            f"the files of {os.fspath(path)} have different numbers of columns, "
            f"{summary.narrowest} to {summary.features} beside the labels: give files with the "
            "same columns"
        )


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
