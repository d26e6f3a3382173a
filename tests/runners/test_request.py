"""What a request keeps for the time of a run, and lets go of."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from minimr.runners.request import TemporaryPlace


def test_a_temporary_place_goes_whole_when_ctrl_c_meets_its_removal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python showed a traceback, as nobody was there to be interrupted, and the rest stayed."""
    remove, calls = shutil.rmtree, []

    def interrupted_once(path: Path, **settings: Any) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, **settings)

    monkeypatch.setattr(shutil, "rmtree", interrupted_once)
    place = TemporaryPlace()
    path = place.path
    (path / "result").mkdir()
    del place
    assert calls == [path, path]
    assert not path.exists()
