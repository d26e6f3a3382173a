"""What a dataset leaves behind: nothing. What it says where there is nobody to ask."""

import os
from contextlib import suppress

import pytest

import minimr as mr
from minimr.dataset import Dataset, Home, _place_for_checkpoints
from tests.cluster.gang_jobs import Adds


def test_a_member_that_saves_late_keeps_no_directory(tmp_path, monkeypatch):
    """It may not know yet that its gang has ended, when the coordinator was killed."""
    with _place_for_checkpoints(tmp_path) as place:
        (place / "member-0.saved").touch()
        rmdir = os.rmdir

        def late(*arguments, **more):
            with suppress(FileNotFoundError):
                (place / "member-1.saved").touch()
            rmdir(*arguments, **more)

        monkeypatch.setattr(os, "rmdir", late)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("members", [None, 0])
def test_a_gang_without_any_slot_is_told_so(members):
    """A training asks for as many members as there can be; more partitions would not help it."""
    nowhere = Home(client=pytest.fail, finish=pytest.fail, slots=lambda: 0)
    with pytest.raises(mr.UsageError, match="the cluster has none; start a worker"):
        Dataset(nowhere, "data-1", 4).gang(Adds, members=members)
