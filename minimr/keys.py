"""What may be a key, and what kind of key it is.

MapReduce sorts by key (Dean and Ghemawat, OSDI 2004, section 4.2), so all keys of a stage must be
comparable with one another and mean the same on every machine. minimr takes the plain types whose
order and equality nobody disputes: str, bytes, int, float (not NaN), bool, None, and tuples of
them. One stage uses one *kind*: `1`, `1.0` and `True` are equal in Python and would silently share
a group, so they count as different kinds and meeting two of them is an error.
"""

from typing import Any

from minimr.errors import BadRecord

KIND_NAMES: dict[type, str] = {
    str: "str",
    bytes: "bytes",
    int: "int",
    float: "float",
    bool: "bool",
    type(None): "None",
}
"""The scalar key types and how their kinds are called. Subclasses do not count."""

PREVIEW_CHARACTERS = 80
"""How much of a user's value an error message shows."""


def key_kind(key: Any) -> str:
    """Name the kind of a key: "str", "int", "tuple[str,int]", ...

    Raises BadRecord if the key is of no allowed type, or is or holds a NaN.
    """
    kind = KIND_NAMES.get(type(key))
    if kind is None:
        if type(key) is not tuple:
            raise BadRecord(_not_a_key(key))
        return f"tuple[{','.join(map(key_kind, key))}]"
    if key != key:
        raise BadRecord("A key is NaN, which has no place in an order; drop or replace it.")
    return kind


def plain_key(key: Any) -> Any:
    """Return the key with numpy scalars turned into the Python values they stand for."""
    if type(key) is tuple:
        return tuple(map(plain_key, key))
    if type(key).__module__ == "numpy" and hasattr(key, "dtype") and getattr(key, "ndim", 1) == 0:
        return key.item()
    return key


def preview(value: Any) -> str:
    """Return at most PREVIEW_CHARACTERS of a value's repr, for a message."""
    if isinstance(value, str | bytes):
        value = value[:PREVIEW_CHARACTERS]
    try:
        text = repr(value)
    except Exception:  # An int of 5,000 digits has none, nor have lists without end.
        text = f"<{type(value).__name__}>"
    if len(text) <= PREVIEW_CHARACTERS:
        return text
    return text[: PREVIEW_CHARACTERS - 3] + "..."


def _not_a_key(key: Any) -> str:
    advice = "; tuple(key) would do" if type(key) is list else ""
    return (
        f"The key {preview(key)} is of type {type(key).__name__}; a key must be str, bytes, int, "
        f"float, bool, None or a tuple of them{advice}."
    )
