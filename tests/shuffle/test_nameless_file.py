"""A file without a name: what comes back, and what goes wrong."""

import errno
import os

import pytest

from minimr.errors import DiskFull, MinimrError
from minimr.shuffle.nameless_file import NamelessFile
from minimr.shuffle.pairs import encode_pairs


def run_of(name, count):
    return b"".join(encode_pairs([f"{name}-{n}"], [n]) for n in range(count))


@pytest.fixture
def file(tmp_path):
    file = NamelessFile(tmp_path, "runs")
    yield file
    file.close()


def test_stretches_come_back_as_they_went_in_whatever_is_read_first(file, tmp_path):
    places, end = {}, 0
    for name, count in [("a", 3), ("b", 1), ("c", 2)]:
        data = run_of(name, count)
        file.write(data, end, "a run")
        places[name], end = (end, len(data)), end + len(data)
    assert list(tmp_path.iterdir()) == []
    first = file.read(*places["a"])
    assert next(first).lists() == (["a-0"], [0])
    for name, count in [("c", 2), ("b", 1)]:
        pairs = [block.lists() for block in file.read(*places[name])]
        assert pairs == [([f"{name}-{n}"], [n]) for n in range(count)]
    assert [block.lists()[1] for block in first] == [[1], [2]]


def test_nothing_is_read_where_nothing_was_written(file, tmp_path):
    assert list(file.read(0, 0)) == []
    assert file.descriptor is None


def test_a_disk_that_takes_less_at_a_time(file, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, data[:7], offset))
    file.write(run_of("a", 2), 0, "a run")
    assert [block.records for block in file.read(0, len(run_of("a", 2)))] == [1, 1]


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [(errno.ENOSPC, DiskFull, "point TMPDIR"), (errno.EIO, MinimrError, "Input/output error")],
)
def test_a_disk_that_fills_up_or_fails_is_named(file, monkeypatch, tmp_path, number, kind, said):
    def pwrite(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(kind, match=said) as raised:
        file.write(b"data", 0, "a run")
    assert f"Cannot store a run in {tmp_path}" in str(raised.value)


def test_damage_on_the_disk_is_no_peers_fault(file):
    data = run_of("a", 1)
    file.write(data, 0, "a run")
    os.pwrite(file.descriptor, b"\xff", 40)
    with pytest.raises(MinimrError, match=r"Runs in .* cannot be read back.*checksum"):
        list(file.read(0, len(data)))
