"""The committer: nothing at the output path, then everything, wherever it is cut off."""

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from minimr.errors import CorruptData, MinimrError, UsageError
from minimr.formats.committer import (
    abort,
    attempt_name,
    part_name,
    prepare,
    publish,
    read_manifest,
    read_skipped,
)
from minimr.formats.output import PartInfo, open_writer

COUNTERS = {"words": 3, "lines": 1}


def write_attempt(staging: Path, partition: int, attempt: int, word: str) -> tuple[str, PartInfo]:
    name = attempt_name(partition, attempt)
    with open_writer("text", staging / name) as writer:
        writer.write(word, attempt)
        return name, writer.close()


def stage(output: Path, overwrite: bool = False) -> tuple[Path, list[tuple[str, PartInfo]]]:
    """A job that is ready to be published: two winners, one attempt that lost."""
    staging = prepare(output, "job-1", overwrite)
    first = write_attempt(staging, 0, 1, "winner")
    write_attempt(staging, 1, 1, "loser")
    second = write_attempt(staging, 1, 2, "winner")
    return staging, [first, second]


def publish_staged(staging: Path, output: Path, winners: list, overwrite: bool = False) -> None:
    publish(staging, output, winners, output_format="text", counters=COUNTERS, overwrite=overwrite)


def make_former(output: Path) -> None:
    """A published output whose parts differ from what `stage` writes."""
    staging = prepare(output, "job-0")
    winners = [write_attempt(staging, 0, 1, "former")]
    publish(staging, output, winners, output_format="text", counters={})


def contents(directory: Path) -> dict[str, bytes] | None:
    """Every file of a directory; None if it does not exist."""
    if not directory.exists():
        return None
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


PARTS = {"part-00000": b"winner\t1\n", "part-00001": b"winner\t2\n"}


def is_complete(found: dict[str, bytes] | None) -> bool:
    return found is not None and {**PARTS, "_SUCCESS": found.get("_SUCCESS")} == found


def test_the_winners_are_published_under_their_final_names(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    assert not output.exists()
    publish_staged(staging, output, winners)
    assert is_complete(contents(output))
    assert names_in(tmp_path) == ["out"]


def test_the_manifest_describes_the_parts(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_staged(staging, output, winners)
    manifest = json.loads((output / "_SUCCESS").read_text())
    assert manifest["format"] == "text"
    assert manifest["counters"] == COUNTERS
    assert manifest["minimr"]
    for (name, data), part in zip(PARTS.items(), manifest["parts"], strict=True):
        assert part["name"] == name
        assert part["records"] == 1
        assert part["bytes"] == len(data)
        assert part["sha256"] == hashlib.sha256(data).hexdigest()
        assert part["kinds"] == ["str", "int"]


def test_the_manifest_can_be_read_back(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_staged(staging, output, winners)
    manifest = read_manifest(output)
    assert manifest.parts == tuple(part for _, part in winners)
    assert (manifest.format, manifest.counters) == ("text", COUNTERS)


def test_a_job_without_parts_gives_an_output_with_a_manifest_alone(tmp_path):
    staging = prepare(tmp_path / "out", "job-1")
    publish_staged(staging, tmp_path / "out", [])
    assert names_in(tmp_path / "out") == ["_SUCCESS"]


def test_names_sort_in_the_order_of_the_partitions():
    names = [part_name(partition) for partition in (0, 9, 10, 999, 10_000, 99_999)]
    assert names == sorted(names)
    assert attempt_name(3, 1) == "part-00003.attempt-1"


# ---- skipped records

SKIPPED = [
    {"position": "caf\udce9.txt:12", "record": "'x\u2028y'", "error": "ValueError: no\nway"},
    {"position": "reduce-0:key 'a'", "record": "'a'", "error": "killed its process"},
]


def publish_skipping(staging: Path, output: Path, winners: list, skipped: list) -> None:
    publish(staging, output, winners, output_format="text", counters=COUNTERS, skipped=skipped)


def test_skipped_records_are_saved_beside_the_parts_and_counted(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_skipping(staging, output, winners, SKIPPED)
    assert names_in(output) == ["_SUCCESS", "_skipped.jsonl", "part-00000", "part-00001"]
    lines = (output / "_skipped.jsonl").read_text("ascii").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == SKIPPED
    assert lines[-1] == ""
    assert read_skipped(output) == SKIPPED
    assert read_manifest(output).skipped == 2
    assert json.loads((output / "_SUCCESS").read_text())["skipped"] == 2


def test_without_any_there_is_no_file_for_them(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_skipping(staging, output, winners, [])
    assert is_complete(contents(output))
    assert read_skipped(output) == []
    assert json.loads((output / "_SUCCESS").read_text())["skipped"] == 0


def test_a_manifest_of_before_there_were_any_can_be_read(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_staged(staging, output, winners)
    manifest = json.loads((output / "_SUCCESS").read_text())
    del manifest["skipped"]
    (output / "_SUCCESS").write_text(json.dumps(manifest))
    assert read_manifest(output).skipped == 0


def test_a_damaged_list_is_named(tmp_path):
    (tmp_path / "_skipped.jsonl").write_text('{"position": ')
    with pytest.raises(CorruptData, match=rf"{tmp_path}/_skipped.jsonl is damaged"):
        read_skipped(tmp_path)


def test_a_publish_with_skipped_records_can_be_killed_anywhere_and_finished(tmp_path):
    for change in count():
        output = tmp_path / str(change) / "out"
        output.parent.mkdir()
        staging, winners = stage(output)
        with INTERRUPTER.strike(change, KeyboardInterrupt()):
            try:
                publish_skipping(staging, output, winners, SKIPPED)
            except KeyboardInterrupt:
                assert not output.exists() or read_skipped(output) == SKIPPED
        publish_skipping(staging, output, winners, SKIPPED)
        assert read_skipped(output) == SKIPPED
        assert names_in(output.parent) == ["out"]
        if not INTERRUPTER.struck:
            return


# ---- refusals


@pytest.mark.parametrize("kind", ["directory", "file", "former output"])
def test_an_output_that_exists_is_refused_before_any_work(tmp_path, kind):
    output = tmp_path / "out"
    {"directory": output.mkdir, "file": output.touch, "former output": lambda: make_former(output)}[
        kind
    ]()
    with pytest.raises(UsageError, match=rf"The output {output} already exists"):
        prepare(output, "job-1")
    assert names_in(tmp_path) == ["out"]


def test_overwrite_spares_what_minimr_did_not_write(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="was not written by minimr"):
        prepare(tmp_path, "job-1", overwrite=True)
    with pytest.raises(UsageError, match="was not written by minimr"):
        prepare(tmp_path / "thesis.tex", "job-1", overwrite=True)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/out", "missing does not exist; create it first"),
        ("file/out", "Cannot write in .*file: Not a directory"),
        ("x" * 300, "Cannot write in .*: File name too long"),
    ],
)
def test_a_parent_that_cannot_take_the_output_is_named(tmp_path, output, message):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=message):
        prepare(tmp_path / output, "job-1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match=rf"Cannot write in {tmp_path}: Permission denied"):
        prepare(tmp_path / "out", "job-1")


def test_an_output_that_appeared_meanwhile_stays_as_it_is(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    make_former(output)
    before = contents(output)
    with pytest.raises(UsageError, match="already exists"):
        publish_staged(staging, output, winners)
    assert contents(output) == before


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_winner_that_is_not_whole_is_not_published(tmp_path, damage):
    output = tmp_path / "out"
    staging, winners = stage(output)
    victim = staging / winners[1][0]
    victim.unlink() if damage == "missing" else os.truncate(victim, 3)
    with pytest.raises(CorruptData, match=r"the finished part-00001, (is missing|has 3 bytes)"):
        publish_staged(staging, output, winners)
    assert not output.exists()


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"format": "text", "parts": [{}]}'])
def test_a_directory_without_a_whole_manifest_is_no_output(tmp_path, text):
    if text is not None:
        (tmp_path / "_SUCCESS").write_text(text)
    with pytest.raises((UsageError, CorruptData), match=str(tmp_path)):
        read_manifest(tmp_path)


# ---- leftovers, links and late attempts


def test_what_a_killed_run_left_stands_in_nobodys_way(tmp_path):
    output = tmp_path / "out"
    killed, _ = stage(output)
    staging, winners = stage(output)
    assert staging != killed
    publish_staged(staging, output, winners)
    assert is_complete(contents(output))
    assert contents(killed) is not None


def test_abort_leaves_nothing_and_may_be_repeated(tmp_path):
    staging, _ = stage(tmp_path / "out")
    abort(staging)
    abort(staging)
    assert names_in(tmp_path) == []


def test_a_late_attempt_cannot_write_into_the_output(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    late = (staging / attempt_name(1, 3)).open("wb")
    publish_staged(staging, output, winners)
    with late:
        late.write(b"too late")
    with pytest.raises(MinimrError):
        open_writer("text", staging / attempt_name(1, 4))
    assert is_complete(contents(output))


def test_an_output_that_is_a_link_is_replaced_where_it_points(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    make_former(real)
    link.symlink_to(real)
    staging, winners = stage(link, overwrite=True)
    publish_staged(staging, link, winners, overwrite=True)
    assert link.is_symlink()
    assert is_complete(contents(real))


def test_overwrite_repairs_a_damaged_output_of_the_same_job(tmp_path):
    output = tmp_path / "out"
    for overwrite in (False, True):
        staging, winners = stage(output, overwrite)
        publish_staged(staging, output, winners, overwrite)
        assert is_complete(contents(output))
        (output / "part-00000").write_bytes(b"")


def test_an_empty_directory_may_be_overwritten(tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    staging, winners = stage(output, overwrite=True)
    publish_staged(staging, output, winners, overwrite=True)
    assert is_complete(contents(output))


# ---- cut off at any step

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "open"}


class Interrupter:
    """Raises an error just before one of the changes that Python makes to the disk."""

    def __init__(self) -> None:
        self.countdown: int | None = None
        self.error: BaseException = KeyboardInterrupt()
        self.struck = False
        sys.addaudithook(self._hook)  # an audit hook stays for good, so there is one for all tests

    @contextmanager
    def strike(self, change: int, error: BaseException) -> Iterator[None]:
        self.countdown, self.error, self.struck = change, error, False
        try:
            yield
        finally:
            self.countdown = None

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.countdown is None or event not in CHANGES:
            return
        if event == "open" and arguments[1] not in ("w", "wb"):
            return
        if self.countdown == 0:
            self.countdown, self.struck = None, True
            raise self.error
        self.countdown -= 1


INTERRUPTER = Interrupter()


def interrupted(tmp_path: Path, overwrite: bool, error: BaseException) -> Iterator[tuple]:
    """Runs of `publish`, each stopped by `error` one change later than the one before."""
    for change in count():
        output = tmp_path / str(change) / "out"
        output.parent.mkdir()
        if overwrite:
            make_former(output)
        staging, winners = stage(output, overwrite)
        former = contents(output)
        raised = None
        with INTERRUPTER.strike(change, error):
            try:
                publish_staged(staging, output, winners, overwrite)
            except (KeyboardInterrupt, MinimrError) as caught:
                raised = caught
        if not INTERRUPTER.struck:
            assert change > 6  # one directory, one file and three renames at the least
            return
        yield output, staging, winners, former, raised


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_publish_that_was_killed_anywhere_can_be_finished(tmp_path, overwrite):
    for output, staging, winners, former, _ in interrupted(
        tmp_path, overwrite, KeyboardInterrupt()
    ):
        found = contents(output)
        assert found in (None, former) or is_complete(found)
        publish_staged(staging, output, winners, overwrite)
        assert is_complete(contents(output))
        assert names_in(output.parent) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_publish_that_was_killed_anywhere_can_be_aborted_without_loss(tmp_path, overwrite):
    for output, staging, _, former, _ in interrupted(tmp_path, overwrite, KeyboardInterrupt()):
        before = contents(output)
        if overwrite and before is None:  # stopped between the two renames
            with pytest.raises(MinimrError, match=str(staging / "replaced")):
                abort(staging)
            assert contents(staging / "replaced") == former
        else:
            abort(staging)
            assert not staging.exists()
        assert contents(output) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_disk_that_fails_anywhere_leaves_the_former_output_or_the_new_one(tmp_path, overwrite):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for output, staging, winners, former, raised in interrupted(tmp_path, overwrite, full):
        found = contents(output)
        assert found == former or is_complete(found)
        if raised is not None:
            assert str(tmp_path) in str(raised)
            assert "No space left on device" in str(raised)
            publish_staged(staging, output, winners, overwrite)
        assert is_complete(contents(output))
        assert names_in(output.parent) == ["out"]


def test_a_repeated_publish_changes_nothing(tmp_path):
    output = tmp_path / "out"
    staging, winners = stage(output)
    publish_staged(staging, output, winners)
    before = contents(output)
    publish_staged(staging, output, winners)
    assert contents(output) == before
    assert names_in(tmp_path) == ["out"]
