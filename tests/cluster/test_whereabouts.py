"""What a slot published is there for the worker, whatever became of the slot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minimr.cluster import whereabouts
from minimr.cluster.whereabouts import Whereabouts, read_position, read_sentence, read_ticks


def test_a_position_is_read_back_until_the_next_one(tmp_path):
    slot = Whereabouts(tmp_path)
    for position in ["books/a.txt:0", "b:1", None, "reduce-3:key 'é'", "caf\udce9:7", ""]:
        slot.at(position)
        assert read_position(tmp_path) == (position or None)


def test_ticks_go_up_and_leave_the_position_alone(tmp_path):
    slot = Whereabouts(tmp_path)
    assert read_ticks(tmp_path) == 0
    slot.at("a:1")
    slot.tick()
    slot.tick()
    assert (read_ticks(tmp_path), read_position(tmp_path)) == (2, "a:1")


def test_a_new_attempt_is_nowhere_and_a_sign_of_life(tmp_path):
    slot = Whereabouts(tmp_path)
    slot.at("a:1")
    slot.begin()
    assert (read_ticks(tmp_path), read_position(tmp_path)) == (1, None)


def test_a_position_that_is_too_long_is_none_rather_than_a_wrong_one(tmp_path):
    slot = Whereabouts(tmp_path)
    longest = "x" * whereabouts.TEXT_BYTES_MAX
    slot.at(longest)
    assert read_position(tmp_path) == longest
    slot.at(longest + "y")
    assert read_position(tmp_path) is None


def test_the_words_give_way_to_the_position(tmp_path):
    slot = Whereabouts(tmp_path)
    slot.at("a:1", "at the café")
    assert (read_position(tmp_path), read_sentence(tmp_path)) == ("a:1", "at the café")
    slot.at("a:1", "é" * whereabouts.TEXT_BYTES_MAX)
    assert read_position(tmp_path) == "a:1"
    assert set(read_sentence(tmp_path).rstrip("\udcc3")) == {"é"}
    longest = "x" * whereabouts.TEXT_BYTES_MAX
    slot.at(longest, "here")
    assert (read_position(tmp_path), read_sentence(tmp_path)) == (longest, "")
    slot.at(None)
    assert read_sentence(tmp_path) == ""


def test_a_slot_killed_while_it_published_is_nowhere(tmp_path, monkeypatch):
    slot = Whereabouts(tmp_path)
    slot.at("first:1")

    class Killed(BaseException):
        pass

    class Length:
        """Lets the first store through, as a kill before the second one would."""

        size = whereabouts.LENGTH.size

        def pack_into(self, *arguments):
            if arguments[-1]:
                raise Killed
            real.pack_into(*arguments)

    real = whereabouts.LENGTH
    monkeypatch.setattr(whereabouts, "LENGTH", Length())
    with pytest.raises(Killed):
        slot.at("other:2")
    monkeypatch.undo()
    assert read_position(tmp_path) is None


@pytest.mark.parametrize("data", [None, b"", b"123", b"\0" * 11, b"\1" * 12, b"\xff" * 20])
def test_a_file_that_is_not_whole_says_nothing(tmp_path, data):
    if data is not None:
        (tmp_path / whereabouts.NAME).write_bytes(data)
    assert read_position(tmp_path) is None


DYING = """
import faulthandler, os, signal, sys
from pathlib import Path
import minimr as mr
from minimr.cluster.whereabouts import Whereabouts
from minimr.formats.splits import Split
from minimr.tasks.map_task import run_map
from minimr.tasks.spec import JobSpec

class Deadly(mr.Job):
    def map(self, offset, line):
        if line == "poison":
            {death}
        yield line, 1

folder = Path(sys.argv[1])
source = Split(str(folder / "in.txt"), 0, (folder / "in.txt").stat().st_size, 0).to_dict()
spec = JobSpec(partitions=1)
watcher = Whereabouts(folder)
run_map(spec.new_job(Deadly), spec.map_task(0, source, careful=True), folder, watcher)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "death", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "segfault"]
)
def test_however_the_process_dies_the_record_is_known(tmp_path, death):
    if death == "segfault":
        death = "import ctypes; ctypes.string_at(0)"
    (tmp_path / "in.txt").write_text("good\n" * 10 + "poison\ngood\n")
    here = str(Path(whereabouts.__file__).parents[2])
    command = [sys.executable, "-c", DYING.format(death=death), str(tmp_path)]
    died = subprocess.run(command, env={**os.environ, "PYTHONPATH": here}, capture_output=True)
    assert died.returncode in (3, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV), died.stderr
    assert read_position(tmp_path) == f"{tmp_path}/in.txt:50"
    where = f"in map task 0 at {tmp_path}/in.txt:50, on the record 'poison'"
    assert read_sentence(tmp_path) == where
    assert read_ticks(tmp_path) > 0
