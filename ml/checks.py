"""What is looked over before a training begins: rows, labels, and how many of each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import minimr as mr
from ml.batches import offsets_of
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData, check_is_data
from ml.losses import ANY, TWO
from ml.models import Model, model_from
from ml.problem import Problem


class DomainRound(mr.Job):
    """Counts the labels outside the domain of a model's loss: (count, one of them)."""

    model: dict[str, Any]

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, tuple[int, float]]]:
        model = model_from(self.model)
        labels = block["y"]
        outside = labels[~model.objective.domain.holds(labels, model.classes)]
        yield 0, (len(outside), float(outside[0]) if len(outside) else 0.0)

    def reduce(
        self, key: int, values: Iterator[tuple[int, float]]
    ) -> Iterator[tuple[int, tuple[int, float]]]:
        found = [value for value in values if value[0]]
        example = found[0][1] if found else 0.0
        yield key, (sum(count for count, _ in found), example)


def check_model(model: object) -> None:
    """Raise ArgumentError for what is no model, as the name of a loss or a class is none."""
    if isinstance(model, type) or not hasattr(model, "sums"):
        raise ArgumentError(
            "must be a model, as Linear('squared') or MultilayerPerceptron((16,)) is, but is "
            f"{model!r}",
            "model",
        )


def check_rows(data: LabeledData, validate: bool = True) -> None:
    """Raise ArgumentError for what is no data, has no rows or, if asked, holds NaN or infinity."""
    check_is_data(data)
    summary = data.summary()
    if summary.rows == 0:
        raise ArgumentError("data is empty: there is no row to learn from")
    if validate and summary.bad_rows:
        raise ArgumentError(
            f"{summary.bad_rows} of {summary.rows} rows of data hold NaN or infinity; remove them"
        )


def check_labels(model: Model, data: LabeledData) -> None:
    """Raise ArgumentError if a label is outside the domain of the model's loss."""
    loss = model.objective
    if loss.domain is ANY:
        return
    [(_, (outside, example))] = data.dataset.round(DomainRound(model=model.options()))
    if outside:
        signs = loss.domain is TWO and example == -1
        raise ArgumentError(
            f"the labels of the {loss.name} loss must be {loss.domain.words_for(model.classes)}, "
            f"but {outside} of {data.count()} rows have others, {example:g} among them"
            + ("; put 0 where the data say -1" if signs else "")
        )


def fitted_to(problem: Problem, data: LabeledData) -> Problem:
    """The problem for this data: its width, and where each partition's rows begin.

    Raises ArgumentError for rows or labels that cannot be trained on, and for strengths of a
    penalty that are not the parameters'.
    """
    check_rows(data)
    check_labels(problem.model, data)
    fitted = with_shape_of(data, problem)
    check_penalty(fitted)
    return fitted


def check_penalty(problem: Problem) -> None:
    """Raise ArgumentError unless strengths are numbers >= 0, one or as many as parameters."""
    for name in ("l1", "l2"):
        given = np.asarray(getattr(problem.penalty, name))
        numbers = given.dtype.kind in "biuf" and given.shape in ((), (problem.size,))
        if not (numbers and np.isfinite(given).all() and (given >= 0).all()):
            raise ArgumentError(
                f"the strengths {name} of a penalty must be a number >= 0, or one for each of the "
                f"{problem.size} parameters"
            )


def with_shape_of(data: LabeledData, problem: Problem) -> Problem:
    """The problem for data of this width and these partitions, which are not looked at further."""
    problem = replace(problem, features=data.features)
    wanted = problem.batches.rows
    if wanted is None:
        return problem
    offsets = offsets_of(data.partition_rows())
    if not 1 <= wanted <= offsets[-1]:
        raise ArgumentError(
            f"batch_rows must be from 1 to the {offsets[-1]} rows of data, but is {wanted}"
        )
    return replace(problem, batches=replace(problem.batches, offsets=offsets))
