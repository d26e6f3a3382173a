"""What a dataset leaves behind: nothing."""

import os
from contextlib import suppress

from minimr.dataset import _place_for_checkpoints


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
