import os

import numpy as np
import pytest

from minimr.errors import DiskFull, MinimrError
from minimr.shuffle.whole_file import WholeFile


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "data"
    with WholeFile(path, "thing") as file:
        file.write(b"ab")
        file.write(memoryview(b"cde"))
        assert not path.exists()
        assert file.position == 5
    assert path.read_bytes() == b"abcde"
    assert names(tmp_path) == ["data"]


def test_room_is_filled_later(tmp_path, monkeypatch):
    def write_two_bytes(descriptor, data, position, pwrite=os.pwrite):
        return pwrite(descriptor, data[:2], position)

    monkeypatch.setattr(os, "pwrite", write_two_bytes)  # as a disk that is almost full may do
    with WholeFile(tmp_path / "data", "thing") as file:
        file.write(b"<")
        file.skip(10)
        file.write(b">")
        file.write_at(1 + 2, np.frombuffer(b"cdehij", "u1").reshape(2, 3), 5)
        file.write_at(1, np.frombuffer(b"abfg", "u1").reshape(2, 2), 5)
        assert file.position == 12
    assert (tmp_path / "data").read_bytes() == b"<abcdefghij>"


def test_a_former_file_stays_until_it_is_replaced(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"former")
    with pytest.raises(ZeroDivisionError), WholeFile(path, "thing") as file:
        file.write(bytes(1 // 0))
    assert path.read_bytes() == b"former"
    assert names(tmp_path) == ["data"]


def test_errors_of_whoever_writes_pass_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), WholeFile(tmp_path / "data", "thing"):
        raise FileNotFoundError("the writer's own")
    assert names(tmp_path) == []


@pytest.mark.parametrize("size_bytes", [10, 1 << 20])  # found at the end, or at once
def test_a_full_disk_is_our_error_and_says_what_to_do(tmp_path, size_bytes):
    (tmp_path / "data.partial").symlink_to("/dev/full")
    with (
        pytest.raises(MinimrError, match=r"Cannot write the thing .*data: No space.*Make room"),
        WholeFile(tmp_path / "data", "thing") as file,
    ):
        file.write(bytes(size_bytes))
    assert names(tmp_path) == []


def test_a_disk_that_is_full_when_room_is_filled(tmp_path):
    (tmp_path / "data.partial").symlink_to("/dev/full")
    with (
        pytest.raises(DiskFull, match=r"Cannot write the thing .*data: No space.*Make room"),
        WholeFile(tmp_path / "data", "thing") as file,
    ):
        file.write_at(0, np.zeros((1, 3), "u1"), 3)
    assert names(tmp_path) == []


def test_a_missing_folder_is_our_error(tmp_path):
    with pytest.raises(MinimrError, match=r"Cannot write the thing .*: No such file"):
        WholeFile(tmp_path / "nowhere" / "data", "thing")
