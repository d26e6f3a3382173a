"""minimr: MapReduce small enough to read in a weekend and good enough to use.

The public names are below; everything else is the inside. They are imported when first used, so
that `import minimr` costs nothing in the processes that need only a part of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minimr.aggregates import Count, Max, Mean, Min, Sum, TopK
    from minimr.block import Block, Groups, Pairs, TextBlock
    from minimr.dataset import Dataset
    from minimr.errors import (
        BadRecord,
        JobCancelled,
        JobFailed,
        MinimrError,
        NoCoordinator,
        UsageError,
    )
    from minimr.gang.compression import (
        Compression,
        ErrorFeedback,
        HalfPrecision,
        SignOnly,
        TopKOnly,
        as_sent,
    )
    from minimr.gang.members import MemberLost, Members
    from minimr.gang.parameter_server import ParameterServer
    from minimr.gang.ring import all_gather, all_reduce, broadcast
    from minimr.job import Job
    from minimr.session import Cluster, Result, default_cluster, run
    from minimr.shuffle.byte_strings import ByteStrings

__version__ = "0.1.0"

_HOMES = {
    "minimr.aggregates": ("Count", "Max", "Mean", "Min", "Sum", "TopK"),
    "minimr.block": ("Block", "Groups", "Pairs", "TextBlock"),
    "minimr.dataset": ("Dataset",),
    "minimr.errors": (
        "BadRecord",
        "JobCancelled",
        "JobFailed",
        "MinimrError",
        "NoCoordinator",
        "UsageError",
    ),
    "minimr.gang.compression": (
        "Compression",
        "ErrorFeedback",
        "HalfPrecision",
        "SignOnly",
        "TopKOnly",
        "as_sent",
    ),
    "minimr.gang.members": ("MemberLost", "Members"),
    "minimr.gang.parameter_server": ("ParameterServer",),
    "minimr.gang.ring": ("all_gather", "all_reduce", "broadcast"),
    "minimr.job": ("Job",),
    "minimr.session": ("Cluster", "Result", "default_cluster", "run"),
    "minimr.shuffle.byte_strings": ("ByteStrings",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BadRecord",
    "Block",
    "ByteStrings",
    "Cluster",
    "Compression",
    "Count",
    "Dataset",
    "ErrorFeedback",
    "Groups",
    "HalfPrecision",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Max",
    "Mean",
    "MemberLost",
    "Members",
    "Min",
    "MinimrError",
    "NoCoordinator",
    "Pairs",
    "ParameterServer",
    "Result",
    "SignOnly",
    "Sum",
    "TextBlock",
    "TopK",
    "TopKOnly",
    "UsageError",
    "all_gather",
    "all_reduce",
    "as_sent",
    "broadcast",
    "default_cluster",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'minimr' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, too: a prompt offers what it finds here, imported or not."""
    return sorted({*globals(), *__all__})
