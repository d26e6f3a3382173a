"""StandardScaler: features to mean 0 and variance 1, as MapReduce; MLlib's names and rules.

Mean and variance of all rows take two rounds, both of plain sums. The first adds up the rows, which
gives the mean m; the second, with m broadcast, adds up d = x - m and d^2:

    mean = m + sum d / n        variance = (sum d^2 - (sum d)^2 / n) / (n - 1)

The textbook's single pass is this with m = 0, and subtracts two large numbers that are nearly
equal: with a mean of 1e8 and a variance of 1 no digit is left. Here sum d is nearly zero, and what
it is not makes up for the rounding of m (Chan, Golub and LeVeque 1983, "corrected two-pass").
Scaling is another pass over the rows, which leaves a new dataset at the workers.

As in MLlib the variance is that of a sample, divided by n - 1; only the standard deviation is
scaled by default (`withMean=False`), and a constant column becomes zeros, since it has nothing to
scale. scikit-learn divides by n and leaves a constant column's differences alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import minimr as mr
from ml.arguments import yes_or_no
from ml.checks import check_rows
from ml.errors import ArgumentError
from ml.labeled_data import LabeledData
from ml.prediction import as_rows
from ml.vectors import Matrix, Vector, widened


class SumsAroundRound(mr.Job):
    """[rows, sums of d, sums of d^2] with d = x - m: (1 + 2 columns,). State: {"m": (columns,)}."""

    def map_block(self, block: mr.Block) -> Iterator[tuple[int, Vector]]:
        m, X = self.state["m"], block["X"]
        d = scale(X, m, np.ones(len(m)))
        with np.errstate(over="ignore", invalid="ignore"):  # `fit` reports what overflows
            yield 0, np.concatenate([[len(X)], d.sum(axis=0), np.einsum("ij,ij->j", d, d)])

    reduce = mr.Sum()


class ScaleJob(mr.Job):
    """Rows with each column moved by -shift and multiplied by its factor."""

    shifts: list[float]
    factors: list[float]

    def map_block(self, block: mr.Block) -> mr.Block:
        return block.by_pieces(self._scaled)

    def _scaled(self, block: mr.Block) -> mr.Block:
        scaled = scale(block["X"], np.array(self.shifts), np.array(self.factors))
        return mr.Block({**block.columns, "X": scaled})


def scale(X: Matrix, shifts: Vector, factors: Vector) -> Matrix:
    """(x - shift) * factor of rows (n, k <= d), widened to (n, d)."""
    scaled: Matrix = (widened(X, len(shifts)) - shifts) * factors
    return scaled


@dataclass(frozen=True, eq=False)
class StandardScalerModel:
    """Mean and standard deviation (d,) of the rows that were fitted, and which of them count."""

    mean: Vector
    std: Vector
    withMean: bool = False
    withStd: bool = True

    def transform(self, x: "npt.ArrayLike | LabeledData") -> "Matrix | LabeledData":
        """Scale one row (d,), rows (n, d), or resident data, which gives new resident data.

        Raises ArgumentError if the width is not that of the rows that were fitted.
        """
        shifts, factors = self._shifts(), self._factors()
        if isinstance(x, LabeledData):
            self._check_width(x.features, x.features <= len(self.mean))
            job = ScaleJob(shifts=shifts.tolist(), factors=factors.tolist())
            return LabeledData(x.dataset.transform(job), x.feature_names)
        rows = as_rows(x)
        self._check_width(rows.shape[-1], rows.shape[-1] == len(self.mean))
        return scale(np.atleast_2d(rows), shifts, factors).reshape(rows.shape)

    def _shifts(self) -> Vector:
        return self.mean if self.withMean else np.zeros(len(self.mean))

    def _factors(self) -> Vector:
        if not self.withStd:
            return np.ones(len(self.std))
        with np.errstate(divide="ignore"):
            return np.where(self.std > 0, 1.0 / self.std, 0.0)

    def _check_width(self, features: int, fits: bool) -> None:
        if not fits:
            raise ArgumentError(
                f"the rows have {features} features, but the scaler was fitted to {len(self.mean)}"
            )


@dataclass(frozen=True)
class StandardScaler:
    """Scales by the standard deviation (withStd), after taking away the mean (withMean)."""

    withMean: bool = False
    withStd: bool = True

    def __post_init__(self) -> None:
        for name in ("withMean", "withStd"):
            yes_or_no(name, getattr(self, name))

    def fit(self, data: LabeledData) -> StandardScalerModel:
        """Find mean and standard deviation of each feature, in two rounds.

        Raises ArgumentError for what is no LabeledData, has no rows, holds NaN or infinity, or is
        too large to square.
        """
        check_rows(data)
        rough, _ = _mean_and_spread(data, np.zeros(data.features))
        mean, spread = _mean_and_spread(data, rough)
        if not np.isfinite(spread).all():
            raise ArgumentError(
                f"the squares of feature {np.isfinite(spread).argmin() + 1} overflow: scale it down"
            )
        deviations = np.sqrt(spread / max(data.count() - 1, 1))
        return StandardScalerModel(mean, deviations, self.withMean, self.withStd)


def _mean_and_spread(data: LabeledData, m: Vector) -> tuple[Vector, Vector]:
    """The columns' means and sums of squares around them, from sums around `m`."""
    [(_, sums)] = data.dataset.round(SumsAroundRound(), state={"m": m})
    rows, d, squares = sums[0], sums[1 : 1 + len(m)], sums[1 + len(m) :]
    with np.errstate(over="ignore", invalid="ignore"):
        return m + d / rows, np.maximum(squares - d * d / rows, 0.0)
