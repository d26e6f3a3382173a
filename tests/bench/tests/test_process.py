"""The cost of a whole process tree, measured on trees whose cost is known."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bench.process import CandidateFailed, Cost, run_process
from tests.bench.process_tree import MemoryWatch, come_first, descendants, memory_bytes

MB = 1_000_000

HOLD = "held = bytearray(60_000_000); import time; time.sleep(0.3)"
BURN = "import time\nwhile time.process_time() < 0.3: pass"
TWO_HOLD = f"""
import subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", {HOLD!r}]) for _ in range(2)]
for child in children: child.wait()
"""
ORPHAN_BURNS = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {BURN!r}], start_new_session=True)
"""


def run(code: str, folder: Path, limit_s: float = 30.0, watch_memory: bool = False) -> Cost:
    return run_process([sys.executable, "-c", code], os.environ, folder, limit_s, watch_memory)


@pytest.mark.slow
def test_the_memory_of_children_adds_up(tmp_path: Path) -> None:
    cost = run(TWO_HOLD, tmp_path, watch_memory=True)
    assert cost.peak_bytes is not None
    assert 120 * MB < cost.peak_bytes < 200 * MB
    assert cost.processes == 3


@pytest.mark.slow
def test_pages_that_are_shared_count_once(tmp_path: Path) -> None:
    code = "import os, time; held = bytearray(60_000_000); os.fork(); time.sleep(0.3)"
    cost = run(code, tmp_path, watch_memory=True)
    assert cost.peak_bytes is not None
    assert 60 * MB < cost.peak_bytes < 100 * MB


@pytest.mark.slow
def test_the_time_of_what_is_left_behind_counts(tmp_path: Path) -> None:
    before = descendants(os.getpid())
    cost = run(ORPHAN_BURNS, tmp_path)
    assert cost.cpu_s > 0.3
    assert cost.peak_bytes is None
    assert descendants(os.getpid()) == before


@pytest.mark.slow
def test_who_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(CandidateFailed, match=r"ended with 1: Traceback(.|\n)*no such thing"):
        run("raise SystemError('no such thing')", tmp_path)


@pytest.mark.slow
def test_who_takes_too_long_is_stopped_with_all_children(tmp_path: Path) -> None:
    before = descendants(os.getpid())
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    with pytest.raises(CandidateFailed, match=r"took more than 0\.5 s"):
        run(code, tmp_path, limit_s=0.5)
    assert descendants(os.getpid()) == before


def fake_process(proc: Path, pid: int, parent: int, pss_kb: int | None) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1 0")
    (folder / "statm").write_text("900 5 3 1 0 80 0")
    if pss_kb is not None:
        (folder / "smaps_rollup").write_text(f"00-ff ---p\nRss: 900 kB\nPss: {pss_kb} kB\n")


def test_descendants_are_found_at_any_depth(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (13, 12), (20, 1), (21, 20)):
        fake_process(tmp_path, pid, parent, 1)
    (tmp_path / "meminfo").write_text("")
    assert sorted(descendants(10, tmp_path)) == [11, 12, 13]
    assert descendants(13, tmp_path) == []


def test_memory_is_the_share_or_else_the_resident_size(tmp_path: Path) -> None:
    fake_process(tmp_path, 10, 1, 300)
    fake_process(tmp_path, 11, 1, None)
    assert memory_bytes(10, tmp_path) == 300 << 10
    assert memory_bytes(11, tmp_path) == 5 * os.sysconf("SC_PAGESIZE")
    assert memory_bytes(12, tmp_path) == 0


def test_a_watch_keeps_the_peak() -> None:
    watch = MemoryWatch()
    watch.peak_bytes = 7 * MB
    watch.look()
    assert watch.peak_bytes >= 7 * MB


def test_the_watch_goes_before_what_it_watches() -> None:
    def priority() -> int:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        come_first()
        return os.sched_getparam(0).sched_priority

    with ThreadPoolExecutor(1) as thread:  # It ends with the thread.
        try:
            assert thread.submit(priority).result() == 2
        except PermissionError:
            pytest.skip("may not have a priority")
