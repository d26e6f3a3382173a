"""A slot's memory limit: MemoryError in user code, and a process that lives on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minimr.cluster import limits
from minimr.cluster.limits import BYTES_MIN, machine_memory_bytes, slot_memory_bytes


def physical_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("said", "expected"),
    [("max\n", None), ("", None), ("1073741824\n", 1 << 30), ("9223372036854771712\n", None)],
)
def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch, said, expected):
    path = tmp_path / "memory.max"
    path.write_text(said)
    monkeypatch.setattr(limits, "CONTAINER_LIMITS", (tmp_path / "missing", path))
    assert machine_memory_bytes() == (expected or physical_bytes())


def test_the_slots_share_four_fifths(monkeypatch):
    monkeypatch.setattr(limits, "machine_memory_bytes", lambda: 10 << 30)
    assert [slot_memory_bytes(slots) >> 20 for slots in (1, 2, 4)] == [8192, 4096, 2048]
    assert slot_memory_bytes(1000) == BYTES_MIN


def in_a_process(code: str, *arguments: object, limit_mib: int = 400) -> str:
    """What a Python of its own prints, under a limit."""
    before = "import sys; from minimr.cluster.limits import limit_memory\n"
    before += f"limit_memory({limit_mib} << 20)\n"
    command = [sys.executable, "-c", before + code, *map(str, arguments)]
    here = str(Path(limits.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": here, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


ALLOCATE = """
import numpy as np
def array(): return np.ones(1 << 30, np.uint8)
def text(): return bytearray(1 << 30)
def items(): return [0] * (1 << 28)
for make in (array, text, items):
    try:
        make()
    except MemoryError:
        print("refused")
print(int(np.ones(100 << 20, np.uint8).sum()) >> 20)
"""


@pytest.mark.slow
def test_what_is_too_much_is_refused_and_the_rest_still_works():
    assert in_a_process(ALLOCATE).split() == ["refused", "refused", "refused", "100"]


MAP_A_FILE = """
import mmap
import numpy as np
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print(np.frombuffer(mapped, np.uint8)[::4096].sum(), len(mapped) >> 20)
"""


@pytest.mark.slow
def test_mapped_files_do_not_count(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(512 << 20)
    assert in_a_process(MAP_A_FILE, tmp_path / "sparse").split() == ["0", "512"]


LIMITS = """
import resource
print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)
limit_memory(900 << 20)
print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)
limit_memory(300 << 20)
print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)
"""


@pytest.mark.slow
def test_a_limit_is_only_ever_lowered():
    assert in_a_process(LIMITS).split() == ["400", "400", "300"]


TASK = """
from pathlib import Path
import minimr as mr
from minimr.formats.splits import Split
from minimr.tasks.failure import TaskFailed
from minimr.tasks.map_task import run_map
from minimr.tasks.spec import JobSpec

class Greedy(mr.Job):
    def map(self, offset, line):
        kept = []
        while line == "poison":
            {greed}
        yield line, 1

folder = Path(sys.argv[1])
for text in ("good\\npoison\\ngood\\n", "good\\ngood\\n"):
    (folder / "in.txt").write_text(text)
    source = Split(str(folder / "in.txt"), 0, len(text), 0).to_dict()
    spec = JobSpec(partitions=1, memory_bytes=1 << 40)
    try:
        print(run_map(spec.new_job(Greedy), spec.map_task(0, source), folder).records_in)
    except TaskFailed as error:
        print(error.failure.kind, error.failure.position, error.failure.text)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "greed",
    [
        "bytearray(1 << 40)",
        "kept.append(str(len(kept)))",
        "self.kept = kept; kept.append({'a': [1]})",
        "yield str(id(kept)), [bytes(1000)] * 1000; kept.append(bytes(1 << 20))",
    ],
    ids=["at once", "in a local", "in the job", "in a local, yielding"],
)
def test_a_task_that_runs_out_of_memory_fails_at_its_record_and_the_next_one_runs(tmp_path, greed):
    said = in_a_process(TASK.format(greed=greed), tmp_path, limit_mib=100)
    first, *_, last = said.splitlines()
    assert first.startswith(f"user {tmp_path}/in.txt:5 Greedy failed in map task 0")
    assert last == "2"
