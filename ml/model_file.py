"""A model as a JSON file that people can read: versioned, and exact, since it holds reprs."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minimr as mr

FORMAT = "minimr linear regression model"
VERSION = 1
NUMBERS = (int, float)


def write_model(path: str | os.PathLike[str], fields: dict[str, Any], format: str = FORMAT) -> None:
    """Write `fields` under a format and a version; the file appears whole or not at all.

    Raises UsageError if the path cannot be written or a number is not finite.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    head = {"format": format, "version": VERSION}
    try:
        text = json.dumps({**head, **fields}, indent=2, allow_nan=False)
    except ValueError:
        raise mr.UsageError("A model that holds NaN or infinity cannot be saved.") from None
    try:
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise mr.UsageError(f"Cannot write the model to {path}: {error.strerror}.") from error


def read_model(
    path: str | os.PathLike[str],
    format: str = FORMAT,
    vectors: Sequence[str] = ("weights", "loss_history"),
    numbers: Sequence[str] = ("intercept",),
) -> dict[str, Any]:
    """Return the fields of a model file of that format.

    The fields `vectors` are lists of finite numbers and `numbers` are finite numbers. Raises
    UsageError naming the file and what is wrong with it.
    """
    fields = read_any_model(path)
    if fields["format"] != format:
        raise mr.UsageError(f"{path} is not a model: its format is not {format!r}.")
    if fields.get("version") != VERSION:
        raise mr.UsageError(
            f"{path} has version {fields.get('version')!r} of the model format, but this minimr "
            f"reads version {VERSION}; save the model again with it."
        )
    for name in vectors:
        if not _are_finite_numbers(fields.get(name)):
            raise mr.UsageError(f"{path} is damaged: {name!r} is not a list of finite numbers.")
    for name in numbers:
        if not _are_finite_numbers([fields.get(name)]):
            raise mr.UsageError(f"{path} is damaged: {name!r} is not a finite number.")
    return fields


def read_any_model(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the fields of a JSON file that names its format. Raises UsageError for others."""
    try:
        fields = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise mr.UsageError(f"Cannot read the model {path}: {error.strerror}.") from error
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, lists within lists without end
        raise mr.UsageError(f"{path} is not a model: it is not JSON text.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("format"), str):
        raise mr.UsageError(f"{path} is not a model: its format is not named.")
    return fields


def _are_finite_numbers(values: object) -> bool:
    return isinstance(values, list) and all(map(is_finite_number, values))


def is_finite_number(value: object) -> bool:
    """Whether a value of a JSON file is a number that a float holds."""
    try:
        return isinstance(value, NUMBERS) and type(value) in NUMBERS and math.isfinite(value)
    except OverflowError:  # an int that no float holds
        return False
