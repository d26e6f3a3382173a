"""Profiles of many processes become one file; the folder in between leaves no trace."""

import os
import pstats
from pathlib import Path

import pytest

from minimr.errors import MinimrError
from minimr.runners.profiles import collected
from minimr.tasks.profile import profiling


def busy() -> int:
    return sum(map(len, ["a"] * 10))


def calls(path: Path) -> int:
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return sum(each[1] for key, each in stats.items() if key[2] == "busy")


def test_profiles_of_all_processes_are_added_up(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.pstats"
    with collected(target) as directory:
        for _ in range(2):
            with profiling(directory):
                busy()
        busy()  # Nobody looks.
        pid = os.fork()
        if pid == 0:
            with profiling(directory):
                busy()
            os._exit(0)
        os.waitpid(pid, 0)
    # The child went on with the two calls that it inherited.
    assert calls(target) == 2 + 3
    assert list(target.parent.iterdir()) == [target]


def test_another_job_begins_anew(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with collected(tmp_path / name) as directory, profiling(directory):
            busy()
        assert calls(tmp_path / name) == 1


def test_a_failure_is_profiled_and_passes(tmp_path: Path) -> None:
    def fail() -> None:
        with collected(tmp_path / "out") as directory, profiling(directory):
            busy()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert calls(tmp_path / "out") == 1


def test_nothing_is_written_without_a_path_or_an_attempt(tmp_path: Path) -> None:
    with collected(None) as nothing, profiling(nothing):
        assert nothing is None
    with collected(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_half_a_profile_does_not_count(tmp_path: Path) -> None:
    with collected(tmp_path / "out") as directory:
        assert directory is not None
        (Path(directory) / "host-1.half").write_bytes(b"\xff")
        with profiling(directory):
            busy()
    assert calls(tmp_path / "out") == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MinimrError, match=r"file/out\.pstats cannot be written"),
        collected(tmp_path / "file" / "out.pstats"),
    ):
        pass
