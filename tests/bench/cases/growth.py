"""minimr beside itself: more input, more workers."""

from tests.bench import inputs
from tests.bench.answers import word_counts
from tests.bench.case import Candidate, Case, Goal
from tests.bench.cases.words import built_in
from tests.bench.setting import Setting

MORE_WORKERS = (1, 4, 8)


def growth(setting: Setting) -> list[Candidate]:
    """2 GB are the 200 MB ten times over."""
    text = inputs.text(setting)
    sizes = {
        "200 MB": text,
        "20 MB": inputs.text(setting, 20),
        "2 GB": inputs.times(setting, text, 10),
    }
    return [
        Candidate(f"minimr, {size}", built_in(setting, [paths[0].parent]), question=size)
        for size, paths in sizes.items()
    ]


def workers(setting: Setting) -> list[Candidate]:
    folder = inputs.text(setting)[0].parent
    return [
        Candidate(f"minimr, {count} workers", built_in(setting, [folder], "--workers", count))
        for count in (2, *MORE_WORKERS)
    ]


CASES = {
    "growth": Case(
        "Word count, the built-in job: ten times the input, ten times the time",
        growth,
        word_counts,
        [
            Goal(10.5, "minimr, 200 MB", of="minimr, 2 GB"),
            Goal(1.1, "minimr, 200 MB", of="minimr, 2 GB", figure="peak_mb"),
        ],
    ),
    "workers": Case(
        "Word count of 200 MB on 1, 2, 4 and 8 workers",
        workers,
        word_counts,
        [Goal(1.1, "minimr, 2 workers", of=f"minimr, {count} workers") for count in (4, 8)],
    ),
}
