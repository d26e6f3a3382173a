"""Another user of the same machine: sees no token, no log, no file of a worker, and gets no entry.

The other user is a child process that gave up being root, so this needs root; it is skipped, aloud,
where the tests run as somebody else.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from minimr.cluster.address import read_address
from minimr.cluster.launcher import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="NO other user was tried: only root can become somebody else"
    ),
]

NOBODY = 65534
LIMIT_S = 60
STRANGER = """
import encodings.idna, json, os, sys  # idna now: later its file is out of reach
from pathlib import Path
from minimr.cluster.address import Address, read_address
from minimr.cluster.connect import connect
from minimr.errors import NoCoordinator

home, port, uid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)

def outcome(deed):
    try:
        return repr(deed())
    except (OSError, NoCoordinator) as error:
        return f"{type(error).__name__}: {error}"

def all_files(folder):
    return sorted(str(path) for each in folder.iterdir() for path in each.iterdir())

deeds = {
    "home": lambda: sorted(path.name for path in home.iterdir()),
    "token": lambda: read_address(home / ".minimr" / "cluster.json"),
    "guess": lambda: connect(Address("127.0.0.1", port, "ab" * 32, 0), "client"),
    "logs": lambda: list((home / ".minimr" / "logs").iterdir()),
    "a log": lambda: (home / ".minimr" / "logs" / sys.argv[4]).read_text(),
    "temporary": lambda: all_files(home / "temporary"),
}
print(json.dumps({name: outcome(deed) for name, deed in deeds.items()}))
"""


@pytest.fixture
def home():
    """A home that others may look into, as homes often are, and a place for temporary files."""
    with tempfile.TemporaryDirectory(prefix="minimr-test-") as folder:
        Path(folder).chmod(0o755)
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        temporary.chmod(0o1777)
        (Path(folder) / "text.txt").write_text("to be or not to be\n")
        yield Path(folder)


def run(home, *command):
    """As a user with an open hand: by umask 0, what nobody protects is everybody's."""
    place = {"HOME": str(home), "TMPDIR": str(home / "temporary")}
    ended = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=home,
        env={**environment(), **place},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        umask=0,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_what_another_user_of_this_machine_can_see_and_do(home):
    minimr = ["-m", "cli.main"]
    run(home, *minimr, "up", "--workers", "1")
    try:
        file = home / ".minimr" / "cluster.json"
        run(home, *minimr, "run", "wordcount", "text.txt", "--address", str(file))
        (log,) = (home / ".minimr" / "logs").iterdir()
        port = read_address(file).port
        told = run(home, "-c", STRANGER, str(home), str(port), str(NOBODY), log.name)
    finally:
        run(home, *minimr, "down")
    found = json.loads(told)
    assert found.pop("home") == "['.minimr', 'temporary', 'text.txt']"
    assert "wrong token" in found.pop("guess")
    assert all("Permission denied" in text for text in found.values()), found
