"""Polars: lazy queries, all cores. python on_polars.py CASE OUT INPUT..."""

import sys
from pathlib import Path

import polars as pl


def wordcount(out, inputs):
    words = lines_of(inputs).select(pl.col("line").str.extract_all("[A-Za-z]+").explode())
    counts = words.group_by("line").agg(pl.len()).filter(pl.col("line").is_not_null())
    counts.sink_csv(out / "part-0", separator="\t", include_header=False)


def sort(out, inputs):
    records = lines_of(inputs, "utf8")
    # The whole line: what follows the key decides between equal keys, and costs nothing.
    ordered = records.sort("line")
    ordered.sink_csv(out / "part-0", quote_style="never", include_header=False)


def sums(out, inputs):
    import numpy as np

    pairs = pl.concat(
        pl.DataFrame({"key": np.load(path), "value": np.load(path.replace(".keys.", ".values."))})
        for path in inputs
    )
    summed = pairs.lazy().group_by("key").agg(pl.col("value").sum())
    summed.sink_csv(out / "part-0", separator="\t", include_header=False)


def lines_of(inputs, encoding="utf8-lossy"):
    """One column of whole lines; no text holds the separator."""
    return pl.scan_csv(
        inputs,
        has_header=False,
        new_columns=["line"],
        schema={"line": pl.String},
        separator="\x01",
        quote_char=None,
        encoding=encoding,
    )


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
