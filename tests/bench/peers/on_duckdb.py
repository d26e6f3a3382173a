"""DuckDB: SQL in memory, on all cores. python on_duckdb.py CASE OUT INPUT..."""

import sys
from pathlib import Path

import duckdb

LINES = """read_csv({inputs}, columns = {{'line': 'VARCHAR'}}, header = false, auto_detect = false,
                    delim = '\x01', quote = '', escape = '')"""
AS_TEXT = "(FORMAT csv, HEADER false, DELIMITER '\t', QUOTE '', ESCAPE '')"


def wordcount(out, inputs):
    words = f"SELECT unnest(regexp_extract_all(line, '[A-Za-z]+')) AS word FROM {lines_of(inputs)}"
    counts = f"SELECT word, count(*) FROM ({words}) GROUP BY word"
    duckdb.sql(f"COPY ({counts}) TO '{out / 'part-0'}' {AS_TEXT}")


def sort(out, inputs, limit=None):
    if limit:
        duckdb.sql(f"SET memory_limit = '{limit}'; SET temp_directory = '{out / 'spill'}'")
    ordered = f"SELECT line FROM {lines_of(inputs)} ORDER BY line"
    duckdb.sql(f"COPY ({ordered}) TO '{out / 'part-0'}' {AS_TEXT}")


def sort_within(out, inputs):
    duckdb.sql("SET preserve_insertion_order = false")
    sort(out, inputs, limit="100MB")


def sums(out, inputs):
    import numpy as np

    keys = np.concatenate([np.load(path) for path in inputs])
    values = np.concatenate([np.load(path.replace(".keys.", ".values.")) for path in inputs])
    duckdb.register("pairs", {"key": keys, "value": values})
    summed = "SELECT key, sum(value) FROM pairs GROUP BY key"
    duckdb.sql(f"COPY ({summed}) TO '{out / 'part-0'}' {AS_TEXT}")


def lines_of(inputs):
    return LINES.format(inputs=list(inputs))


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
