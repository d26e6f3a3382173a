"""Bringing rows to the workers: from libsvm text, tables in csv or .npy files, and arrays.

Workers read the files themselves, each its part, so a path must mean the same to all of them.
Arrays travel as a file, too: a partition that is lost is read again, whatever it came from.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import real_numbers, refuse_sparse, whole_number
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.tables import TABLES, check_same_names, feature_names, files_of, suffix_of


def load_libsvm(
    path: str | os.PathLike[str], partitions: int = 8, cluster: "mr.Cluster | None" = None
) -> LabeledData:
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
) -> LabeledData:
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
) -> LabeledData:
    """Load matrices of numpy's .npy files; `label` is the number of the column of labels."""
    return _load(path, f"npy:{label}", partitions, cluster)


def load_file(
    path: str | os.PathLike[str],
    partitions: int = 8,
    cluster: "mr.Cluster | None" = None,
    label: str | int | None = None,
) -> LabeledData:
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
) -> LabeledData:
    """Bring X (n, k) and y (n,) from here to the workers.

    They travel as a temporary file, which stays until this process ends, since a partition that is
    lost is read again. Raises ArgumentError for other shapes and for what is no number, BadRecord
    for NaN or infinity, UsageError if the workers cannot read that file.
    """
    return _load_saved(_saved(X, y), partitions, cluster)


@contextmanager
def arrays_at_the_workers(
    X: npt.ArrayLike, y: npt.ArrayLike, partitions: int
) -> Iterator[LabeledData]:
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


def _load_saved(path: Path, partitions: int, cluster: "mr.Cluster | None") -> LabeledData:
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
) -> LabeledData:
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


def _check_as_wide(path: str | os.PathLike[str], data: LabeledData) -> None:
    """Raise UsageError for tables of different widths; features that libsvm lacks are zeros."""
    summary = data.summary()
    if summary.rows and summary.narrowest < summary.features:
        data.dataset.close()
        raise mr.UsageError(
            f"the files of {os.fspath(path)} have different numbers of columns, "
            f"{summary.narrowest} to {summary.features} beside the labels: give files with the "
            "same columns"
        )
