"""Gradients in fewer bytes, by name: what stands behind a strategy's name, as in "ssp:4:top-k".

    half             half precision, a quarter of the bytes
    top-k, top-k=F   the tenth, or the fraction F, of the elements that are largest
    sign             one bit for each element

The last two remember what they did not send, and add it to the next gradient. `minimr` has the
theory (mr.HalfPrecision, mr.TopKOnly, mr.SignOnly, mr.ErrorFeedback). Losses and counts of rows
always travel exactly.
"""

from math import ceil

import minimr as mr
from ml.errors import ArgumentError

KEPT_FRACTION = 0.1
LATE_UPDATES = 10
"""Of signs. It is measured, not derived: descents with steps for gradients so old arrived."""
NAMES = "half, top-k, top-k=FRACTION, sign"


def find_compression(name: str | None) -> mr.Compression | None:
    """The compression of that name; None for None. Raises ArgumentError for any other."""
    if name is None:
        return None
    match name.partition("="):
        case ["half", "", ""]:
            return mr.HalfPrecision()
        case ["sign", "", ""]:
            return mr.SignOnly()
        case ["top-k", "", ""]:
            return mr.TopKOnly(KEPT_FRACTION)
        case ["top-k", "=", fraction]:
            try:
                return mr.TopKOnly(float(fraction))
            except (ValueError, mr.UsageError):
                raise ArgumentError(
                    f"top-k keeps a fraction in (0, 1], as in top-k=0.05, but is {name!r}"
                ) from None
    raise ArgumentError(
        f"takes behind the name a whole number, if there is one to take, and a compression, one "
        f"of {NAMES}; {name!r} is neither",
        "strategy",
    )


def updates_late(name: str | None) -> int:
    """How many updates late, about, a compression sends what it leaves out at first.

    Of top-k every element has had its turn when as many as there are were sent.
    """
    match find_compression(name):
        case mr.TopKOnly(fraction=fraction):
            return ceil(1.0 / fraction) - 1
        case mr.SignOnly():
            return LATE_UPDATES
    return 0
