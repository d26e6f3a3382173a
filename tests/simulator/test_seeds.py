import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from minimr.simulator import seeds
from minimr.simulator.jobs import JobChoice
from minimr.simulator.run import Outcome, simulate
from minimr.simulator.seeds import CLASSES, Sweep, Tally, replay_line, sweep

SAFE = Sweep(0, 249)
LIVE = Sweep(0, 119, "liveness")
LONG_SWEEP = """
from multiprocessing import active_children
from minimr.simulator import seeds

if __name__ == "__main__":
    tallies = seeds._tallies(list(seeds._chunks(seeds.Sweep(0, 99_999))), processes=2)
    next(tallies)
    print(*(each.pid for each in active_children()), flush=True)
    for _ in tallies:
        pass
"""
INTERRUPTED_SWEEP = """
import os
import signal
from multiprocessing import active_children
from minimr.simulator import seeds

if __name__ == "__main__":
    tallies = seeds._tallies(list(seeds._chunks(seeds.Sweep(0, 499))), processes=2)
    done = next(tallies).seeds
    for each in active_children():
        os.kill(each.pid, signal.SIGINT)
    print(done + sum(each.seeds for each in tallies))
"""
HASHES = """
from minimr.simulator.run import simulate
for seed in range(100):
    print(simulate(seed).log_hash)
"""


@pytest.mark.parametrize("wanted", [SAFE, LIVE], ids=["safety", "liveness"])
def test_no_seed_breaks_a_promise(wanted: Sweep) -> None:
    tally = sweep(wanted)
    assert [(each.seed, each.violations) for each in tally.failures] == []
    assert tally.seeds == wanted.last - wanted.first + 1


def test_one_seed_in_so_many_is_run_twice_and_must_give_the_same_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: Counter[int] = Counter()

    def never_the_same(_wanted: Sweep, seed: int) -> Outcome:
        outcome = simulate(seed)
        runs[seed] += 1
        outcome.log.append({"event": "note", "run": runs[seed]})
        return outcome

    monkeypatch.setattr(seeds, "run_seed", never_the_same)
    tally = seeds.run_all(Sweep(0, 14, twice_one_in=7))
    assert [seed for seed, times in runs.items() if times == 2] == [0, 7, 14]
    assert [each.seed for each in tally.failures] == [0, 7, 14]


def test_a_sweep_in_two_processes_sees_the_same_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = sweep(Sweep(0, 119))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    together = sweep(Sweep(0, 119), processes=2)
    assert together.classes == alone.classes
    assert together.ended == alone.ended
    assert together.events == alone.events
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_whose_processes_die_says_so() -> None:
    """They cannot import a script that came through a pipe."""
    script = b"from minimr.simulator.seeds import *; sweep(Sweep(0, 119), processes=2)"
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, timeout=60, check=False
    )
    assert b"MinimrError: A process that ran seeds died" in done.stderr


def test_a_sweep_that_is_killed_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    script, temporary = tmp_path / "long_sweep.py", tmp_path / "temporary"
    script.write_text(LONG_SWEEP)
    temporary.mkdir()
    command, pipes = [sys.executable, script], {"stdout": subprocess.PIPE}
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, **pipes) as running:
        assert running.stdout is not None
        children = [int(pid) for pid in running.stdout.readline().split()]
        watched = [os.pidfd_open(pid) for pid in children]
        running.kill()
    try:
        for each in watched:  # Readable when its process has ended.
            assert select.select([each], [], [], 30)[0], "a process outlives its killed parent"
    finally:
        for each in watched:
            os.close(each)
    assert len(children) == 2
    assert not list(temporary.iterdir())


def test_ctrl_c_is_for_the_process_that_waits_for_a_sweep(tmp_path: Path) -> None:
    """A terminal tells all of them. The others broke the pool, whose thread showed a traceback."""
    script = tmp_path / "interrupted_sweep.py"
    script.write_text(INTERRUPTED_SWEEP)
    done = subprocess.run([sys.executable, script], capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (b"500\n", b"")


def test_a_seed_gives_the_same_log_in_every_process() -> None:
    """Whatever Python's hashes of strings are."""
    logs = []
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", HASHES], env=environment, capture_output=True, check=True
        )
        logs.append(done.stdout)
    assert logs[0] == logs[1] == logs[2]
    assert logs[0].decode().split() == [simulate(seed).log_hash for seed in range(100)]


def test_classes_that_never_occurred_are_named() -> None:
    tally = Tally()
    assert tally.never() == list(CLASSES)
    tally.classes["worker_returned"] += 1
    assert "worker_returned" not in tally.never()


def test_a_replay_line_says_everything() -> None:
    assert replay_line(Sweep(0, 9), 7) == "minimr sim --seed 7"
    choice = JobChoice("grep", (("pattern", "a b"), ("ignore_case", True)), ("in put.txt",))
    wanted = Sweep(0, 9, "liveness", 3, ("crash", "delay"), choice)
    assert replay_line(wanted, 7) == (
        "minimr sim grep 'in put.txt' --seed 7 --mode liveness --workers 3 --faults crash,delay "
        "-- --pattern='a b' --ignore-case=True"
    )
