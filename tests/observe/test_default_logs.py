import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from minimr.observe.default_logs import KEPT_MAX, OURS, new_log
from minimr.observe.log import read_log


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".minimr" / "logs"


def start(name: str = "WordCount") -> Path:
    with new_log(name) as log:
        return log.path


def test_a_log_is_called_after_its_run_and_lies_in_the_home(logs: Path) -> None:
    path = start("Wörter")
    assert path.parent == logs
    assert path.name.startswith("Wörter-")
    assert OURS.fullmatch(path.name)
    assert list(read_log(path)) == []


def test_others_cannot_look_in(logs: Path) -> None:
    start()
    assert logs.stat().st_mode & 0o077 == 0
    assert logs.parent.stat().st_mode & 0o077 == 0


def test_the_last_ones_are_kept(logs: Path) -> None:
    paths = [start() for _ in range(KEPT_MAX)]
    for age, path in enumerate(reversed(paths), 1):
        os.utime(path, (1e9 - age, 1e9 - age))
    new = start()
    assert sorted(logs.iterdir()) == sorted([*paths[1:], new])
    assert len(list(logs.iterdir())) == KEPT_MAX


def test_a_run_that_goes_on_keeps_its_log(logs: Path) -> None:
    old = start("long")
    for number in range(KEPT_MAX):
        os.utime(start(), (1e9 + number, 1e9 + number))
    assert start().exists()
    assert old.exists()  # It was written last, whenever it was begun.


def test_nothing_else_is_ever_removed(logs: Path) -> None:
    logs.mkdir(parents=True)
    for number in range(KEPT_MAX + 5):
        (logs / f"mine-{number}.log").touch()
    start()
    assert len(list(logs.glob("mine-*.log"))) == KEPT_MAX + 5


def test_a_file_in_the_way_is_an_error(logs: Path) -> None:
    logs.parent.write_text("mine")
    with pytest.raises(OSError, match="exists"):
        start()


def test_a_home_that_is_not_there_is_an_error_and_not_made(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = logs / "nobody"
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(OSError, match="No such file"):
        start()
    assert not home.exists()
