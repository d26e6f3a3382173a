"""Where a worker keeps things inside its directory. Worker, slots and shuffle server agree here.

A path is made in one piece, for joining it costs four times that; and those of partitions, for
which every round asks, are remembered.
"""

from functools import lru_cache
from pathlib import Path

from minimr.scheduler.state import AttemptId


def output_path(directory: Path, attempt: AttemptId) -> Path:
    """Where a worker keeps the output file of a map attempt."""
    name = f"{attempt.stage}-{attempt.index:05d}.{attempt.number}.out"
    return Path(f"{directory}/jobs/{attempt.job}/{name}")


@lru_cache(maxsize=1024)
def dataset_path(directory: Path, dataset: str, partition: int) -> Path:
    """Where a worker keeps a partition of a dataset."""
    return Path(f"{directory}/datasets/{dataset}/{partition:05d}.block")


def kept_path(directory: Path, attempt: AttemptId) -> Path:
    """Where a worker keeps what this attempt made: a map output, or a partition of a dataset."""
    if attempt.stage == "load":
        return dataset_path(directory, attempt.job, attempt.index)
    return output_path(directory, attempt)


def visiting_path(directory: Path, job: str, made: AttemptId) -> Path:
    """Where a worker keeps a partition of another one, which a load attempt made, for a gang."""
    return Path(f"{directory}/jobs/{job}/{made.job}-{made.index:05d}.{made.number}.block")


def scratch_path(directory: Path, pid: int) -> Path:
    """Where the slot with this process id writes what is not finished."""
    return directory / "scratch" / str(pid)
