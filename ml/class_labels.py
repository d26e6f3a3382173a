"""Labels of resident rows: which there are, all of them, and their numbers in a list of classes."""

from collections.abc import Iterator

import numpy as np

import minimr as mr
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.vectors import Vector


class ClassesRound(mr.Job):
    """The different labels, rising."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        yield 0, np.unique(block["y"])

    def reduce(self, key: int, values: Iterator[Vector]) -> Iterator[tuple[int, Vector]]:
        yield key, np.unique(np.concatenate(list(values)))


class LabelsRound(mr.Job):
    """The labels of every partition, keyed by its number."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        yield self.partition_index, block["y"]


class EncodeJob(mr.Job):
    """Rows with the number of each label among `classes`, which rise, in its place."""

    classes: list[float]

    def map_block(self, block: mr.Block) -> mr.Block:
        codes = np.searchsorted(np.array(self.classes), block["y"]).astype(np.float64)
        return mr.Block({**block.columns, "y": codes})


def classes_in(data: LabeledData) -> Vector:
    """The different labels (k,), rising; one round."""
    [(_, classes)] = data.dataset.round(ClassesRound())
    return np.asarray(classes)


def all_labels(data: LabeledData) -> Vector:
    """The labels of all rows (n,), in order; one round."""
    return np.concatenate([labels for _, labels in data.dataset.round(LabelsRound())])


def encoded(data: LabeledData, classes: Vector) -> LabeledData:
    """New resident rows, whose labels are numbers of `classes`. Raises ArgumentError for others."""
    check_known(classes_in(data), classes)
    job = EncodeJob(classes=classes.tolist())
    return LabeledData(data.dataset.transform(job), data.feature_names)


def check_known(found: np.ndarray, classes: np.ndarray) -> None:
    """Raise ArgumentError if a label is none of the classes."""
    unknown = found[~np.isin(found, classes)]
    if len(unknown):
        raise ArgumentError(
            f"y holds {unknown.tolist()[0]!r}, which is none of the classes "
            f"{', '.join(map(repr, classes.tolist()))}"
        )
