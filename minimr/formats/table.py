"""Tables whose rows are features and a label, in one column of them: csv and npy."""

import numpy as np
import numpy.typing as npt

from minimr.block import Block


def column_at(number: str, columns: int) -> int | None:
    """Return the column of this number, of which negative ones count from the end; None if there is
    no such column."""
    try:
        column = int(number)
    except ValueError:
        return None
    return column % columns if -columns <= column < columns else None


def labeled_rows(values: npt.NDArray[np.float64], label_column: int) -> Block:
    """Return a table's rows as features and labels."""
    return Block({"X": np.delete(values, label_column, axis=1), "y": values[:, label_column]})
