"""Print what one map task of every built-in job leaves, in each form, as JSON: form to digest.

Its memory is small, so that jobs spill; beside the digest stands how often each did.

    python -m tests.jobs.map_digests FOLDER
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import minimr as mr
from minimr.formats.splits import Split
from minimr.formats.terasort import write_terasort
from minimr.jobs import BUILT_IN
from minimr.tasks.collector import Collector
from minimr.tasks.column_collector import ColumnCollector
from minimr.tasks.map_task import run_map
from minimr.tasks.spec import JobSpec

MEMORY_BYTES = 20_000
OPTIONS: dict[str, dict[str, Any]] = {
    "grep": {"pattern": "1|2"},
    "topk": {"n": 300, "column": 2},
    "histogram": {"low": 0, "high": 9_000, "bins": 300, "column": 2},
    "sessionize": {"gap": 60},
}


def main(folder: Path) -> None:
    folder.mkdir()
    os.chdir(folder)  # The index emits the path of its input, which must be the same.
    text, records = Path("text"), Path("records")
    text.write_text("".join(map(_line, range(1_500))))
    write_terasort(records, 1_000)
    print(json.dumps(dict(_digests(text, records))))


def _line(number: int) -> str:
    """user TAB time TAB words of all lengths, for it is by sizes that a spill's moment shows."""
    words = " ".join(f"w{number * step % 1_009:0{1 + number % 61}}" for step in (1, 7, 11, 13))
    return f"user{number * 31 % 400}\t{number * 17 % 9_000}\t{words} Tag naïve\n"


def _digests(text: Path, records: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    for name, place in BUILT_IN.items():
        module, _, class_name = place.partition(":")
        job: type[mr.Job] = getattr(import_module(module), class_name)
        source = records if name == "terasort" else text
        yield name, _digest(job, name, source)
        if job.map_block is not None and job.map is not mr.Job.map:
            by_record = type(class_name, (job,), {"map_block": None, "__module__": __name__})
            yield f"{name}-by-record", _digest(by_record, name, source)


def _digest(job: type[mr.Job], name: str, source: Path) -> tuple[str, int]:
    """Run a map task; return the digest of what it leaves, and how often it spilled."""
    directory = Path(tempfile.mkdtemp(dir="."))
    options = OPTIONS.get(name, {})
    spec = JobSpec(
        partitions=3,
        memory_bytes=MEMORY_BYTES,
        format=job(**options).input_format,
        options=options,
        output={"kind": "files", "directory": str(directory), "format": "text"},
    )
    split = Split(str(source), 0, source.stat().st_size, 0).to_dict()
    spills: list[None] = []
    with (
        patch.object(Collector, "_spill", _noting(Collector._spill, spills)),
        patch.object(ColumnCollector, "_spill", _noting(ColumnCollector._spill, spills)),
    ):
        result = run_map(spec.new_job(job), spec.map_task(0, split), directory)
    assert result.digest is not None
    return result.digest, len(spills)


def _noting(spill: Any, spills: list[None]) -> Any:
    def noted(collector: Any) -> None:
        spills.append(None)
        spill(collector)

    return noted


if __name__ == "__main__":
    main(Path(sys.argv[1]))
