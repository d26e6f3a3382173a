"""Where the time of a job's attempts goes: one profile for each process that runs them.

A process keeps its profile from attempt to attempt and writes it after each, as a file of its own
in a folder that is shared as the output is. So nothing of it travels in messages, and a process
that is killed loses no more than its last attempt. `runners/profiles.py` makes one file of all.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cProfile import Profile

SUFFIX = ".pstats"
NO_PROFILE = nullcontext()


def profiling(directory: str | None) -> AbstractContextManager[None]:
    """Profile what happens inside, if there is a directory for it. Raises OSError if that fails."""
    return NO_PROFILE if directory is None else _profiling(directory)


@contextmanager
def _profiling(directory: str) -> Iterator[None]:
    profile = _profile_for(directory)
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        _write(profile, Path(directory))


_kept: dict[str, "Profile"] = {}


def _profile_for(directory: str) -> "Profile":
    """The profile of the job that writes to this directory; earlier jobs need theirs no more."""
    if directory not in _kept:
        from cProfile import Profile

        _kept.clear()
        _kept[directory] = Profile()
    return _kept[directory]


def _write(profile: "Profile", directory: Path) -> None:
    name = f"{socket.gethostname()}-{os.getpid()}"
    half = directory / f"{name}.half"
    profile.dump_stats(half)
    half.rename(directory / f"{name}{SUFFIX}")
