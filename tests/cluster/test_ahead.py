"""A fork server that is forked before it is known what for: it is as good as one that is started,
and never left behind. Each test is a program of its own, since this one has threads.
"""

import json
import os
import subprocess
import sys

import pytest

from minimr.cluster.launcher import environment, home

pytestmark = pytest.mark.slow

LIMIT_S = 60
SURROUNDINGS = """
import contextlib, os, sys
import minimr as mr
TOLD = ("PYTHONPATH", "OPENBLAS_NUM_THREADS", "TOLD")

def descriptors():
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # The one that lists them.
            what = os.readlink(f"/proc/self/fd/{number}").partition(":")[0]
            yield "a file of the worker" if "minimr-worker" in what else what

class Surroundings(mr.Job):
    def map(self, offset, line):
        yield "path", sys.path
        yield "environment", {name: os.environ.get(name) for name in TOLD}
        yield "descriptors", sorted(descriptors())
        yield "input", sys.stdin.read()
        yield "is alone", os.getsid(0) != int(os.environ["SESSION"])
        yield "modules", sorted(name for name in sys.modules if "surroundings" in name)

    def reduce(self, key, values):
        yield key, list(values)
"""
STARTED = """
import json, sys
import minimr as mr
result = mr.run(sys.argv[1], [sys.argv[2]])
print(*(json.dumps([key, value]) for key, value in result), sep="\\n")
"""


def program(code, *arguments, **options):
    command = [sys.executable, "-P", "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, env=environment(), **options
    )


def test_a_slot_lives_in_the_same_surroundings_whether_its_first_ancestor_was_forked_or_started(
    tmp_path,
):
    (tmp_path / "surroundings.py").write_text(SURROUNDINGS)
    (tmp_path / "text.txt").write_text("one line\n")
    job = tmp_path / "surroundings.py"
    minimr = [sys.executable, "-m", "cli.main", "run", job, tmp_path / "text.txt"]
    opened = (tmp_path / "open").open("w")
    with opened:
        options = {
            "capture_output": True,
            "text": True,
            "timeout": LIMIT_S,
            "cwd": tmp_path,
            "pass_fds": [opened.fileno()],
            "env": {
                **os.environ,
                "PYTHONPATH": f"{tmp_path / 'elsewhere'}{os.pathsep}{home()}",
                "TOLD": "told",
                "SESSION": str(os.getsid(0)),
            },
        }
        forked = subprocess.run([*minimr, "--output-format", "jsonl"], **options)
        started = subprocess.run(
            [sys.executable, "-c", STARTED, job, tmp_path / "text.txt"], **options
        )
    assert forked.stdout, forked.stderr
    assert facts(forked.stdout) == facts(started.stdout)


def facts(lines):
    return dict(map(json.loads, lines.splitlines()))


def test_one_that_nobody_needs_is_gone_with_the_block():
    code = """
import os
from minimr.cluster import launcher
from minimr.cluster.ahead import forked_ahead

try:
    with forked_ahead():
        (server,) = launcher.waiting
        raise ValueError("no such job")
except ValueError as error:
    print(error)
try:
    os.kill(server.pid, 0)
except ProcessLookupError:
    print("gone")
"""
    done = program(code)
    assert (done.stdout, done.stderr) == ("no such job\ngone\n", "")


def test_one_whose_parent_is_killed_leaves():
    code = """
import os, signal
from minimr.cluster.ahead import forked_ahead

with forked_ahead():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = program(code)  # It ends when nobody holds the other end of stderr any more.
    assert (done.returncode, done.stderr) == (-9, "")


THREAD = "threading.Thread(target=threading.Event().wait, daemon=True).start()"


@pytest.mark.parametrize("danger", ["import numpy", THREAD])
def test_who_may_have_threads_is_not_forked(danger):
    code = f"""
import threading
from minimr.cluster import launcher
from minimr.cluster.ahead import forked_ahead
{danger}
with forked_ahead():
    print(launcher.waiting)
"""
    assert program(code).stdout == "[]\n"


def test_one_that_is_killed_is_replaced_by_one_that_is_started(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("one line\n")
    code = """
import os, signal, subprocess, sys
from minimr.cluster.ahead import forked_ahead
from minimr.session import Cluster

with forked_ahead(), Cluster(workers=2) as cluster:
    workers = cluster._local._workers
    before, first = set(workers.pids), workers._server
    os.kill(first.pid, signal.SIGKILL)
    with workers._changed:
        workers._changed.wait_for(lambda: before.isdisjoint(workers._pids.values()), 60)
    print(type(first).__name__, type(workers._server).__name__)
    print(list(cluster.run("wordcount", [sys.argv[1]], reducers=1)))
"""
    done = program(code, text)
    assert done.stdout == "ForkedAhead Popen\n[('line', 1), ('one', 1)]\n", done.stderr


def test_one_that_does_not_leave_in_time_is_killed():
    code = """
import os, signal
from minimr.cluster import launcher
from minimr.cluster.ahead import forked_ahead
from minimr.session import Cluster

launcher.LEAVE_TIMEOUT_S = 0.1
with forked_ahead():
    cluster = Cluster(workers=1)
server = cluster._local._workers._server
os.kill(server.pid, signal.SIGSTOP)
cluster.close()
try:
    os.kill(server.pid, 0)
except ProcessLookupError:
    print("gone")
"""
    done = program(code)
    assert done.stdout == "gone\n", done.stderr
