"""Callbacks: what `train` tells of its steps while it descends, and what ends it early.

    stopping = EarlyStopping(model, held_out, patience=5)
    trained = train(model, training, on_step=all_of(progress(), stopping))
    best = stopping.best(trained)

A callback is called with each entry of the loss history, as on_step(iteration, loss, parameters),
and ends the descent by returning True. So it needs a strategy that steps on this side: "sync",
"gram", or `checkpointed` (ml/checkpoint.py). One that remembers what it saw, as EarlyStopping does,
has `saved` and `resume`, so that a training that goes on from a checkpoint ends where an
undisturbed one does.
"""

import sys
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from math import inf
from typing import Any, Protocol, runtime_checkable

import minimr as mr
from ml.arguments import number, start_vector, whole_number
from ml.checks import check_labels, check_rows
from ml.descent import OnStep, is_true
from ml.errors import ArgumentError
from ml.gradient import losses_at
from ml.labeled_data import LabeledData, checksums_of
from ml.models import Model
from ml.problem import Problem
from ml.training import Trained
from ml.vectors import Vector


@runtime_checkable
class Remembers(Protocol):
    """A callback whose answers depend on what it was told before."""

    def saved(self) -> Any:
        """What `resume` needs, as JSON holds it."""

    def resume(self, saved: Any) -> None:
        """Go on from there."""


class EarlyStopping:
    """Ends a training once the mean loss of held-out rows has stopped falling (Prechelt 1998).

    `losses` are those of the held-out rows, without a penalty: one for every `every` iterations.
    It is of one training at a time: what it saw of an earlier one is forgotten when another begins.
    """

    def __init__(
        self,
        model: Model,
        held_out: LabeledData,
        patience: int = 5,
        tolerance: float = 0.0,
        every: int = 1,
    ) -> None:
        """End after `patience` losses in a row that were not below the best by `tolerance`.

        Every loss is one round over `held_out`. Raises ArgumentError for rows or labels that the
        model cannot be measured on, and for numbers out of range.
        """
        self.patience = whole_number("patience", patience, 1)
        self.every = whole_number("every", every, 1)
        self.tolerance = number("tolerance", tolerance, lambda v: v >= 0, ">= 0")
        check_rows(held_out)
        check_labels(model, held_out)
        self._problem, self._held_out = Problem(model, held_out.features), held_out
        self._begin()

    def _begin(self) -> None:
        self.losses: list[float] = []
        self.best_loss = inf
        self.best_iteration = 0
        self.best_parameters: Vector | None = None
        self._in_vain = 0
        self._latest = 0

    def __call__(self, iteration: int, _loss: float, parameters: Vector) -> bool:
        """Measure; whether that is enough."""
        if iteration <= self._latest:
            self._begin()
        self._latest = iteration
        if (iteration - 1) % self.every:
            return False
        loss = self._loss_of(parameters)
        self.losses.append(loss)
        self._in_vain += 1
        if loss < self.best_loss - self.tolerance:
            self.best_loss, self.best_iteration, self.best_parameters = loss, iteration, parameters
            self._in_vain = 0
        return self._in_vain >= self.patience

    def __deepcopy__(self, _memo: object) -> "EarlyStopping":
        """Watches the same rows, which stay where they are: so scikit-learn clones estimators."""
        other = copy(self)
        other.losses = list(self.losses)
        return other

    def best(self, trained: Trained) -> Trained:
        """The same model with the parameters that had the smallest loss.

        Raises ArgumentError if no step was measured, or those of another model.
        """
        if self.best_parameters is None:
            raise ArgumentError(
                "no step was measured: train with this as on_step, and mini-batches that hold rows"
            )
        if self.best_parameters.shape != trained.parameters.shape:
            raise ArgumentError(
                f"the best step had {self.best_parameters.size} parameters, but this model has "
                f"{len(trained.parameters)}: it watched another training"
            )
        return replace(trained, parameters=self.best_parameters)

    def saved(self) -> dict[str, Any]:
        """Exact, as text: a loss may be infinite."""
        parameters = self.best_parameters
        return {
            "rule": self._rule,
            "held_out": self._checksums,
            "losses": [repr(loss) for loss in self.losses],
            "best": [repr(self.best_loss), self.best_iteration],
            "parameters": None if parameters is None else parameters.tolist(),
            "in_vain": self._in_vain,
        }

    def resume(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` gave. Raises UsageError if that would have stopped elsewhere."""
        if saved["rule"] != self._rule:
            raise mr.UsageError(
                f"the checkpoint is of early stopping with {saved['rule']}, and this is with "
                f"{self._rule}: give the same, or another file"
            )
        if saved.get("held_out", self._checksums) != self._checksums:
            raise mr.UsageError(
                "the checkpoint is of early stopping with other held-out rows: give the same, or "
                "another file"
            )
        self.losses = [float(loss) for loss in saved["losses"]]
        self.best_loss, self.best_iteration = float(saved["best"][0]), int(saved["best"][1])
        best = saved["parameters"]
        self.best_parameters = (
            None if best is None else start_vector("parameters", best, len(best), "parameters")
        )
        self._in_vain = int(saved["in_vain"])
        self._latest = 0  # Whatever this one saw meanwhile, the next iteration is the one to see.

    @property
    def _rule(self) -> str:
        return f"patience={self.patience}, tolerance={self.tolerance!r}, every={self.every}"

    @cached_property
    def _checksums(self) -> list[int]:
        """What tells the held-out rows from others; one round, then remembered."""
        return checksums_of(self._held_out)

    def _loss_of(self, parameters: Vector) -> float:
        """The mean loss over the held-out rows; one round."""
        if self._problem.size > len(parameters):
            raise ArgumentError(
                f"held_out has {self._problem.features} features, more than the rows that the "
                "model is trained on"
            )
        [loss] = losses_at(self._problem, self._held_out, parameters)
        return loss


class AllOf:
    """Several callbacks as one: all are called, in order, and any of them ends the descent."""

    def __init__(self, callbacks: tuple[OnStep, ...]) -> None:
        self._callbacks = callbacks
        everything: tuple[object, ...] = callbacks
        self._remembering = [each for each in everything if isinstance(each, Remembers)]

    def __call__(self, iteration: int, loss: float, parameters: Vector) -> bool:
        """Whether any of them has seen enough."""
        answers = [each(iteration, loss, parameters) for each in self._callbacks]
        return any(map(is_true, answers))

    def saved(self) -> list[Any]:
        """What those that remember something have saved."""
        return [each.saved() for each in self._remembering]

    def resume(self, saved: list[Any]) -> None:
        """Give it back to them."""
        for each, own in zip(self._remembering, saved, strict=True):
            each.resume(own)


def all_of(*callbacks: OnStep) -> OnStep:
    """One callback in place of several."""
    return AllOf(callbacks)


def progress(write: Callable[[str], object] | None = None) -> OnStep:
    """Tells of the iterations 1, 2, 5, 10, 20, 50, ... by `write`, or on stderr."""
    say = write or _to_stderr

    def on_step(iteration: int, loss: float, _parameters: Vector) -> None:
        if str(iteration).rstrip("0") in ("1", "2", "5"):
            say(f"iteration {iteration}: loss {loss:.6g}")

    return on_step


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
