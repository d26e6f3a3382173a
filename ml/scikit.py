"""What scikit-learn asks of an estimator besides learning, for those that do not inherit from it.

Parameters by name, by which it copies and searches; tags, by which it knows what it has before it;
an error and a warning of its own classes. scikit-learn is used if it is there, and only then: who
never imports it needs none.
"""

import sys
import warnings
from dataclasses import fields
from importlib import import_module
from typing import Any

from ml.errors import ArgumentError


def get_params(estimator: Any, deep: bool = True) -> dict[str, Any]:  # noqa: ARG001 - none is deep
    """The parameters of the constructor, by name. `estimator` is a dataclass."""
    return {field.name: getattr(estimator, field.name) for field in fields(estimator) if field.init}


def set_params(estimator: Any, **params: Any) -> Any:
    """Change some of them; returns the estimator. Raises ArgumentError for a name it has not."""
    known = get_params(estimator)
    for name in params:
        if name not in known:
            raise ArgumentError(
                f"{type(estimator).__name__} has no parameter {name!r}; it has: {', '.join(known)}"
            )
    for name, value in params.items():
        setattr(estimator, name, value)
    return estimator


def tags(kind: str, **own: bool) -> Any:
    """scikit-learn's Tags of a "regressor" or "classifier" that needs labels; `own` are its own."""
    utils = import_module("sklearn.utils")
    kinds = {"regressor": utils.RegressorTags, "classifier": utils.ClassifierTags}
    return utils.Tags(
        estimator_type=kind,
        target_tags=utils.TargetTags(required=True),
        **{f"{kind}_tags": kinds[kind](**own)},
    )


class NotFitted(ArgumentError, AttributeError):
    """An estimator was asked for what only `fit` gives it."""


def not_fitted(estimator: object) -> Exception:
    """The error to raise: scikit-learn's NotFittedError where that is in use."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", NotFitted)
    error: Exception = theirs(f"this {type(estimator).__name__} is not fitted yet: call fit first")
    return error


def warn_of_column() -> None:
    """Warn that labels came as a column: by scikit-learn's DataConversionWarning if in use."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "DataConversionWarning", UserWarning)
    message = "A column-vector y was passed when a 1d array was expected; y.ravel() is one"
    warnings.warn(message, theirs, stacklevel=2)
