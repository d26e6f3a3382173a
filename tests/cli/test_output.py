"""Files for people: whole, or not at all."""

import os
import resource
import threading
from pathlib import Path

import pytest

from cli.output import write_text
from minimr.errors import MinimrError


def test_what_has_no_room_leaves_the_older_file_and_no_half_of_one(tmp_path: Path) -> None:
    path = tmp_path / "loss.svg"
    path.write_text("older")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # A full disk is like that.
    try:
        with pytest.raises(MinimrError, match=r"loss\.svg cannot be written: File too large"):
            write_text(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "loss.svg"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write_text(path, "drawn")
    reader.join()
    assert read == ["drawn"]
    assert path.is_fifo()
