"""Compression of gradients: send less, and remember what was not sent.

A gradient need not arrive exactly; it is a step in a direction that is noisy anyway. Three ways to
say it in fewer bytes, beside the 8 of a float64:

    HalfPrecision   2 bytes an element: scaled by a power of two so that nothing overflows, then
                    rounded to 11 significant bits
    TopKOnly        12 bytes for each of the largest elements, nothing for the others (Aji and
                    Heafield 2017)
    SignOnly        1 bit an element and one common size, the mean (Seide et al. 2014, "1-bit SGD")

The last two alone go wrong: what is small at each step is lost at each step, though it may add up
to much. *Error feedback* keeps what was not sent and adds it to the next gradient, so that

    sum of what was sent + residual = sum of the gradients

and every bit of gradient arrives, only later (Karimireddy et al., "Error feedback fixes SignSGD and
other gradient compression schemes", 2019). The residual belongs to one member: whoever is started
again begins with none, unless it has saved it.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minimr.errors import UsageError

Vector = npt.NDArray[np.float64]
Packed = dict[str, Any]
"""Arrays and numbers that `Members.send` takes."""


class Compression(Protocol):
    """`unpack` needs nothing but what `pack` made. Numbers that are none arrive as such, or not."""

    def pack(self, vector: Vector) -> Packed: ...

    def unpack(self, packed: Packed) -> Vector: ...


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """Relative error 2**-11 for elements down to 2**-29 of the largest; below, absolute."""

    @np.errstate(over="ignore", invalid="ignore")
    def pack(self, vector: Vector) -> Packed:
        exponent = int(np.frexp(np.abs(vector).max(initial=0.0))[1])
        return {"half": np.ldexp(vector, 15 - exponent).astype(np.float16), "exponent": exponent}

    def unpack(self, packed: Packed) -> Vector:
        half: npt.NDArray[np.float16] = packed["half"]
        return np.ldexp(half.astype(np.float64), int(packed["exponent"]) - 15)


@dataclass(frozen=True, slots=True)
class TopKOnly:
    """The `fraction` of the elements that are largest by magnitude, at least one; on a tie the
    earlier one. Raises UsageError if the fraction is not in (0, 1]."""

    fraction: float

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise UsageError(f"top-k keeps a fraction above 0 and up to 1, not {self.fraction}")

    def pack(self, vector: Vector) -> Packed:
        kept = max(1, round(self.fraction * len(vector)))
        order = np.argsort(-np.abs(vector), kind="stable")
        places = np.sort(order[:kept])
        return {
            "size": len(vector),
            "places": places.astype(np.uint32),
            "values": vector[places],
        }

    def unpack(self, packed: Packed) -> Vector:
        vector = np.zeros(packed["size"])
        vector[packed["places"]] = packed["values"]
        return vector


@dataclass(frozen=True, slots=True)
class SignOnly:
    """Every element becomes plus or minus the mean magnitude; zero counts as plus."""

    def pack(self, vector: Vector) -> Packed:
        mean = float(np.abs(vector).mean()) if len(vector) else 0.0
        return {"size": len(vector), "mean": mean, "bits": np.packbits(vector >= 0)}

    def unpack(self, packed: Packed) -> Vector:
        positive = np.unpackbits(packed["bits"], count=packed["size"]).astype(bool)
        mean: float = packed["mean"]
        return np.where(positive, mean, -mean)


@dataclass(slots=True)
class ErrorFeedback:
    """A compression that remembers what it did not send.

    `residual` (n,) is that; `sent_bytes` counts what was packed, `dense_bytes` what it would have
    been as float64.
    """

    compression: Compression
    residual: Vector | None = None
    sent_bytes: int = 0
    dense_bytes: int = 0

    @np.errstate(over="ignore", invalid="ignore")
    def pack(self, gradient: Vector) -> Packed:
        """Compress `gradient` (n,) and what was left of those before."""
        wanted = gradient if self.residual is None else gradient + self.residual
        packed = self.compression.pack(wanted)
        self.residual = wanted - self.compression.unpack(packed)
        self.sent_bytes += packed_bytes(packed)
        self.dense_bytes += gradient.nbytes
        return packed

    def unpack(self, packed: Packed) -> Vector:
        return self.compression.unpack(packed)


def as_sent(compression: Compression) -> Compression:
    """The compression as one sender uses it: with feedback, if it drops more than last bits.

    Half precision has no memory, so that whoever is started again sends the same.
    """
    return compression if isinstance(compression, HalfPrecision) else ErrorFeedback(compression)


def packed_bytes(packed: Packed) -> int:
    """What a packed vector takes on its way: arrays as they are, 8 bytes for each number."""
    return sum(each.nbytes if isinstance(each, np.ndarray) else 8 for each in packed.values())
