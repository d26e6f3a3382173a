"""The journal's directory: what `append` returned for is there after any death, and for one only.

Child processes run this file as a script; they speak through pipes, so nothing waits by the clock.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from minimr.cluster import journal as module
from minimr.cluster.journal import IDENTITY, JOURNAL, LOCK, Journal
from minimr.errors import MinimrError, UsageError
from minimr.formats.journal import BadJournal, frame, header, scan

NOBODY = 65_534
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "state" / "journal"


def reopen(home):
    """The records and the identity that the next coordinator finds."""
    with Journal.open(home) as journal:
        return journal.records, journal.identity


def filled(home, *records):
    with Journal.open(home) as journal:
        journal.append(list(records))
    return home / JOURNAL


def mode(path):
    return path.stat().st_mode & 0o777


def contents(home):
    return {path.name: path.read_bytes() for path in home.iterdir() if path.name != LOCK}


# What is kept


def test_a_new_journal_is_empty_and_its_epoch_is_0(home):
    records, identity = reopen(home)
    assert (records, identity.port, identity.epoch) == ([], 0, 0)
    assert len(bytes.fromhex(identity.token)) == 32


def test_records_of_every_start_come_back_in_order(home):
    for start in range(3):
        with Journal.open(home) as journal:
            assert journal.records == [[each, "a"] for each in range(start * 2)]
            journal.append([[start * 2, "a"], [start * 2 + 1, "a"]])
    assert reopen(home)[0] == [[each, "a"] for each in range(6)]


def test_identity_stays_and_each_start_has_the_next_epoch(home):
    with Journal.open(home) as journal:
        first = journal.identity
        journal.keep_port(4711)
    for epoch in (1, 2):
        _, found = reopen(home)
        assert (found.cluster, found.token) == (first.cluster, first.token)
        assert (found.port, found.epoch) == (4711, epoch)


def test_the_token_is_not_shown(home):
    _, identity = reopen(home)
    assert identity.token not in repr(identity)


def test_nothing_is_written_for_no_records(home):
    with Journal.open(home) as journal:
        before = (home / JOURNAL).stat().st_size
        journal.append([])
        assert (home / JOURNAL).stat().st_size == before


def test_a_value_that_cannot_be_encoded_changes_nothing(home):
    with Journal.open(home) as journal:
        with pytest.raises(TypeError):
            journal.append(["good", object()])
        journal.append(["next"])
    assert reopen(home)[0] == ["next"]


def test_an_append_is_one_write_and_one_sync_before_it_returns(home, monkeypatch):
    done = []
    real_write, real_sync = os.write, os.fdatasync
    with Journal.open(home) as journal:
        monkeypatch.setattr(os, "write", lambda *a: done.append("write") or real_write(*a))
        monkeypatch.setattr(os, "fdatasync", lambda *a: done.append("sync") or real_sync(*a))
        journal.append(["a", "b", "c"])
    assert done == ["write", "sync"]


def test_a_file_is_synced_before_its_rename_and_the_directory_after(home, monkeypatch):
    steps = []
    real_sync, real_rename = os.fsync, Path.rename

    def sync(descriptor):
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real_sync(descriptor)

    def rename(draft, target):
        steps.append(("rename", target.name))
        return real_rename(draft, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    reopen(home)
    assert steps == [
        ("sync", home.parent.name),
        ("sync", f".{JOURNAL}.new"),
        ("rename", JOURNAL),
        ("sync", home.name),
        ("sync", f".{IDENTITY}.new"),
        ("rename", IDENTITY),
        ("sync", home.name),
    ]


def test_a_write_that_takes_a_part_is_continued(home, monkeypatch):
    real_write = os.write
    with Journal.open(home) as journal:
        monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:7]))
        journal.append(["a", "b" * 100])
        monkeypatch.undo()
    assert reopen(home)[0] == ["a", "b" * 100]


def test_what_is_left_out_is_neither_on_the_disk_nor_kept_in_memory(home):
    filled(home, "old", "kept", "newest")
    with Journal.open(home) as journal:
        journal.shorten(["kept", "newest"])
        assert journal.records == ["kept", "newest"]
        journal.append(["later"])
    assert reopen(home)[0] == ["kept", "newest", "later"]


def test_a_rewrite_replaces_all_records_and_appends_go_on(home):
    with Journal.open(home) as journal:
        journal.append(["a"] * 100)
        size = journal.path.stat().st_size
        journal.rewrite(["kept"])
        assert journal.path.stat().st_size < size / 10
        journal.append(["new"])
    assert reopen(home)[0] == ["kept", "new"]


# What is cut and what is refused


def test_a_torn_tail_is_cut_wherever_it_is_torn(home):
    path = filled(home, "first", ["second", 2])
    whole = path.read_bytes()
    border = len(whole) - len(frame(1, ["second", 2]))
    for length in range(border, len(whole)):
        path.write_bytes(whole[:length])
        with Journal.open(home) as journal:
            assert (journal.records, journal.torn_bytes) == (["first"], length - border)
            assert path.stat().st_size == border
            journal.append(["third"])
        assert reopen(home)[0] == ["first", "third"]


def test_damage_is_refused_and_nothing_is_touched(home):
    path = filled(home, "first", "second", "third")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    before = contents(home)
    with pytest.raises(BadJournal, match=rf"The journal {path} cannot be used: record 0 at byte"):
        Journal.open(home)
    assert contents(home) == before


def test_a_hole_in_a_journal_that_was_rewritten_is_damage(home):
    """The new file appears when all of it is synced; no crash leaves a hole in its middle."""
    path = filled(home, "first", "x" * 2000, "third")
    reopen(home)
    data = path.read_bytes()
    path.write_bytes(data[:512] + bytes(512) + data[1024:])
    with pytest.raises(BadJournal, match="record 2 at byte"):
        Journal.open(home)


def test_another_version_is_refused(home):
    path = filled(home, "first")
    path.write_bytes(path.read_bytes().replace(b"MRJOURN\n\x01", b"MRJOURN\n\x02"))
    with pytest.raises(BadJournal, match="has version 2, this minimr reads 1"):
        Journal.open(home)


def test_another_clusters_journal_is_refused(home, tmp_path):
    shutil.copy(filled(tmp_path / "other", "theirs"), filled(home, "ours"))
    with pytest.raises(BadJournal, match="it belongs to the cluster"):
        Journal.open(home)


def test_a_journal_without_its_identity_is_refused(home):
    filled(home, "first")
    (home / IDENTITY).unlink()
    with pytest.raises(BadJournal, match=r"identity.json is missing beside a journal of 1 records"):
        Journal.open(home)


def test_an_identity_without_its_journal_is_refused(home):
    filled(home, "first").unlink()
    with pytest.raises(BadJournal, match=r"journal is missing beside identity.json; restore it"):
        Journal.open(home)


def test_a_first_start_that_died_half_way_is_started_again(home):
    home.mkdir(parents=True, mode=0o700)
    (home / JOURNAL).touch(0o600)
    (home / JOURNAL).write_bytes(header("unfinished"))
    records, identity = reopen(home)
    assert (records, identity.epoch) == ([], 0)
    assert scan((home / JOURNAL).read_bytes()).cluster == identity.cluster


def test_drafts_of_a_start_that_died_are_replaced(home):
    filled(home, "first")
    (home / f".{JOURNAL}.new").write_bytes(b"half a rewr")
    (home / f".{IDENTITY}.new").write_bytes(b'{"clus')
    assert reopen(home)[0] == ["first"]
    assert sorted(contents(home)) == [IDENTITY, JOURNAL]


@pytest.mark.parametrize(
    "change",
    [
        {"token": ""},
        {"token": "zz"},
        {"token": 5},
        {"cluster": None},
        {"cluster": ""},
        {"port": 70_000},
        {"port": "1"},
        {"epoch": -1},
        {"epoch": True},
        {"epoch": 0.5},
        {"more": 1},
    ],
    ids=str,
)
def test_an_identity_that_no_coordinator_wrote_is_refused(home, change):
    filled(home, "first")
    path = home / IDENTITY
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadJournal, match=r"identity.json is damaged .*; restore it from a copy"):
        Journal.open(home)


def test_an_identity_cut_anywhere_is_refused(home):
    filled(home, "first")
    whole = (home / IDENTITY).read_bytes()
    for length in range(len(whole) - 1):
        (home / IDENTITY).write_bytes(whole[:length])
        with pytest.raises(BadJournal, match="is damaged"):
            Journal.open(home)


# Who may use it


def test_files_are_private_whatever_the_umask_is(home):
    before = os.umask(0)
    try:
        filled(home, "first")
    finally:
        os.umask(before)
    assert mode(home) == 0o700
    assert {mode(path) for path in home.iterdir()} == {0o600}


@pytest.mark.parametrize("name", [JOURNAL, IDENTITY, LOCK])
def test_a_file_that_others_may_read_is_refused(home, name):
    filled(home, "first")
    (home / name).chmod(0o640)
    with pytest.raises(UsageError, match=rf"Others may use .*{name} \(mode 640\).*chmod 600"):
        Journal.open(home)


@pytest.mark.parametrize("bits", [0o720, 0o702])
def test_a_directory_that_others_may_write_is_refused(home, bits):
    filled(home, "first")
    home.chmod(bits)
    with pytest.raises(UsageError, match=rf"mode {bits:o}.*chmod 700"):
        Journal.open(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
@pytest.mark.parametrize("name", [JOURNAL, IDENTITY, LOCK, "."])
def test_what_another_user_owns_is_refused(home, name):
    filled(home, "first")
    os.chown(home / name, NOBODY, NOBODY)
    with pytest.raises(UsageError, match=r"belongs to another user \(id 65534\)"):
        Journal.open(home)


@pytest.mark.parametrize("name", [JOURNAL, IDENTITY, LOCK])
def test_a_link_to_another_file_is_not_followed(home, tmp_path, name):
    filled(home, "first")
    (home / name).rename(tmp_path / "elsewhere")
    (home / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MinimrError, match="Too many levels of symbolic links"):
        Journal.open(home)


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="is no directory"):
            Journal.open(path)
    (tmp_path / "home").mkdir(0o700)
    (tmp_path / "home" / JOURNAL).mkdir()
    with pytest.raises(UsageError, match="Cannot read"):
        Journal.open(tmp_path / "home")


def test_a_second_coordinator_is_refused_and_told_who_holds_it(home):
    reopen(home)
    (home / LOCK).write_text("12345678901\n")
    with Journal.open(home) as journal:
        journal.append(["first"])
        before = contents(home)
        with pytest.raises(UsageError) as caught:
            Journal.open(home)
        assert f"in use by another coordinator (process {os.getpid()});" in str(caught.value)
        assert contents(home) == before
        journal.append(["second"])
    assert reopen(home)[0] == ["first", "second"]


def test_a_refused_journal_is_not_left_locked(home):
    path = filled(home, "first")
    good = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(BadJournal):
        Journal.open(home)
    path.write_bytes(good)
    assert reopen(home)[0] == ["first"]


def test_no_descriptor_is_left(home):
    def count():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = count()
    with Journal.open(home) as journal:
        journal.rewrite(["first"])
        for _ in range(3):
            with pytest.raises(UsageError):
                Journal.open(home)
    (home / JOURNAL).write_bytes(b"")
    for _ in range(3):
        with pytest.raises(BadJournal):
            Journal.open(home)
    assert count() == before


# When the disk fails


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EIO, "Repair that"), (errno.ENOSPC, "Make room")]
)
def test_after_one_failure_nothing_more_is_taken(home, monkeypatch, call, number, advice):
    """A later sync that succeeds proves nothing (fsyncgate)."""
    with Journal.open(home) as journal:
        journal.append(["first"])
        monkeypatch.setattr(os, call, failing(number))
        with pytest.raises(MinimrError, match=rf"Cannot write .*{JOURNAL}: .*{advice}, then start"):
            journal.append(["second"])
        monkeypatch.undo()
        for again in (journal.append, journal.rewrite):
            with pytest.raises(MinimrError, match="failed before, and what is on the disk is not"):
                again(["third"])
    records, _ = reopen(home)
    assert records in (["first"], ["first", "second"])


def test_an_append_that_was_interrupted_leaves_the_journal_in_doubt(home, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with Journal.open(home) as journal:
        monkeypatch.setattr(os, "fdatasync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.append(["first"])
        monkeypatch.undo()
        with pytest.raises(MinimrError, match="failed before"):
            journal.append(["second"])


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_rewrite_that_fails_leaves_the_old_records(home, monkeypatch, call):
    with Journal.open(home) as journal:
        journal.append(["first"])
        monkeypatch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(MinimrError, match="Cannot write"):
            journal.rewrite(["other"])
        monkeypatch.undo()
        with pytest.raises(MinimrError, match="failed before"):
            journal.append(["second"])
    assert sorted(contents(home)) == [IDENTITY, JOURNAL]
    assert reopen(home)[0] == ["first"]


def test_a_closed_journal_takes_nothing(home):
    journal = Journal.open(home)
    journal.close()
    journal.close()
    with pytest.raises(MinimrError, match="is closed"):
        journal.append(["late"])


class Died(BaseException):
    """Stands for kill -9 in the middle of a step."""


def dies_at(monkeypatch, step, home):
    """Open the journal, and die at the step-th call that changes the disk, if there are so many."""
    left = iter(range(step))

    def counted(real):
        def call(*arguments, **options):
            if next(left, None) is None:
                raise Died
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("write", "fsync", "open", "ftruncate", "pwrite"):
            patch.setattr(module.os, name, counted(getattr(os, name)))
        for name in ("rename", "unlink", "mkdir"):
            patch.setattr(module.Path, name, counted(getattr(Path, name)))
        try:
            Journal.open(home).close()
        except Died:
            return True
    return False


def test_a_first_start_may_die_between_any_two_steps(tmp_path, monkeypatch):
    step = 0
    while dies_at(monkeypatch, step, tmp_path / str(step)):
        records, identity = reopen(tmp_path / str(step))
        assert records == []
        assert identity.epoch in (0, 1)
        step += 1
    assert step > 15


def test_a_restart_may_die_between_any_two_steps(tmp_path, monkeypatch):
    def torn(home):
        path = filled(home, "first", "second")
        path.write_bytes(path.read_bytes() + b"torn")
        return home

    step = 0
    while dies_at(monkeypatch, step, torn(tmp_path / str(step))):
        records, identity = reopen(tmp_path / str(step))
        assert records == ["first", "second"]
        assert identity.epoch in (1, 2)
        step += 1
    assert step > 15
    assert reopen(tmp_path / str(step))[1].epoch == 2


@contextmanager
def small_disk(path, size):
    path.mkdir(0o700)
    options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(["mount", *options], check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_named_and_nothing_acknowledged_is_lost(tmp_path):
    home = tmp_path / "disk"
    with small_disk(home, "64k"):
        kept = []
        with Journal.open(home) as journal:

            def fill():
                for number in range(1000):
                    journal.append([[number, b"x" * 1000]])
                    kept.append(number)

            with pytest.raises(MinimrError, match=r"No space left on device. Make room, then"):
                fill()
            with pytest.raises(MinimrError, match="failed before"):
                journal.append(["small"])
        assert len(kept) > 10
        with pytest.raises(MinimrError, match=r"No space left on device. Make room"):
            Journal.open(home)
        subprocess.run(["mount", "-o", "remount,size=1m", str(home)], check=True)
        records, identity = reopen(home)
        assert [number for number, _ in records] == kept
        assert identity.epoch == 1


# With real processes


@contextmanager
def child(*arguments):
    """This file as a process of its own."""
    command = [sys.executable, "-m", "tests.cluster.test_journal", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_of_two_processes_the_second_is_refused_until_the_first_dies(home):
    with child("hold", home) as first:
        assert first.stdout.readline() == "open\n"
        with child("hold", home) as second:
            assert f"in use by another coordinator (process {first.pid})" in second.stdout.read()
            assert second.wait() == 2
        first.send_signal(signal.SIGKILL)
        first.wait()
    with child("hold", home) as third:
        assert third.stdout.readline() == "open\n"


@pytest.mark.slow
def test_one_of_many_that_start_together_gets_the_journal(home):
    with child("hold", home) as a, child("hold", home) as b, child("hold", home) as c:
        said = [process.stdout.readline() for process in (a, b, c)]
    assert sorted(line == "open\n" for line in said) == [False, False, True]


@pytest.mark.slow
def test_what_append_returned_for_survives_kill_9(home):
    chance = random.Random(3)
    acknowledged = []
    for epoch in range(6):
        with child("append", home) as writer:
            assert writer.stdout.readline() == f"epoch {epoch}\n"
            acknowledged += [writer.stdout.readline() for _ in range(chance.randrange(1, 40))]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read().split("\n")[:-1]
        found = scan((home / JOURNAL).read_bytes()).records
        numbers = [number for number, _ in found]
        assert numbers == list(range(len(numbers)))
        last = int(acknowledged[-1])
        assert last + 1 <= len(numbers) <= last + 1 + 5, "at most the append under way is more"


def _hold(home):
    with Journal.open(home):
        print("open", flush=True)
        sys.stdin.read()


def _append(home):
    """Append batches of five without end, and say after each what is on the disk."""
    with Journal.open(home) as journal:
        print("epoch", journal.identity.epoch, flush=True)
        number = len(journal.records)
        while True:
            journal.append([[each, b"x" * 3000] for each in range(number, number + 5)])
            number += 5
            print(number - 1, flush=True)


if __name__ == "__main__":
    try:
        {"hold": _hold, "append": _append}[sys.argv[1]](sys.argv[2])
    except UsageError as error:
        print(error, flush=True)
        sys.exit(error.exit_code)
