"""A job's options: annotated class attributes, read once per class and checked on every use.

    class Grep(mr.Job):
        pattern: str                                          # no default: required
        words: Literal["space", "letters", "ascii"] = "space"
        limit: int | None = None

An option's type is str, int, float, bool, list, dict, a Literal, or one of these with None. It is
what the command line can parse and what msgpack can carry to a slot. An attribute annotated with
anything else is simply not an option.
"""

import json
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from minimr.errors import UsageError


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""The default of an option that has none."""

TYPES = (str, int, float, bool, list, dict)
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Option:
    """One option; `choices` are a Literal's values, `optional` allows None."""

    name: str
    type: type
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    optional: bool = False

    def check(self, value: Any) -> Any:
        """Return the value, an int made float where one is due. Raises UsageError."""
        if value is None and self.optional:
            return None
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type or (self.choices and value not in self.choices):
            raise UsageError(f"Option {self.name} must be {self.expects()}, not {value!r}.")
        return value

    def parse(self, text: str) -> Any:
        """Return the value that a word of a command line stands for. Raises UsageError."""
        return self.check(self._read(text))

    def expects(self) -> str:
        """Say in words what the option takes."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        return self.type.__name__ + (" or None" if self.optional else "")

    def _read(self, text: str) -> Any:
        try:
            if self.type is bool:
                return WORDS[text.lower()]
            if self.type in (list, dict):
                return json.loads(text)
            return self.type(text)
        except (ValueError, KeyError):
            message = f"Option {self.name} must be {self.expects()}, not {text!r}."
            raise UsageError(message) from None


@lru_cache(maxsize=64)
def read_options(job_class: type, base: type) -> dict[str, Option]:
    """Return the options that `job_class` declares beyond `base`, by name, base classes first.

    Raises UsageError if an annotation cannot be evaluated.
    """
    try:
        hints = get_type_hints(job_class)
    except (NameError, TypeError) as error:
        raise UsageError(f"{job_class.__name__}: an annotation cannot be read: {error}.") from error
    reserved = get_type_hints(base)
    options = (
        _option(name, hint, getattr(job_class, name, REQUIRED))
        for name, hint in hints.items()
        if name not in reserved and not name.startswith("_")
    )
    return {option.name: option for option in options if option is not None}


def _option(name: str, hint: Any, default: Any) -> Option | None:
    if get_origin(hint) is ClassVar:
        return None
    hint, optional = _without_none(hint)
    choices: tuple[Any, ...] = ()
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    plain = get_origin(hint) or hint
    if plain not in TYPES:
        return None
    return Option(name, plain, default, choices, optional)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) != 1:
        return hint, False
    return members[0], True
