"""Run tasks by hand: what a slot does, without the slot."""

from pathlib import Path
from typing import Any

from minimr.formats.splits import Split
from minimr.job import Job
from minimr.shuffle import codec
from minimr.shuffle.segments import MapOutputFile, read_segment_bytes
from minimr.tasks.map_task import run_map
from minimr.tasks.reduce_task import run_reduce
from minimr.tasks.spec import JobSpec, MapResult, ReduceTask, files_output
from minimr.tasks.watcher import NOBODY


def text_input(folder: Path, text: str | bytes, name: str = "input.txt") -> dict[str, Any]:
    """Write a file and return it as a map task's input."""
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    return Split(str(path), 0, path.stat().st_size, 0).to_dict()


def map_once(
    job_class: type[Job], source: dict[str, Any], folder: Path, index: int = 0, **fields: Any
) -> MapResult:
    """Run one map task in a directory of its own.

    `fields` are those of the spec, and `state`, `watcher` and the further arguments of `map_task`.
    """
    watcher, state = fields.pop("watcher", NOBODY), fields.pop("state", None)
    more = {name: fields.pop(name) for name in ("keep", "careful", "skip") if name in fields}
    output = files_output(folder, "text")
    usual = {"partitions": 2, "format": job_class.input_format, "output": output}
    spec = as_received(JobSpec(**usual | fields))
    directory = folder / f"map-{index}"
    directory.mkdir()
    task = spec.map_task(index, source, **more)
    return run_map(spec.new_job(job_class, state), task, directory, watcher)


def as_received(spec: JobSpec) -> JobSpec:
    """The spec after its journey to a slot."""
    return JobSpec.from_dict(codec.loads(codec.dumps(spec.to_dict())))


def segment(result: MapResult, partition: int) -> Any:
    if result.segments is not None:
        return read_segment_bytes(result.segments[partition])
    assert result.path is not None
    return MapOutputFile(Path(result.path)).read_segment(partition)


def pairs_of(blocks: Any) -> list[tuple[Any, Any]]:
    return [pair for keys, values in blocks for pair in zip(keys, values, strict=True)]


def emitted(result: MapResult) -> list[list[tuple[Any, Any]]]:
    """The pairs of each partition."""
    return [pairs_of(segment(result, r)) for r in range(len(result.segment_bytes))]


def run_job(
    job_class: type[Job], texts: list[str], folder: Path, *, in_memory: bool = True, **fields: Any
) -> list[list[tuple[Any, Any]]]:
    """Map each text, reduce each partition; return the pairs of each partition."""
    folder.mkdir()
    results = [
        map_once(job_class, text_input(folder, text, f"{index}.txt"), folder, index, **fields)
        for index, text in enumerate(texts)
    ]
    spec = JobSpec(**{"partitions": 2, **fields})
    return [
        pairs_of(
            read_segment_bytes(
                run_reduce(
                    spec.new_job(job_class),
                    ReduceTask(partition),
                    [segment(result, partition) for result in results],
                    in_memory,
                ).pairs
                or b""
            )
        )
        for partition in range(spec.partitions)
    ]
