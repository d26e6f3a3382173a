"""A synchronous descent that outlives the process that leads it.

    trained = train(model, data, checkpointed("run.checkpoint", every=10))

What is lost with a worker the engine makes again; what is lost with this process is where the
descent was. So every few steps that goes to a file: parameters, the optimizer's memory, the pace,
the losses, and what the callback remembers. The same call, made again, goes on from there and ends
with the same bytes as if nothing had happened. Made once more, it returns what is there.

The file is JSON, like a model, and exact for the same reason. It appears whole or not at all, and
names the training that it belongs to, so that no other goes on from it by mistake.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

import minimr as mr
from ml.arguments import whole_number
from ml.callbacks import Remembers
from ml.descent import Descent, OnStep, Trace
from ml.gradient import GradientRound
from ml.labeled_data import LabeledData, checksums_of
from ml.model_file import is_finite_number, read_model, write_model
from ml.problem import Problem
from ml.strategies.sync import one_round, round_bytes
from ml.vectors import Vector

FORMAT = "minimr checkpoint"
DAMAGES = (AttributeError, KeyError, TypeError, ValueError, IndexError, OverflowError)
"""What values of other types and lengths raise on their way into a descent and its callback."""

WORDS = {
    "model": "the model",
    "penalty": "the penalty",
    "optimizer": "the optimizer",
    "schedule": "the step or its schedule",
    "batches": "the mini-batches or their seed",
    "delays": "the stragglers",
    "features": "the number of features",
    "iterations": "the iterations",
    "tolerance": "the tolerance",
    "data": "the rows",
    "start": "the parameters to begin with",
    "callback": "the rule of stopping",
}
"""Each part of what tells trainings apart, as whoever gave it would call it."""


def checkpointed(path: str | os.PathLike[str], every: int = 10) -> "Checkpointed":
    """The strategy "sync", with its state in the file `path` after every `every` steps."""
    return Checkpointed(Path(path), whole_number("every", every, 1))


@dataclass(frozen=True)
class Checkpointed:
    """See `checkpointed`."""

    path: Path
    every: int

    def __call__(
        self, problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None = None
    ) -> Trace:
        """Descend from the checkpoint if there is one, else from `start` (size,).

        Raises UsageError for a checkpoint that is damaged or belongs to another training.
        """
        training = _training(problem, data, start, on_step)
        descent = self._begin(problem, start, on_step, training)
        job = GradientRound(problem=problem.options())
        while not descent.ended:
            one_round(descent, job, data)
            if descent.ended or (descent.iteration - 1) % self.every == 0:
                self._save(descent, training)
        trace = descent.trace()
        trace.sent_bytes = (descent.iteration - 1) * round_bytes(problem, data)
        return trace

    def _save(self, descent: Descent, training: dict[str, Any]) -> None:
        saved = descent.saved()
        eta, best, in_vain = saved["pace"]
        fields = {
            "training": training,
            "descent": {
                **saved,
                "pace": [eta, best if isfinite(best) else None, in_vain],
            },
            "callback": _remembered(descent.on_step),
        }
        write_model(self.path, fields, FORMAT)

    def _begin(
        self, problem: Problem, start: Vector, on_step: OnStep | None, training: dict[str, Any]
    ) -> Descent:
        if not self.path.is_file():
            return Descent(problem, start, on_step)
        fields = read_model(self.path, FORMAT, vectors=(), numbers=())
        try:
            self._check_same(fields["training"], training)
            descent = Descent.resumed(problem, _arrays(fields["descent"], problem), on_step)
            if isinstance(on_step, Remembers):
                on_step.resume(fields["callback"])
        except DAMAGES as error:
            raise mr.UsageError(f"{self.path} is damaged: {error!r}; delete it.") from None
        return descent

    def _check_same(self, found: dict[str, Any], training: dict[str, Any]) -> None:
        others = [WORDS[name] for name, value in training.items() if found[name] != value]
        if others:
            raise mr.UsageError(
                f"{self.path} belongs to another training; what differs: {', '.join(others)}. "
                "Give the same arguments and data, or another file."
            )


def _training(
    problem: Problem, data: LabeledData, start: Vector, on_step: OnStep | None
) -> dict[str, Any]:
    """What tells this training from others, as JSON gives it back."""
    told = {
        **problem.options(),
        "data": checksums_of(data),
        "start": hashlib.sha256(start.tobytes()).hexdigest(),
        "callback": type(on_step).__name__ if isinstance(on_step, Remembers) else None,
    }
    plain: dict[str, Any] = json.loads(json.dumps(told, default=lambda array: array.tolist()))
    return plain


def _arrays(saved: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """What `Descent.resumed` takes. Raises one of DAMAGES for what does not fit the problem."""
    eta, best, in_vain = saved["pace"]
    parameters, memory = np.array(saved["parameters"], float), np.array(saved["memory"], float)
    numbers = [*saved["loss_history"], eta, 0.0 if best is None else best]
    finite = np.isfinite(parameters).all() and np.isfinite(memory).all()
    if not finite or not all(map(is_finite_number, numbers)):
        raise ValueError("a number is none, or not finite")
    iteration = whole_number("iteration", saved["iteration"])
    updates = whole_number("updates", saved["updates"])
    # Each evaluation uses up an iteration, and each update is made after one.
    if not updates <= len(saved["loss_history"]) < iteration <= problem.iterations + 2:
        raise ValueError("iteration, losses and updates do not fit together")
    return {
        **saved,
        "iteration": iteration,
        "updates": updates,
        "parameters": parameters.reshape(problem.size),
        "memory": memory.reshape(problem.memory().shape),
        "pace": [eta, np.inf if best is None else best, whole_number("pace", in_vain)],
    }


def _remembered(on_step: OnStep | None) -> Any:
    return on_step.saved() if isinstance(on_step, Remembers) else None
