"""Errors about an argument of `ml`, said of the option that was typed.

A library names its arguments, here partly in MLlib's words, and people who typed `--fraction 0`
have never heard of miniBatchFraction.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minimr.errors import UsageError

OPTIONS = {
    "miniBatchFraction": "--fraction",
    "fraction": "--fraction",
    "convergenceTol": "--tolerance",
    "tolerance": "--tolerance",
    "regParam": "--reg-param",
    "strength": "--reg-param",
    "regType": "--reg-type",
    "penalty": "--reg-type",
    "step": "--step",
    "iterations": "--iterations",
    "seed": "--seed",
    "label": "--label",
    "loss": "--loss",
    "hidden": "--hidden",
    "activation": "--activation",
    "classes": "--classes",
    "strategy": "--strategy",
    "optimizer": "--optimizer",
    "schedule": "--schedule",
}
"""The option behind each argument that an option reaches."""


@contextmanager
def options_named(**own: str) -> Iterator[None]:
    """Name options in errors of the block; `own` are a command's names where they differ."""
    from ml.errors import ArgumentError

    try:
        yield
    except ArgumentError as error:
        option = {**OPTIONS, **own}.get(error.argument or "")
        if option is None:
            raise
        raise UsageError(f"{option} {error.problem}") from error
