"""The output committer: many attempts write, one result appears (Dean and Ghemawat, OSDI 2004,
section 3.3).

Attempts fail, run twice and outlive their worker's lease, so none of them may write where a user
looks. They write into a *staging* directory beside the output, each under a name of its own. When
the job is done, `publish` gathers the winners' files in a directory inside the staging directory,
adds the manifest `_SUCCESS`, and gives that directory the output's name: one rename, atomic since
both are on one file system. Before it there is nothing at the output path, after it everything,
and an attempt that still writes late writes to a place that no longer matters.

    out                                 appears last, by one rename of "complete"
    .out.job-1.staging/
        part-00000.attempt-1            the attempts' files
        part-00000.attempt-2
        complete/                       the winners, under their final names, and _SUCCESS;
                                        _skipped.jsonl, if bad records were left out
        replaced/                       with overwrite: the former output, until the end

`publish` may be cut off at any step and called again with the same arguments; it then goes on
where it stopped. That is what a restarted coordinator does with a job whose outcome is decided.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minimr import __version__
from minimr.errors import CorruptData, MinimrError, UsageError
from minimr.formats.output import PartInfo, cannot_write

MANIFEST = "_SUCCESS"
SKIPPED = "_skipped.jsonl"
COMPLETE = "complete"
REPLACED = "replaced"
REMOVE_TRIES = 3


@dataclass(frozen=True)
class Manifest:
    """What `_SUCCESS` says: the format, the parts in order, the job's counters, and how many bad
    records were skipped.
    """

    format: str
    parts: tuple[PartInfo, ...]
    counters: dict[str, int] = field(default_factory=dict)
    skipped: int = 0

    def to_json(self) -> str:
        fields = {
            "minimr": __version__,
            "format": self.format,
            "parts": [part.to_dict() for part in self.parts],
            "counters": dict(sorted(self.counters.items())),
            "skipped": self.skipped,
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        fields = json.loads(text)
        parts = tuple(PartInfo.from_dict(part) for part in fields["parts"])
        return cls(fields["format"], parts, fields["counters"], fields.get("skipped", 0))


def part_name(partition: int) -> str:
    """The final name of a partition's file."""
    return f"part-{partition:05d}"


def attempt_name(partition: int, attempt: int) -> str:
    """The name under which one attempt writes that file."""
    return f"{part_name(partition)}.attempt-{attempt}"


def read_manifest(output: str | Path) -> Manifest:
    """The manifest of a published output. Raises UsageError if the output is not complete."""
    path = Path(output) / MANIFEST
    try:
        return Manifest.from_json(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{output} is no complete output of minimr: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptData(f"{path} is damaged ({error!r}); run the job again.") from error


def read_skipped(output: str | Path) -> list[dict[str, str]]:
    """What a published output says of the records that were skipped: {"position", "record",
    "error"} of each. Raises CorruptData if the file is damaged.
    """
    path = Path(output) / SKIPPED
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptData(f"{path} is damaged ({error!r}); run the job again.") from error


def prepare(output: str | Path, job: str, overwrite: bool = False) -> Path:
    """Make the staging directory of a job and return it, before any work is done.

    A staging directory that a killed run left behind is left alone and stands in nobody's way.
    Raises UsageError if the output exists (with `overwrite`: if it is not an output of minimr) or
    if its parent is missing or cannot be written.
    """
    output = Path(output).resolve()
    try:
        if output.exists():
            _check_may_replace(output, overwrite)
        if not output.parent.exists():
            raise UsageError(f"The directory {output.parent} does not exist; create it first.")
        return _make_staging(output, job)
    except OSError as error:
        raise UsageError(
            f"Cannot write in {output.parent}: {error.strerror}. Choose another output."
        ) from error


def publish(
    staging: Path,
    output: str | Path,
    winners: Sequence[tuple[str, PartInfo]],
    *,
    output_format: str,
    counters: Mapping[str, int],
    overwrite: bool = False,
    skipped: Sequence[Mapping[str, str]] = (),
) -> Manifest:
    """Make the winners' files the output; (attempt's file name, its PartInfo) for each partition.

    `skipped` are the bad records that the winners left out; they are saved beside the parts.

    Safe to call again after a crash at any point. Raises UsageError if an output appeared
    meanwhile, CorruptData if a winner's file is missing or has another size, MinimrError if the
    disk is full or the like; there is then no output, or still the former one. A MinimrError that
    says "Cannot remove" comes after the output is in its place.
    """
    output = Path(output).resolve()
    parts = tuple(part for _, part in winners)
    manifest = Manifest(output_format, parts, dict(counters), len(skipped))
    try:
        if not _is_published(staging, output, winners, manifest):
            _gather(staging, winners, manifest, skipped)
            _rename_into_place(staging, output, overwrite)
    except OSError as error:
        raise cannot_write(Path(error.filename or output), error) from error
    _remove(staging)
    return manifest


def abort(staging: Path) -> None:
    """Remove the staging directory of a job that failed or was cancelled; fine if it is gone.

    Raises MinimrError rather than remove a former output that could not be put back.
    """
    former = staging / REPLACED
    if former.exists() and (staging / COMPLETE).exists():  # cut off between the two renames
        raise MinimrError(f"The former output is kept in {former}; move it back by hand.")
    _remove(staging)


def _check_may_replace(output: Path, overwrite: bool) -> None:
    """An output of minimr or an empty directory may be replaced, if the user says so."""
    if not overwrite:
        raise UsageError(
            f"The output {output} already exists; choose another, or replace it with --overwrite "
            "(overwrite=True)."
        )
    if not output.is_dir() or (any(output.iterdir()) and not (output / MANIFEST).exists()):
        raise UsageError(
            f"{output} was not written by minimr, so it is not overwritten; "
            "remove it yourself or choose another output."
        )


def _make_staging(output: Path, job: str) -> Path:
    number = 1
    while True:
        again = f"-{number}" if number > 1 else ""
        staging = output.parent / f".{output.name}.{job}{again}.staging"
        try:
            staging.mkdir()
        except FileExistsError:
            number += 1
        else:
            return staging


def _is_published(
    staging: Path, output: Path, winners: Sequence[tuple[str, PartInfo]], manifest: Manifest
) -> bool:
    """Whether an earlier call came as far as the rename: nothing is left here, all is there."""
    if (staging / COMPLETE).exists() or any((staging / name).exists() for name, _ in winners):
        return False
    try:
        return (output / MANIFEST).read_text("utf-8") == manifest.to_json()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _gather(
    staging: Path,
    winners: Sequence[tuple[str, PartInfo]],
    manifest: Manifest,
    skipped: Sequence[Mapping[str, str]],
) -> None:
    complete = staging / COMPLETE
    complete.mkdir(exist_ok=True)
    for name, part in winners:
        target = complete / part.name
        if not target.exists():  # else an earlier call has moved it
            _check_size(staging / name, part)
            (staging / name).rename(target)
    if skipped:
        _write_synced(complete / SKIPPED, "".join(json.dumps(each) + "\n" for each in skipped))
    _write_synced(complete / MANIFEST, manifest.to_json())
    _sync_directory(complete)


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _check_size(path: Path, part: PartInfo) -> None:
    found = path.stat().st_size if path.exists() else None
    if found != part.bytes:
        what = "is missing" if found is None else f"has {found} bytes instead of {part.bytes}"
        raise CorruptData(f"{path}, the finished {part.name}, {what}; run the job again.")


def _rename_into_place(staging: Path, output: Path, overwrite: bool) -> None:
    former = staging / REPLACED
    if output.exists():
        _check_may_replace(output, overwrite)
        output.rename(former)
    try:
        (staging / COMPLETE).rename(output)
    except OSError:
        if former.exists():
            former.rename(output)
        raise
    _sync_directory(output.parent)


def _sync_directory(path: Path) -> None:
    """Renames and new names are on the disk once the directory that holds them is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(directory: Path) -> None:
    """Remove a tree; an attempt that does not know that it lost may add a file meanwhile."""
    for tries_left in reversed(range(REMOVE_TRIES)):
        if not directory.exists():
            return
        try:
            shutil.rmtree(directory)
        except OSError as error:
            if not tries_left:
                raise MinimrError(
                    f"Cannot remove {directory}: {error.strerror}. Remove it by hand."
                ) from error
