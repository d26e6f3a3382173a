"""A model as a file: readable JSON or, under a name in .npz, numpy's arrays; with a version.

Both are exact: JSON holds the shortest text that reads back as the same float. In an .npz file each
vector is an array of its own, for whoever has numpy and not minimr, and all the rest is the same
JSON, as bytes, under the name "fields".
"""

import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minimr as mr

FORMAT = "minimr linear regression model"
VERSION = 1
NUMBERS = (int, float)
REST = "fields"


def write_model(path: str | os.PathLike[str], fields: dict[str, Any], format: str = FORMAT) -> None:
    """Write `fields` under a format and a version; the file appears whole or not at all.

    What is there and no file, as a pipe or a device, is written to, not replaced. Vectors are
    arrays (n,). Raises UsageError if the path cannot be written or a number is not finite.
    """
    target, kind = Path(path), _kind(format)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        encode = _npz if _is_npz(target) else _json
        content = encode({"format": format, "version": VERSION, **fields})
    except ValueError:
        raise mr.UsageError(f"A {kind} that holds NaN or infinity cannot be saved.") from None
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        try:
            unfinished.write_bytes(content)
            unfinished.replace(target)
        except BaseException:  # Ctrl-C, too, leaves no half of a file behind.
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise mr.UsageError(f"Cannot write the {kind} to {path}: {error.strerror}.") from error


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
    kind = _kind(format)
    fields = read_any_model(path, kind)
    if fields["format"] != format:
        raise mr.UsageError(f"{path} is not a {kind}: its format is not {format!r}.")
    if fields.get("version") != VERSION:
        raise mr.UsageError(
            f"{path} has version {fields.get('version')!r} of the {kind} format, but this minimr "
            f"reads version {VERSION}; save the {kind} again with it."
        )
    for name in vectors:
        if not _are_finite_numbers(fields.get(name)):
            raise mr.UsageError(f"{path} is damaged: {name!r} is not a list of finite numbers.")
    for name in numbers:
        if not _are_finite_numbers([fields.get(name)]):
            raise mr.UsageError(f"{path} is damaged: {name!r} is not a finite number.")
    return fields


def named(feature_names: list[str]) -> dict[str, Any]:
    """The field of a file that tells what the features are called, if somebody said it."""
    return {"feature_names": feature_names} if feature_names else {}


def names_in(fields: dict[str, Any], features: int, path: str | os.PathLike[str]) -> list[str]:
    """What the features were called, if the file says it. Raises UsageError for other than texts,
    one for each feature."""
    names: list[str] = fields.get("feature_names", [])
    texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not texts or len(names) not in (0, features):
        raise mr.UsageError(
            f"{path} is damaged: 'feature_names' are not the names of {features} features."
        )
    return names


def read_any_model(path: str | os.PathLike[str], kind: str = "model") -> dict[str, Any]:
    """Return the fields of a file that names its format. Raises UsageError for others."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # A path with a NUL is a ValueError.
        reason = getattr(error, "strerror", error)
        raise mr.UsageError(f"Cannot read the {kind} {path}: {reason}.") from error
    try:
        fields = _from_npz(content) if _is_npz(Path(path)) else _from_json(content)
    except ValueError as error:
        raise mr.UsageError(f"{path} is not a {kind}: {error}.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("format"), str):
        raise mr.UsageError(f"{path} is not a {kind}: its format is not named.")
    return fields


def is_finite_number(value: object) -> bool:
    """Whether a value of a model file is a number that a float holds."""
    try:
        return isinstance(value, NUMBERS) and type(value) in NUMBERS and math.isfinite(value)
    except OverflowError:  # an int that no float holds
        return False


def _are_finite_numbers(values: object) -> bool:
    return isinstance(values, list) and all(map(is_finite_number, values))


def _kind(format: str) -> str:
    """What such a file holds, in a word: a model, a checkpoint."""
    return format.split()[-1]


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _json(fields: dict[str, Any]) -> bytes:
    """Raises ValueError for a number that is not finite."""
    text = json.dumps(fields, indent=2, allow_nan=False, default=lambda array: array.tolist())
    return text.encode() + b"\n"


def _npz(fields: dict[str, Any]) -> bytes:
    """The same fields give the same bytes. Raises ValueError for a number that is not finite."""
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("not finite")
    rest = _json({name: value for name, value in fields.items() if name not in arrays})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{REST: np.frombuffer(rest, np.uint8)}, **arrays)
    return buffer.getvalue()


def _from_json(content: bytes) -> Any:
    """Raises ValueError, in words."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, lists within lists without end
        raise ValueError("it is not JSON text") from None


def _from_npz(content: bytes) -> dict[str, Any]:
    """The fields, arrays as lists, as JSON would give them. Raises ValueError, in words."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as entries:
            values = {name: entries[name].tolist() for name in entries.files}
        return {**json.loads(bytes(values.pop(REST))), **values}
    except Exception as error:  # whatever it is that damaged bytes make zipfile and numpy raise
        raise ValueError(f"it is damaged, or no .npz of minimr's: {type(error).__name__}") from None
