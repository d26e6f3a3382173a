"""Runs in one file without a name: what comes back, and what goes wrong."""

import errno
import os
import tempfile

import pytest

from minimr.errors import DiskFull, MinimrError
from minimr.shuffle.pairs import encode_pairs
from minimr.shuffle.run_file import RunFile


def blocks_of(name, count):
    return [encode_pairs([f"{name}-{n}"], [n]) for n in range(count)]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = RunFile()
    yield file
    file.close()


def test_runs_come_back_as_they_went_in_whatever_is_read_first(file, tmp_path):
    runs = {
        name: file.keep(blocks_of(name, count)) for name, count in [("a", 3), ("b", 0), ("c", 2)]
    }
    assert list(tmp_path.iterdir()) == []
    for name, count in [("c", 2), ("a", 3), ("b", 0)]:
        assert [block.lists() for block in runs[name]] == [
            ([f"{name}-{n}"], [n]) for n in range(count)
        ]


def test_a_run_can_be_read_while_another_is_written(file):
    first = file.keep(blocks_of("a", 2))
    assert next(first).records == 1
    second = file.keep(blocks_of("b", 1))
    assert [len(list(run)) for run in (first, second)] == [1, 1]


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [(errno.ENOSPC, DiskFull, "point TMPDIR"), (errno.EIO, MinimrError, "Input/output error")],
)
def test_a_disk_that_fills_up_or_fails_is_named(file, monkeypatch, tmp_path, number, kind, said):
    def pwrite(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(kind, match=said) as raised:
        file.keep(blocks_of("a", 1))
    assert str(tmp_path) in str(raised.value)


def test_damage_on_the_disk_is_no_peers_fault(file):
    run = file.keep(blocks_of("a", 1))
    os.pwrite(file._file.fileno(), b"\xff", 40)
    with pytest.raises(MinimrError, match=r"cannot be read back.*checksum"):
        list(run)
