"""Jobs that emit given columns, run by hand, and an oracle in plain Python."""

from itertools import count
from pathlib import Path
from typing import Any

import minimr as mr
from minimr.shuffle.columns import items
from minimr.shuffle.partition import partition_of
from minimr.shuffle.segments import read_segment_bytes
from minimr.tasks.combine import combiner_of, lift_of, reducer_of
from minimr.tasks.map_task import run_map
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, MapResult

from .running import pairs_of, segment, text_input

Columns = tuple[Any, Any]
Task = list[Columns]
"""What one map task emits: keys and values, several times."""

_runs = count()


def by_columns(base: type[mr.Job], tasks: list[Task]) -> type[mr.Job]:
    """Return the job whose `map_block` yields the task's columns as Pairs."""

    class ByColumns(base):  # type: ignore[misc, valid-type]
        def map_block(self, block):
            for keys, values in tasks[self.partition_index]:
                yield mr.Pairs(keys, values)

    return ByColumns


def by_records(base: type[mr.Job], tasks: list[Task]) -> type[mr.Job]:
    """Return the job whose `map` yields the same pairs one by one."""

    class ByRecords(base):  # type: ignore[misc, valid-type]
        def map(self, offset, line):
            for keys, values in tasks[self.partition_index]:
                yield from zip(items(keys), items(values), strict=True)

    return ByRecords


def map_all(
    job_class: type[mr.Job], tasks: list[Task], folder: Path, **fields: Any
) -> list[MapResult]:
    """Run a map task for each of the tasks."""
    folder = folder / f"run-{next(_runs)}"
    folder.mkdir(parents=True)
    spec = JobSpec(**{"partitions": 2, **fields})
    results = []
    for index in range(len(tasks)):
        source = text_input(folder, "x\n", f"{index}.txt")
        own = folder / f"map-{index}"
        own.mkdir()
        task = spec.map_task(index, source)
        results.append(run_map(spec.new_job(job_class), task, own))
        assert [path.name for path in own.iterdir() if path.name != "map-output"] == []
    return results


def reduce_all(
    job_class: type[mr.Job], results: list[MapResult], in_memory: bool = True, **fields: Any
) -> list[list[tuple[Any, Any]]]:
    """Reduce each partition; return its pairs."""
    spec = JobSpec(**{"partitions": 2, **fields})
    reduced = []
    for partition in range(spec.partitions):
        segments = [segment(result, partition) for result in results]
        task = spec.reduce_task(partition)
        done = run_reduce(spec.new_job(job_class), task, segments, in_memory)
        reduced.append(pairs_of(read_segment_bytes(done.pairs)))
    return reduced


def run_both(
    job_class: type[mr.Job], tasks: list[Task], folder: Path, in_memory: bool = True, **fields: Any
) -> list[list[tuple[Any, Any]]]:
    """Run maps and reduces."""
    results = map_all(job_class, tasks, folder, **fields)
    return reduce_all(job_class, results, in_memory, **fields)


def expected(
    base: type[mr.Job], tasks: list[Task], partitions: int = 2
) -> list[list[tuple[Any, Any]]]:
    """What the job must give: each task's values combined once, from left to right."""
    job = base()
    combine, lift, reduce = combiner_of(job), lift_of(job), reducer_of(job)
    grouped: dict[Any, list[Any]] = {}
    for task in tasks:
        own: dict[Any, list[Any]] = {}
        for keys, values in task:
            for key, value in zip(items(keys), items(values), strict=True):
                own.setdefault(key, []).append(lift(value) if lift else value)
        for key, values in own.items():
            grouped.setdefault(key, []).extend(combine(key, values) if combine else values)
    parts: list[list[tuple[Any, Any]]] = [[] for _ in range(partitions)]
    for key in sorted(grouped):
        parts[partition_of(key, partitions)] += reduce(key, iter(grouped[key]))
    return parts
