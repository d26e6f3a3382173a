"""Processes, seen from a test: what they say, and whether anything is left of them."""

import os
import select
from pathlib import Path

PATIENCE_S = 60


def wait_for(file):
    """Until a file, socket or process descriptor can be read: for the last, until its end."""
    assert select.select([file], [], [], PATIENCE_S)[0], "nothing is heard"


def heard(pipe):
    """What is said next; nothing if nobody is left who could say anything."""
    wait_for(pipe)
    return pipe.read(100)


def has_children():
    """Whether this process has some, dead or alive."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descriptors(pid="self"):
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def name_of(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def child_of(pid):
    """The process id of the only one."""
    children = [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    (only,) = children
    return int(only)
