"""What a request keeps for the time of a run, and lets go of."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minimr as mr
from minimr.runners.request import TemporaryPlace, new_request


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


@pytest.mark.parametrize(
    ("name", "value"), [("reducers", 2.0), ("reducers", "2"), ("skip_bad_records", 1.0)]
)
def test_what_is_no_whole_number_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    """The coordinator took it for a broken message, and the client for a coordinator that is gone;
    n / 2 is a float."""
    text = tmp_path / "text.txt"
    text.touch()
    with pytest.raises(mr.UsageError, match=f"{name} is a whole number, not {value!r}"):
        new_request("wordcount", [str(text)], **{name: value})


def test_numbers_of_numpy_are_as_messages_carry_them(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.touch()
    settings = {"reducers": np.int64(3), "skip_bad_records": True, "backups": np.False_}
    request = new_request("wordcount", [str(text)], **settings)
    found = (request.spec.partitions, request.spec.skip_max, request.backups)
    assert [(type(each), each) for each in found] == [(int, 3), (int, 1), (bool, False)]
