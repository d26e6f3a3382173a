"""All cases by name, in the order in which they run."""

from tests.bench.cases import (
    faults,
    growth,
    indexes,
    latency,
    regressions,
    rings,
    sorts,
    sums,
    words,
)

CASES = {
    **words.CASES,
    **sorts.CASES,
    **sums.CASES,
    **indexes.CASES,
    **latency.CASES,
    **regressions.CASES,
    **rings.CASES,
    **growth.CASES,
    **faults.CASES,
}
